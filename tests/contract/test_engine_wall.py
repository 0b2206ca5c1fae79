"""The wall around tasks' code: whatever it raises, its task has failed and nobody else."""

from __future__ import annotations

import functools
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio

from engine import Engine, State, TaskFailed
from engine.cadence import Fixed
from tests.contract.engines import Script, World, one, reaches

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

SIBLINGS = 100


class Custom(BaseException):
    """Neither an Exception nor anything that Python knows."""


class Hostile(Exception):
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise SystemExit("from __str__")

    def __repr__(self) -> str:
        raise KeyboardInterrupt("from __repr__")

    def __eq__(self, other: object) -> bool:
        raise SystemExit("from __eq__")

    __hash__ = None  # type: ignore[assignment]


class Untrue(Hostile):
    """And nobody may ask whether it is true."""

    def __bool__(self) -> bool:
        raise SystemExit("from __bool__")


def throw(error: BaseException) -> Callable[[], NoReturn]:
    """A function that raises this."""

    def body() -> NoReturn:
        raise error

    return body


def recursion() -> Any:
    """Recursion in Python."""
    return recursion()


def recursion_in_c_by_sorting() -> Any:
    """Recursion through C: each comparison sorts again."""

    class Item:
        def __lt__(self, other: object) -> bool:
            return bool(sorted([Item(), Item()]))

    return sorted([Item(), Item()])


def recursion_in_c_by_repr() -> Any:
    """Recursion through C: a list nested too deeply to be shown."""
    nested: list[Any] = []
    for _ in range(200_000):
        nested = [nested]
    try:
        return repr(nested)
    finally:
        while nested:  # not left to the garbage collector
            nested = nested.pop()


def chained(kind: type[Hostile]) -> Callable[[], NoReturn]:
    """A function that raises a hostile exception which was caused by another."""

    def body() -> NoReturn:
        try:
            throw(kind("cause"))()
        except Hostile as cause:
            raise kind("effect") from cause

    return body


