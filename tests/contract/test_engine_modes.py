"""How an engine finds out what a task is, and what it calls when."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from typing import TYPE_CHECKING, ClassVar

import pytest
import trio

from engine import Mode, State, TaskFailed
from engine.cadence import Fixed
from tests.contract.engines import Script, World

if TYPE_CHECKING:
    from trio.testing import MockClock


class Shaped:
    """Answers run() and looks as told, and notes every call with its thread."""

    def __init__(self, answer: object = None, looks: tuple[object, ...] = (None,)) -> None:
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self._answer = answer
        self._looks = looks

    def run(self) -> object:
        self.calls.append("run")
        self.threads.add(threading.get_ident())
        return self._answer

    def check_output(self) -> object:
        self.calls.append("look")
        self.threads.add(threading.get_ident())
        return self._looks[min(self.calls.count("look"), len(self._looks)) - 1]


async def test_an_output_at_look_0_finishes_an_undeclared_task(
    world: World, clock: MockClock
) -> None:
    """An undeclared task whose output is there after run() is blocking; look 0 is no poll."""
    task = Shaped(answer="ignored", looks=("output",))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(task)
        assert await engine.result(task_id) == "output"
        row = engine.status(task_id)
        assert (row.mode, row.mode_guessed, row.polls) == (Mode.BLOCKING, False, 0)
    assert task.calls == ["run", "look"]
    assert len(task.threads) == 1


async def test_what_run_returned_is_the_output_when_look_0_has_none(
    world: World, clock: MockClock
) -> None:
    """An undeclared task whose run() returned something and whose look 0 found None is done."""
    task = Shaped(answer="from run")
    async with world.engine() as engine:
        task_id = engine.submit_nowait(task)
        assert await engine.result(task_id) == "from run"
        assert engine.status(task_id).mode is Mode.BLOCKING
    assert task.calls == ["run", "look"]


async def test_none_from_both_makes_a_task_polling_by_guess(world: World, clock: MockClock) -> None:
    """With None from run() and look 0 a task is shown `polling?` until its output is there."""
    task = Shaped(looks=(None, None, None, "output"))
    async with world.engine(cadence=Fixed(10)) as engine:
        task_id = engine.submit_nowait(task)
        await trio.sleep(15)
        row = engine.status(task_id)
        assert (row.state, row.mode, row.shown_mode) == (State.POLLING, Mode.POLLING, "polling?")
        assert await engine.result(task_id) == "output"
        row = engine.status(task_id)
        assert (row.shown_mode, row.polls) == ("polling", 3)
    assert task.calls == ["run", "look", "look", "look", "look"]


async def test_none_for_ever_stays_polling_and_can_be_cancelled(
    world: World, clock: MockClock
) -> None:
    """A task that never has anything to say is shown `polling?` for as long as it is let."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(Script(None))
        await trio.sleep(3600)
        assert engine.status(task_id).shown_mode == "polling?"
        assert engine.status(task_id).state is State.POLLING
        engine.cancel_nowait(task_id)


async def test_declared_blocking_takes_none_for_an_output(world: World, clock: MockClock) -> None:
    """`mode="blocking"`: what check_output() says after run() is the output, None too."""
    task = Shaped(answer="ignored")
    async with world.engine() as engine:
        task_id = engine.submit_nowait(task, mode="blocking")
        assert await engine.result(task_id) is None
        assert engine.status(task_id).mode is Mode.BLOCKING
    assert task.calls == ["run", "look"]


async def test_declared_polling_is_not_looked_at_right_away(world: World, clock: MockClock) -> None:
    """`mode="polling"`: no look 0, what run() returned is no output, and nothing is a guess."""
    task = Shaped(answer="ignored", looks=("output",))
    async with world.engine(cadence=Fixed(10)) as engine:
        task_id = engine.submit_nowait(task, mode=Mode.POLLING)
        await trio.sleep(5)
        assert task.calls == ["run"]
        assert engine.status(task_id).shown_mode == "polling"
        assert await engine.result(task_id) == "output"
        assert engine.status(task_id).polls == 1


