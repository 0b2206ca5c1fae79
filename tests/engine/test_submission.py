"""What can be submitted, and every option that cannot."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from engine.errors import BadArguments, BadOption, KindNotFound, NotATask
from engine.kinds import default_registry
from engine.model import Effect, Mode, State
from engine.submission import Submission, prepare

if TYPE_CHECKING:
    from engine.api import Recipe

WALL = 1_700_000_000.0


class WithRun:
    """A class with run()."""

    def run(self) -> int:
        return 1

    def method(self) -> int:
        return 2

    async def coroutine(self) -> int:
        return 3

    @staticmethod
    def static() -> int:
        return 4

    @classmethod
    def of_class(cls) -> int:
        return 5


class CallableClass:
    """A class whose objects can be called."""

    def __call__(self) -> int:
        return 1


class AsyncCallable:
    """A class whose objects can be awaited."""

    async def __call__(self) -> int:
        return 1


class AsyncRun:
    """An object whose run() nobody would await."""

    async def run(self) -> int:
        return 1


class AsyncLook:
    """An object whose check_output() nobody would await."""

    def run(self) -> None:
        pass

    async def check_output(self) -> int:
        return 1


class NothingToRun:
    """No run(), no call."""


class RunIsNone:
    """An attribute that is None counts as absent."""

    run = None


def function(*_: object) -> int:
    """A function."""
    return 1


async def coroutine_function(*_: object) -> int:
    """An async function."""
    return 1


async def async_generator() -> Any:
    """An async generator."""
    yield 1


def submission(task: object, **options: Any) -> Submission:
    """Prepare it."""
    return prepare(task, options, WALL, default_registry())  # type: ignore[arg-type]


def short(value: object) -> str:
    """A name for a parameter that is the same in every run."""
    return type(value).__name__ if type(value) is object else ascii(value)[:30]


class Shape(NamedTuple):
    """A task, and what is to become of it."""

    task: Any
    mode: Mode
    kind: str
    reusable: bool


SHAPES = {
    "function": Shape(function, Mode.AUTO, "function", True),
    "lambda": Shape(lambda: 1, Mode.AUTO, "<lambda>", True),
    "builtin": Shape(print, Mode.AUTO, "print", True),
    "partial": Shape(functools.partial(function, 1), Mode.AUTO, "function", True),
    "bound method": Shape(WithRun().method, Mode.AUTO, "WithRun.method", True),
    "static method": Shape(WithRun.static, Mode.AUTO, "WithRun.static", True),
    "class method": Shape(WithRun.of_class, Mode.AUTO, "WithRun.of_class", True),
    "object": Shape(WithRun(), Mode.AUTO, "WithRun", False),
    "callable object": Shape(CallableClass(), Mode.AUTO, "CallableClass", True),
    "class": Shape(WithRun, Mode.AUTO, "WithRun", True),
    "callable class": Shape(CallableClass, Mode.AUTO, "CallableClass", True),
    "partial of a class": Shape(functools.partial(WithRun), Mode.AUTO, "WithRun", True),
    "async function": Shape(coroutine_function, Mode.ASYNC, "coroutine_function", True),
    "async partial": Shape(
        functools.partial(functools.partial(coroutine_function, 1), 2),
        Mode.ASYNC,
        "coroutine_function",
        True,
    ),
    "async method": Shape(WithRun().coroutine, Mode.ASYNC, "WithRun.coroutine", True),
    "async callable": Shape(AsyncCallable(), Mode.ASYNC, "AsyncCallable", True),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_of_task_is_recognised(shape: Shape) -> None:
    """What it can do settles mode, kind, name, and whether it can have further attempts."""
    found = submission(shape.task)
    row, recipe = found.draft, found.recipe
    kind = row.kind.rpartition("<locals>.")[2]
    assert (recipe.mode, kind, recipe.reusable) == (shape.mode, shape.kind, shape.reusable)
    assert (row.mode, row.name, row.kind) == (recipe.mode, row.kind, recipe.kind)
    assert (row.state, row.recoverable, row.arguments) == (State.QUEUED, False, None)
    assert (row.attempts_allowed, row.effect) == (1, Effect.AT_LEAST_ONCE)


@pytest.mark.parametrize("shape", ["class", "partial of a class", "callable class"])
def test_a_factory_makes_a_fresh_object_each_time(shape: str) -> None:
    """The recipe of a class gives an object of its own to each attempt."""
    recipe: Recipe = submission(SHAPES[shape].task).recipe
    made = [recipe.make(), recipe.make()]
    assert made[0] is not made[1]
    assert type(made[0]) is type(made[1]) in {WithRun, CallableClass}


@pytest.mark.parametrize(
    "task",
    [
        None,
        5,
        b"bytes",
        object(),
        [function],
        NothingToRun(),
        NothingToRun,
        RunIsNone(),
        RunIsNone,
        functools.partial(NothingToRun),
        int,
        AsyncRun(),
        AsyncRun,
        functools.partial(AsyncRun),
        AsyncCallable,
        AsyncLook(),
        async_generator,
        async_generator(),
        (number for number in range(3)),
    ],
    ids=lambda task: getattr(task, "__qualname__", type(task).__qualname__),
)
def test_what_cannot_be_minded_is_refused(task: object) -> None:
    """No run and no call, or an async one that nobody would await: NotATask, a TypeError."""
    with pytest.raises(NotATask) as caught:
        submission(task)
    assert isinstance(caught.value, TypeError)


def test_a_coroutine_object_is_refused_with_the_cure() -> None:
    """A coroutine object is closed (no warning is left behind), and the message says what to do."""
    awaitable = coroutine_function()
    with pytest.raises(NotATask, match=r"functools\.partial"):
        submission(awaitable)
    with pytest.raises(RuntimeError, match="cannot reuse"):
        awaitable.send(None)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(
            (option, value)
            for option in ("timeout", "deadline", "start_by", "not_before")
            for value in (-1, -1e-9, math.nan, math.inf, -math.inf, 1e12, 10**400, "5", True, b"")
        ),
        *(("attempts", value) for value in (0, -1, 1.0, "2", True, 2**60, None)),
        *(("priority", value) for value in (0.5, "high", True, 2**60, None)),
        *(("parent", value) for value in (0, -1, 1.0, "1", True, 2**60)),
        *(("retry_of", value) for value in (0, -1, 1.0, "1", True, 2**60)),
        *(("name", value) for value in (5, b"bytes", object(), ["x"])),
        *(("key", value) for value in (5, b"bytes", "x" * 1_001, "\ud800")),
        *(("unique_key", value) for value in (5, b"bytes", "x" * 1_001, "\udfff")),
        *(("tags", value) for value in ("text", 5, None, [5], [b"x"], [None])),
        ("tags", [str(number) for number in range(65)]),
        *(("mode", value) for value in ("", "nonsense", "AUTO", 0, False, 5, "async", Mode.ASYNC)),
        *(("cadence", value) for value in (5, "fast", object(), b"")),
        ("arguments", {}),
        ("arguments", 0),
    ],
    ids=short,
)
def test_every_bad_option_is_refused_by_name(option: str, value: object) -> None:
    """A value outside what is possible raises BadOption, a ValueError, that names the option."""
    with pytest.raises(BadOption) as caught:
        submission(function, **{option: value})
    assert caught.value.option == option
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("option", ["timout", "prio", "tag", "store", "self", "daemon"])
def test_an_option_that_does_not_exist_is_a_type_error(option: str) -> None:
    """A misspelt option is refused as it is by any function, never swallowed."""
    for task in (function, coroutine_function, WithRun, "sample"):
        arguments = {"arguments": {"value": 1}} if task == "sample" else {}
        with pytest.raises(TypeError, match=option):
            submission(task, **{option: 1}, **arguments)


def test_the_options_make_the_row() -> None:
    """Relative times become wall times, texts are cut to what can be stored, tags are a set in
    order."""
    row = submission(
        function,
        mode="polling",
        name="n" * 5_000 + "\ud800",
        key="k",
        priority=-(2**53),
        tags=(tag for tag in ["b", "a", "b", ""]),
        timeout=0,
        deadline=1e11,
        start_by=2.5,
        not_before=WALL + 1,
        attempts=2**53,
        unique_key="u" * 1_000,
        parent=1,
        retry_of=2**53,
    ).draft
    assert (row.mode, row.name, row.key, row.priority) == ("polling", "n" * 1_000, "k", -(2**53))
    assert (row.tags, row.timeout, row.deadline) == (("b", "a", ""), 0.0, WALL + 1e11)
    assert (row.start_by, row.not_before) == (WALL + 2.5, WALL + 1)
    assert (row.attempts_allowed, row.unique_key) == (2**53, "u" * 1_000)
    assert (row.parent, row.retry_of) == (1, 2**53)


@pytest.mark.parametrize("options", [{}, dict.fromkeys(["mode", "name", "key", "timeout"])])
def test_none_stands_for_what_was_not_said(options: dict[str, Any]) -> None:
    """An option that is None is as one that was left out."""
    assert submission(function, **options).draft == submission(function).draft


def test_a_name_that_cannot_be_written_is_shown_as_far_as_it_can() -> None:
    """A lone surrogate in a name, as in a strange file's, does not stop a submission."""
    assert submission(function, name="a\ud800b").draft.name == "a?b"