RAISERS: dict[str, tuple[Callable[[], Any], str]] = {
    "SystemExit": (throw(SystemExit(3)), "SystemExit"),
    "sys.exit": (sys.exit, "SystemExit"),
    "KeyboardInterrupt": (throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "GeneratorExit": (throw(GeneratorExit()), "GeneratorExit"),
    "BaseException": (throw(Custom("custom")), "test_engine_wall.Custom"),
    "recursion": (recursion, "RecursionError"),
    "sorted": (recursion_in_c_by_sorting, "RecursionError"),
    "repr": (recursion_in_c_by_repr, "RecursionError"),
    "MemoryError": (throw(MemoryError()), "MemoryError"),
    "StopIteration": (throw(StopIteration(5)), "StopIteration"),
    "StopAsyncIteration": (throw(StopAsyncIteration()), "StopAsyncIteration"),
    "group": (throw(ExceptionGroup("g", [ValueError(), SystemError()])), "ExceptionGroup"),
    "base group": (throw(BaseExceptionGroup("g", [SystemExit()])), "BaseExceptionGroup"),
    "hostile": (chained(Hostile), "test_engine_wall.Hostile"),
}


class InRun:
    def __init__(self, raiser: Callable[[], Any]) -> None:
        self._raiser = raiser

    def run(self) -> Any:
        return self._raiser()

    def check_output(self) -> None:
        pass


class InLook:
    def __init__(self, raiser: Callable[[], Any], looks: int) -> None:
        self._raiser = raiser
        self._left = looks

    def run(self) -> None:
        pass

    def check_output(self) -> Any:
        self._left -= 1
        return self._raiser() if self._left < 0 else None


class InInit:
    def __init__(self, raiser: Callable[[], Any]) -> None:
        raiser()

    def run(self) -> int:
        return 1


def in_coroutine(raiser: Callable[[], Any], seconds: float) -> Callable[[], Any]:
    async def body() -> Any:
        if seconds:
            await trio.sleep(seconds)
        return raiser()

    return body


def in_handle(raiser: Callable[[], Any]) -> object:
    class Handled(Script):
        def handle(self) -> object:
            return raiser()

    return Handled(None)


PLACES: dict[str, Callable[[Callable[[], Any]], object]] = {
    "function": lambda raiser: raiser,
    "run": InRun,
    "look 0": lambda raiser: InLook(raiser, 0),
    "check_output": lambda raiser: InLook(raiser, 2),
    "class": lambda raiser: functools.partial(InInit, raiser),
    "handle": in_handle,
    "async def": lambda raiser: in_coroutine(raiser, 0),
    "async def later": lambda raiser: in_coroutine(raiser, 2),
}


@pytest.mark.parametrize("place", PLACES)
async def test_whatever_is_raised_wherever_fails_that_task_alone(
    world: World, clock: MockClock, place: str
) -> None:
    """Every sort of exception, in every place of a task's code, ends that task `failed` with its
    type on the row; a hundred siblings of all modes succeed, and the engine is left in peace."""
    async with world.engine(cadence=Fixed(1)) as engine:
        siblings = [
            (Script(None, None, 1), one, functools.partial(given, 1))[number % 3]
            for number in range(SIBLINGS)
        ]
        ids = await engine.submit_many(siblings)
        failing = {
            name: engine.submit_nowait(PLACES[place](raiser))
            for name, (raiser, _) in RAISERS.items()
        }
        rows = await engine.wait(ids)
        assert {row.state for row in rows} == {State.SUCCEEDED}
        for name, task_id in failing.items():
            (row,) = await engine.wait([task_id])
            expected = RAISERS[name][1].replace("test_engine_wall", __name__)
            if place.startswith("async") and name == "StopIteration":
                expected = "RuntimeError"  # Python's own rule for coroutines
            assert row.error is not None, name
            assert (row.state, row.error.type) == (State.FAILED, expected)
            with pytest.raises(TaskFailed):
                await engine.result(task_id)
        assert engine.counts()[State.FAILED] == len(RAISERS)


async def given(output: object) -> object:
    """An async function with this output."""
    await trio.sleep(3)
    return output


@pytest.mark.parametrize("place", ["function", "check_output", "async def"])
async def test_an_exception_that_cannot_be_asked_for_its_truth_fails_its_task(
    world: World, clock: MockClock, place: str
) -> None:
    """An exception whose __bool__ raises fails its own task, like any other."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(PLACES[place](chained(Untrue)))
        with trio.move_on_after(100):
            await engine.wait([task_id])
        assert engine.status(task_id).state is State.FAILED


class Odd:
    """An output that is as hostile as it can be."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)

    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise GeneratorExit

    def __iter__(self) -> Any:
        raise MemoryError


@pytest.mark.parametrize("place", ["function", "run", "check_output", "async def"])
async def test_a_hostile_output_is_an_output_or_a_failure(
    world: World, clock: MockClock, place: str
) -> None:
    """An output whose every method raises ends its own task, one way or the other, and no more."""
    output = Odd()
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(PLACES[place](lambda: output))
        (row,) = await engine.wait([task_id])
        assert row.state in {State.SUCCEEDED, State.FAILED}
        if row.state is State.SUCCEEDED:
            assert await engine.result(task_id) is output
        assert await engine.result(engine.submit_nowait(one)) == 1


async def test_a_caught_exception_raised_again_leaves_its_frames_alone(
    world: World, clock: MockClock
) -> None:
    """A task that raises an exception which was caught elsewhere harms nobody who is still in a
    frame of its traceback: the caller's coroutine, a generator, another task."""
    kept: list[Exception] = []

    def generator() -> Any:
        try:
            throw(LookupError("in a generator"))()
        except LookupError as error:
            kept.append(error)
        yield 1
        yield 2

    async def other() -> str:
        try:
            throw(LookupError("in a task"))()
        except LookupError as error:
            kept.append(error)
        await trio.sleep(100)
        return "unharmed"

    async with world.engine() as engine:
        try:
            throw(LookupError("in the caller"))()
        except LookupError as error:
            kept.append(error)
        suspended = generator()
        assert next(suspended) == 1
        other_id = engine.submit_nowait(other)
        await trio.sleep(1)
        rows = await engine.wait([engine.submit_nowait(throw(error)) for error in kept])
        assert [row.state for row in rows] == [State.FAILED] * 3
        assert list(suspended) == [2]
        assert await engine.result(other_id) == "unharmed"


async def test_a_cancellation_kept_from_a_scope_of_its_own_is_a_failure(
    world: World, clock: MockClock
) -> None:
    """A coroutine that raises a Cancelled although nothing of the engine's was cancelled failed."""

    async def body() -> None:
        kept: list[BaseException] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept.append(error)
                raise
        raise kept[0]

    async with world.engine() as engine:
        (row,) = await engine.wait([engine.submit_nowait(body)])
        assert row.state is State.FAILED
        assert await engine.result(engine.submit_nowait(one)) == 1


async def test_an_awaitable_that_is_none_of_trios_fails_its_task(
    world: World, clock: MockClock
) -> None:
    """A coroutine that yields to Trio what Trio does not know has failed."""

    class Rubbish:
        def __await__(self) -> Any:
            yield "rubbish"

    async def body() -> None:
        await Rubbish()

    async with world.engine() as engine:
        (row,) = await engine.wait([engine.submit_nowait(body)])
        assert row.state is State.FAILED


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["started", "next_delay"])
@pytest.mark.parametrize(
    "whose",
    ["task", "engine"],
)
async def test_a_cadence_that_raises_fails_the_task_it_was_asked_for(
    world: World, clock: MockClock, whose: str, where: str, error: type[BaseException]
) -> None:
    """A cadence is a user's code too: what it raises ends its task and nothing else."""

    class Raising:
        def started(self, kind: str, now: float) -> Any:
            if where == "started":
                raise error
            return self

        def next_delay(self, now: float, hints: Any = None) -> float:
            raise error

        def ended(self, now: float, how: object) -> None:
            raise error

        def checked(self, kind: str, seconds: float) -> None:
            raise error

    options: dict[str, Any] = {"cadence": Raising()}
    mine, theirs = ({}, options) if whose == "engine" else (options, {})
    async with world.engine(**theirs) as engine:
        (row,) = await engine.wait([engine.submit_nowait(Script(None, "x"), **mine)])
        assert row.state is State.FAILED
        following = engine.submit_nowait(Script(None, "x"), cadence=Fixed(1))
        assert await engine.result(following) == "x"


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), -1.0, 1e300, "1s", None, 10**400])
async def test_a_delay_that_is_none_fails_the_task(
    world: World, clock: MockClock, delay: Any
) -> None:
    """A cadence that answers with no possible delay ends the task, and says what it answered."""

    class Odd:
        def started(self, kind: str, now: float) -> Any:
            return self

        def next_delay(self, now: float, hints: Any = None) -> Any:
            return delay

        def ended(self, now: float, how: object) -> None:
            pass

    async with world.engine() as engine:
        task_id = engine.submit_nowait(Script(None, "x"), cadence=Odd())
        with pytest.raises(TaskFailed, match="next_delay"):
            await engine.result(task_id)


