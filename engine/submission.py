"""What can be submitted, and what becomes of it: a row for the store and a recipe for the body.

A task is told apart by what it can do, never by its class:

* the name of a registered kind, with ``arguments=``;
* an object with ``run()`` (and usually ``check_output()`` or ``get_output()``);
* a class, or a `functools.partial` of one: each attempt makes a fresh object in its own thread;
* an ``async def``, or a partial of one: runs in the nursery, without a thread;
* any other callable: called once, in a thread.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

import msgspec
from msgspec.structs import replace

from .api import Recipe
from .bounds import integer_within, number_within
from .box import method
from .errors import BadOption, NotATask
from .model import Effect, Mode, State, TaskSnapshot

if TYPE_CHECKING:
    from .api import Cadence
    from .kinds import Registry

_TEXT_LIMIT: Final = 1_000
_TAGS_LIMIT: Final = 64
_INTEGERS: Final = 2**53
_SECONDS: Final = 1e11
"""Three thousand years: as a wall time and as a duration."""


class Options(TypedDict, total=False):
    """The keyword arguments of `Engine.submit` and its twins."""

    mode: Mode | str | None
    """``blocking`` or ``polling`` where None is a real output; else found out."""
    name: str | None
    """For people; the kind when left out."""
    key: str | None
    """Groups tasks that belong together."""
    priority: int
    """Higher starts first."""
    tags: Iterable[str]
    cadence: Cadence | None
    """When to look at it; the engine's own when left out."""
    timeout: float | None
    """Seconds one attempt may take."""
    deadline: float | None
    """Seconds from now until it is over, however many attempts are left."""
    start_by: float | None
    """Seconds from now until which it must have started."""
    not_before: float | None
    """Wall time before which it does not start."""
    attempts: int
    """How often it may be begun in all."""
    unique_key: str | None
    """Submitting the same key again gives the same task."""
    parent: int | None
    retry_of: int | None
    arguments: object
    """Of a registered kind."""
    reusable: bool
    """Says of a live object that it may be run again by a further attempt."""


class Submission(NamedTuple):
    """A checked submission, not yet accepted."""

    draft: TaskSnapshot
    recipe: Recipe
    cadence: Cadence | None


def prepare(task: object, options: Options, wall: float, kinds: Registry) -> Submission:
    """Check a task and its options; ``wall`` is the present wall time.

    Raises NotATask, BadOption, KindNotFound or BadArguments.
    """
    if isinstance(task, str):
        return _of_kind(task, options, wall, kinds)
    if options.get("arguments") is not None:
        raise BadOption("arguments", options["arguments"], "none: only registered kinds take them")
    recipe, kind = _recognise(task, options)
    attempts = options.get("attempts", 1)
    if attempts != 1 and not recipe.reusable:
        raise BadOption(
            "attempts", attempts, "1 for a live object (submit its class, or say reusable=True)"
        )
    return Submission(_draft(kind, recipe.mode, options, wall), recipe, options.get("cadence"))


def recipe_of(row: TaskSnapshot, kinds: Registry) -> Recipe:
    """The recipe of a recoverable row. Raises KindNotFound or BadArguments."""
    arguments = row.arguments or "null"
    kinds.check(row.kind, msgspec.json.decode(arguments))
    return _kind_recipe(row.kind, arguments, kinds)


def _of_kind(name: str, options: Options, wall: float, kinds: Registry) -> Submission:
    arguments = kinds.check(name, options.get("arguments"))
    recipe = _kind_recipe(name, arguments, kinds)
    draft = replace(
        _draft(name, recipe.mode, options, wall),
        arguments=arguments,
        recoverable=True,
        effect=kinds.kind(name).effect,
    )
    return Submission(draft, recipe, options.get("cadence"))


def _kind_recipe(name: str, arguments: str, kinds: Registry) -> Recipe:
    return Recipe(functools.partial(kinds.build, name, arguments), Mode.AUTO, reusable=True)