@pytest.mark.parametrize("not_before", [None, 0, WALL - 1e9, WALL - 1e-6, WALL])
def test_a_start_time_that_has_come_delays_nothing(not_before: float | None) -> None:
    """not_before in the past, or at this very moment, is none."""
    assert submission(function, not_before=not_before).draft.not_before is None


@pytest.mark.parametrize("task", [coroutine_function, AsyncCallable()])
@pytest.mark.parametrize("mode", ["auto", "blocking", "polling"])
def test_an_async_function_has_no_other_mode(task: object, mode: str) -> None:
    """Of an async function only `async` can be said."""
    assert submission(task, mode="async").recipe.mode is Mode.ASYNC
    with pytest.raises(BadOption):
        submission(task, mode=mode)


def test_a_class_says_its_mode_and_the_option_wins() -> None:
    """`creche_mode` counts where no option is given, and is checked like one."""

    class Polling(WithRun):
        creche_mode = Mode.POLLING

    class Bad(WithRun):
        creche_mode = "sometimes"

    for task in (Polling, Polling(), functools.partial(Polling)):
        assert submission(task).recipe.mode is Mode.POLLING
        assert submission(task, mode="blocking").recipe.mode is Mode.BLOCKING
    with pytest.raises(BadOption):
        submission(Bad())