@pytest.mark.parametrize("mode", ["blocking", "polling"])
async def test_a_class_may_declare_its_mode(world: World, clock: MockClock, mode: str) -> None:
    """The attribute `creche_mode` declares as the option does, and the option wins over it."""

    class Declared(Shaped):
        creche_mode: ClassVar[str] = mode

    async with world.engine() as engine:
        ids = [engine.submit_nowait(Declared(looks=("x",))), engine.submit_nowait(Declared)]
        assert {engine.status(task_id).mode for task_id in ids} == {Mode(mode)}
        other = engine.submit_nowait(Declared(looks=(None, "x")), mode="auto")
        assert await engine.result(other) == "x"
        assert engine.status(other).mode is Mode.POLLING
        for task_id in ids:
            engine.cancel_nowait(task_id)


async def test_get_output_is_the_other_name(world: World, clock: MockClock) -> None:
    """`get_output()` is asked where there is no check_output(), or where that is None."""

    class Other:
        check_output = None

        def __init__(self) -> None:
            self.left = 3

        def run(self) -> None:
            pass

        def get_output(self) -> str | None:
            self.left -= 1
            return None if self.left else "got"

    async with world.engine() as engine:
        assert await engine.result(engine.submit_nowait(Other())) == "got"


async def test_run_alone_is_blocking(world: World, clock: MockClock) -> None:
    """An object with run() alone is done when run() returns, None or not."""

    class Alone:
        check_output = None
        get_output = None

        def __init__(self, answer: object) -> None:
            self.answer = answer

        def run(self) -> object:
            return self.answer

    async with world.engine() as engine:
        ids = [engine.submit_nowait(Alone(answer)) for answer in (None, 0, "x")]
        assert [await engine.result(task_id) for task_id in ids] == [None, 0, "x"]
        assert {engine.status(task_id).mode for task_id in ids} == {Mode.BLOCKING}


@pytest.mark.parametrize("output", [0, False, "", [], 0.0])
async def test_a_false_output_is_an_output(world: World, clock: MockClock, output: object) -> None:
    """Only None means that there is nothing yet; what is merely false is an output."""
    async with world.engine() as engine:
        tasks = (Script(output), Script(None, None, output), Script(None, answer=output))
        for task in (*tasks, lambda: output):
            assert await engine.result(engine.submit_nowait(task)) == output


async def test_a_handle_makes_a_task_polling_without_a_guess(
    world: World, clock: MockClock
) -> None:
    """An object with handle() is polling, has no look 0, and its handle is on the row."""

    class Handled(Shaped):
        def handle(self) -> object:
            self.calls.append("handle")
            return {"job": [1, "two"]}

    task = Handled(answer="started", looks=("output",))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(task)
        assert await engine.result(task_id) == "output"
        assert engine.status(task_id).handle == '{"job":[1,"two"]}'
        assert engine.status(task_id).shown_mode == "polling"
    assert task.calls == ["run", "handle", "look"]


async def test_an_async_function_runs_on_the_loop_without_a_slot(
    world: World, clock: MockClock
) -> None:
    """An async function, a partial or bound method of one, or an async callable takes no thread."""

    class Callable:
        async def __call__(self) -> object:
            await trio.sleep(1)
            return threading.get_ident()

        async def method(self, add: int) -> object:
            await trio.sleep(1)
            return threading.get_ident() + add

    async def function(add: int = 0) -> object:
        await trio.sleep(1)
        return threading.get_ident() + add

    tasks = [
        function,
        functools.partial(function, add=0),
        functools.partial(functools.partial(function), 0),
        Callable(),
        functools.partial(Callable().method, 0),
    ]
    async with world.engine() as engine:
        ids = await engine.submit_many(tasks)
        await trio.sleep(0.5)
        statistics = engine.statistics()
        assert (statistics.coroutines, statistics.slots_taken) == (len(tasks), 0)
        assert {await engine.result(task_id) for task_id in ids} == {threading.get_ident()}
        assert {engine.status(task_id).mode for task_id in ids} == {Mode.ASYNC}