async def test_what_a_cadence_raises_without_need_is_only_logged(
    world: World, clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A cadence's ended() and checked() have no say: when they raise, the task still succeeds."""

    class Grumbling:
        def started(self, kind: str, now: float) -> Any:
            return self

        def next_delay(self, now: float, hints: Any = None) -> float:
            return 1.0

        def ended(self, now: float, how: object) -> None:
            raise ValueError("ended")

        def checked(self, kind: str, seconds: float) -> None:
            raise ValueError("checked")

    async with world.engine() as engine:
        task_id = engine.submit_nowait(Script(None, "x"), cadence=Grumbling())
        assert await engine.result(task_id) == "x"
    assert len(caplog.records) == 2


async def test_a_failed_task_is_described_within_bounds(world: World, clock: MockClock) -> None:
    """An exception of 50 MB with 300 causes and 200 members becomes a small row."""
    text = "x" * 50_000_000

    def body() -> NoReturn:
        error: Exception = ExceptionGroup("many", [ValueError(n) for n in range(200)])
        for _ in range(300):
            following = ValueError(text)
            following.__cause__ = error
            error = following
        raise error

    async with world.engine() as engine:
        (row,) = await engine.wait([engine.submit_nowait(body)])
        assert row.error is not None
        assert len(row.error.message.encode()) <= 8 * 1024
        assert len(row.error.causes) <= 8
        assert len(str(row)) < 2_000_000


def test_a_real_interrupt_ends_the_program_and_not_a_task() -> None:
    """Ctrl-C while a coroutine task is at work comes out of the block as KeyboardInterrupt; the
    task was cancelled, it did not fail."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        pytest.skip("somebody else handles SIGINT here")

    async def main() -> None:
        async with Engine(grace=1) as engine:

            async def body() -> None:
                signal.raise_signal(signal.SIGINT)
                await trio.sleep_forever()

            engine.submit_nowait(body)
            try:
                await trio.sleep_forever()
            finally:
                engines.append(engine)

    engines: list[Engine] = []
    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert engines[0].counts()[State.CANCELLED] == 1


async def test_the_siblings_of_a_task_that_dies_in_its_cleanup(
    world: World, clock: MockClock
) -> None:
    """A coroutine that raises SystemExit while it is unwound is `cancelled` with a note."""

    async def body() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise SystemExit(9)

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body)
        sibling = engine.submit_nowait(functools.partial(given, "fine"))
        await trio.sleep(1)
        engine.cancel_nowait(task_id)
        row = await reaches(engine, task_id)
        assert (row.state, row.late) == (State.CANCELLED, "SystemExit: 9")
        assert await engine.result(sibling) == "fine"