@pytest.mark.parametrize("attempts", [2, 0, "3", None, True])
def test_a_live_object_has_one_attempt(attempts: object) -> None:
    """More attempts than one are for what can be made anew, or says that it can be run again."""
    with pytest.raises(BadOption, match="attempts"):
        submission(WithRun(), attempts=attempts)
    with pytest.raises(BadOption, match="attempts"):
        submission(WithRun(), attempts=attempts, reusable=False)
    assert submission(WithRun(), attempts=2, reusable=True).recipe.reusable


# -- registered kinds ----------------------------------------------------------------------------


def test_a_kind_is_checked_and_can_be_made_again() -> None:
    """A known name with fitting arguments is a recoverable row with canonical arguments."""
    found = submission("sample", arguments={"value": 3, "scale": 0}, name="mine")
    row = found.draft
    assert (row.kind, row.name, row.recoverable, row.mode) == ("sample", "mine", True, Mode.AUTO)
    assert row.arguments == '{"scale":0.0,"seed":null,"value":3}'
    assert found.recipe.reusable
    made = [found.recipe.make(), found.recipe.make()]
    assert made[0] is not made[1]


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("", {}, KindNotFound),
        ("nonsense", {}, KindNotFound),
        ("Sample", {"arguments": {"value": 1}}, KindNotFound),
        ("x" * 10_000, {}, KindNotFound),
        ("sample", {}, BadArguments),
        ("sample", {"arguments": {}}, BadArguments),
        ("sample", {"arguments": {"value": 1, "more": 2}}, BadArguments),
        ("sample", {"arguments": [1]}, BadArguments),
        ("sample", {"arguments": {"value": 1, "scale": math.nan}}, BadArguments),
        ("sample", {"arguments": {"value": 1}, "timeout": -1}, BadOption),
        ("sample", {"arguments": {"value": 1}, "mode": "nonsense"}, BadOption),
        ("sample", {"arguments": {"value": 1}, "mode": "async"}, BadOption),
        ("sample", {"arguments": {"value": 1}, "cadence": 5}, BadOption),
    ],
    ids=short,
)
def test_a_kind_that_does_not_fit_is_refused(
    name: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """An unknown name, arguments that do not fit, and bad options are told apart."""
    with pytest.raises(error):
        submission(name, **options)