async def test_a_class_is_made_anew_for_each_attempt_in_the_bodys_thread(
    world: World, clock: MockClock
) -> None:
    """A class, or a partial of one, is a factory that each attempt calls in its own thread."""
    made: list[tuple[int, int]] = []

    class Made:
        def __init__(self, value: int = 5) -> None:
            made.append((value, threading.get_ident()))
            self.value = value

        def run(self) -> int:
            if len(made) % 2:
                raise OSError("again")
            return self.value

    async with world.engine() as engine:
        first = engine.submit_nowait(Made, attempts=2)
        assert await engine.result(first) == 5
        second = engine.submit_nowait(functools.partial(Made, 7), attempts=2)
        assert await engine.result(second) == 7
        assert engine.status(first).kind.endswith("Made")
    assert [value for value, _ in made] == [5, 5, 7, 7]
    assert threading.get_ident() not in {thread for _, thread in made}


async def test_calls_of_one_object_never_overlap(world: World, clock: MockClock) -> None:
    """However short the cadence, a look does not begin before the call before it has ended."""

    class Watched:
        def __init__(self) -> None:
            self.inside = 0
            self.overlaps = 0
            self.left = 50

        def enter(self) -> None:
            self.inside += 1
            self.overlaps += self.inside > 1

        def run(self) -> None:
            self.enter()
            self.inside -= 1

        def check_output(self) -> object:
            self.enter()
            self.left -= 1
            self.inside -= 1
            return None if self.left else "x"

    tasks = [Watched() for _ in range(20)]
    async with world.engine(cadence=Fixed(0.001)) as engine:
        await engine.wait(await engine.submit_many(tasks))
    assert [task.overlaps for task in tasks] == [0] * 20


async def test_nothing_is_called_after_the_output(world: World, clock: MockClock) -> None:
    """After the first output neither run() nor check_output() is called again."""
    task = Shaped(looks=(None, None, "output", "another"))
    async with world.engine(cadence=Fixed(1)) as engine:
        assert await engine.result(engine.submit_nowait(task)) == "output"
        await trio.sleep(100)
    assert task.calls == ["run", "look", "look", "look"]


async def test_the_object_is_let_go_after_success(world: World, clock: MockClock) -> None:
    """After the final state of a task that succeeded the engine holds its object no longer."""
    tasks = [Shaped("x"), Shaped(looks=(None, None, "x"))]
    references = [weakref.ref(task) for task in tasks]
    async with world.engine() as engine:
        await engine.wait(await engine.submit_many(tasks))
        tasks.clear()
        await trio.sleep(1)
        gc.collect()
        assert [reference() for reference in references] == [None, None]


async def test_the_object_is_let_go_after_failure(world: World, clock: MockClock) -> None:
    """After the final state of a task that failed the engine holds its object no longer."""

    class Fails:
        def run(self) -> None:
            raise ValueError

    task = Fails()
    reference = weakref.ref(task)
    async with world.engine() as engine:
        await engine.wait([engine.submit_nowait(task)])
        del task
        await trio.sleep(1)
        gc.collect()
        assert reference() is None


class AsyncRun:
    async def run(self) -> int:
        return 3


class AsyncLook:
    def run(self) -> None:
        pass

    async def check_output(self) -> int:
        return 3


class AsyncCall:
    async def __call__(self) -> int:
        return 3


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("task", [AsyncRun, AsyncLook(), lambda: AsyncRun().run()])
async def test_a_coroutine_is_never_an_output(world: World, clock: MockClock, task: object) -> None:
    """What returns a coroutine in a thread fails and says so; it did not succeed."""
    async with world.engine() as engine:
        with pytest.raises((TaskFailed, TypeError)):
            await engine.result(engine.submit_nowait(task))
