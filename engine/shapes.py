"""What can be a task, told apart by what it can do and never by its class.

* an object with ``run()`` (and usually ``check_output()`` or ``get_output()``);
* a class, or a `functools.partial` of one: each attempt makes a fresh object in its own thread;
* an ``async def``, or a partial of one: runs in the nursery, without a thread;
* any other callable: called once, in a thread.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from .api import Recipe
from .errors import BadOption, NotATask
from .model import Mode
from .options import text_of

if TYPE_CHECKING:
    from .options import Options


LOOKS: Final = ("check_output", "get_output")
"""The names of the method that looks for the output; the first is asked first."""
_ASYNC_FLAGS: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_CALL: Final = "__call__"  # looked up by name: an instance may be an async callable


def method(task: object, name: str) -> Callable[[], object] | None:
    """The object's method of this name; None when it has none or when it is None."""
    found = getattr(task, name, None)
    return found if callable(found) else None


def recognise(task: object, options: Options) -> Recipe:
    """The recipe of anything but a registered kind.

    Raises NotATask or BadOption.
    """
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
        mode, kind = declared(task, options, Mode.ASYNC), _name(function)
        return Recipe(lambda: task, mode, reusable=True, kind=kind)
    if isinstance(function, type):
        mode, kind = declared(function, options), _name(function)
        return Recipe(_factory(task, function), mode, reusable=True, kind=kind)
    if method(task, "run") is not None:
        if any(_is_async(getattr(task, name, None)) for name in ("run", *LOOKS)):
            raise NotATask(f"{type(task).__qualname__} is async: submit its async method itself")
        reusable = bool(options.get("reusable", getattr(task, "reusable", False)))
        if not reusable and options.get("attempts", 1) != 1:
            cure = "1 for a live object (submit its class, or say reusable=True)"
            raise BadOption("attempts", options["attempts"], cure)
        return Recipe(lambda: task, declared(task, options), reusable, _name(type(task)))
    if not callable(task):
        raise NotATask(
            f"{type(task).__qualname__} is not a task: it needs a run() method, or to be callable"
        )
    kind = _name(function if hasattr(function, "__qualname__") else type(function))
    return Recipe(lambda: task, declared(task, options), reusable=True, kind=kind)


def _factory(task: object, cls: type) -> Callable[[], object]:
    if _is_async(getattr(cls, "run", None) or getattr(cls, _CALL, None)):
        raise NotATask(f"class {cls.__qualname__} is async: submit a function that awaits it")
    if method(cls, "run") is None and _CALL not in dir(cls):
        raise NotATask(f"class {cls.__qualname__} is not a task: it needs a run() method")
    return cast("Callable[[], object]", task)


def _is_async(function: object) -> bool:
    """True for an async function or method, an async generator function, and an instance whose
    call is one. Reads code flags: `inspect` asks ten times as long, at each submission."""
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), _CALL, None), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _ASYNC_FLAGS)


def declared(task: object, options: Options, only: Mode | None = None) -> Mode:
    """The mode that was declared, by option or else by the task itself. Raises BadOption."""
    said: object = options.get("mode")
    if said is None:
        said = getattr(task, "creche_mode", None) or only or Mode.AUTO
    try:
        mode = Mode(str(said))
    except ValueError:
        raise BadOption("mode", said, "auto, blocking, polling or async") from None
    if (mode is Mode.ASYNC) is not (only is Mode.ASYNC):
        raise BadOption("mode", said, "async for an async function, and for nothing else")
    return mode


def _name(thing: object) -> str:
    return text_of("kind", getattr(thing, "__qualname__", None) or type(thing).__qualname__)