def _recognise(task: object, options: Options) -> tuple[Recipe, str]:
    """The recipe of anything but a registered kind, and the name of its kind."""
    if inspect.iscoroutine(task):
        task.close()
        raise NotATask(
            "a coroutine object can be awaited only once and by one owner: submit the async "
            "function itself, with functools.partial for its arguments"
        )
    function = task
    while isinstance(function, functools.partial):
        function = function.func
    if _is_async(function):
        if inspect.isasyncgenfunction(function):
            raise NotATask("an async generator has no output: submit an async function")
        return Recipe(lambda: task, _declared(task, options, Mode.ASYNC), reusable=True), _name(
            function
        )
    if isinstance(function, type):
        return Recipe(_factory(task, function), _declared(function, options), reusable=True), _name(
            function
        )
    if method(task, "run") is not None:
        if _is_async(getattr(task, "run", None)):
            raise NotATask(
                f"{type(task).__qualname__}.run is async: submit the bound method itself"
            )
        reusable = bool(options.get("reusable", getattr(task, "reusable", False)))
        return Recipe(lambda: task, _declared(task, options), reusable), _name(type(task))
    if not callable(task):
        raise NotATask(
            f"{type(task).__qualname__} is not a task: it needs a run() method, or to be callable"
        )
    kind = _name(function if hasattr(function, "__qualname__") else type(function))
    return Recipe(lambda: task, _declared(task, options), reusable=True), kind


def _factory(task: object, cls: type) -> Callable[[], object]:
    if method(cls, "run") is None and "__call__" not in dir(cls):
        raise NotATask(f"class {cls.__qualname__} is not a task: it needs a run() method")
    assert callable(task)
    return task


def _is_async(function: object) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.iscoroutinefunction(getattr(type(function), "__call__", None))
    )


def _declared(task: object, options: Options, only: Mode | None = None) -> Mode:
    """The mode that was declared, by option or by the task itself."""
    said = options.get("mode") or getattr(task, "creche_mode", None) or only or Mode.AUTO
    try:
        mode = Mode(str(said))
    except ValueError:
        raise BadOption("mode", said, "auto, blocking, polling or async") from None
    if (mode is Mode.ASYNC) is not (only is Mode.ASYNC):
        raise BadOption("mode", said, "async for an async function, and for nothing else")
    return mode


def _name(thing: object) -> str:
    return _text("kind", getattr(thing, "__qualname__", None) or type(thing).__qualname__)


# -- options -------------------------------------------------------------------------------------


def _draft(kind: str, mode: Mode, options: Options, wall: float) -> TaskSnapshot:
    name, key, unique = options.get("name"), options.get("key"), options.get("unique_key")
    deadline = _seconds("deadline", options.get("deadline"))
    start_by = _seconds("start_by", options.get("start_by"))
    not_before = _seconds("not_before", options.get("not_before"))
    return TaskSnapshot(
        id=0,
        state=State.QUEUED,
        mode=mode,
        kind=kind,
        name=kind if name is None else _text("name", name),
        key=None if key is None else _text("key", key),
        unique_key=None if unique is None else _text("unique_key", unique),
        priority=integer_within("priority", options.get("priority", 0), -_INTEGERS, _INTEGERS),
        tags=_tags(options.get("tags", ())),
        timeout=_seconds("timeout", options.get("timeout")),
        deadline=None if deadline is None else wall + deadline,
        start_by=None if start_by is None else wall + start_by,
        not_before=None if not_before is None or not_before <= wall else not_before,
        attempts_allowed=integer_within("attempts", options.get("attempts", 1), 1, _INTEGERS),
        effect=Effect.AT_LEAST_ONCE,
        parent=_reference("parent", options.get("parent")),
        retry_of=_reference("retry_of", options.get("retry_of")),
    )


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadOption(option, value, "a string")
    # A lone surrogate can be neither stored nor sent; what is shown of it is the reader's matter.
    return value[:_TEXT_LIMIT].encode("utf-8", "replace").decode()


def _seconds(option: str, value: object) -> float | None:
    return None if value is None else number_within(option, value, 0.0, _SECONDS)


def _reference(option: str, value: object) -> int | None:
    return None if value is None else integer_within(option, value, 1, _INTEGERS)


def _tags(tags: object) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise BadOption("tags", tags, "an iterable of strings")
    found = tuple(dict.fromkeys(_text("tags", tag) for tag in tags))
    if len(found) > _TAGS_LIMIT:
        raise BadOption("tags", len(found), f"at most {_TAGS_LIMIT}")
    return found
