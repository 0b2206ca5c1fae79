"""Leaving an engine's block: what waits, what is cancelled, and what comes out."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from engine import EngineClosed, Event, Rung, State, TaskCancelled, TaskFailed
from engine.cadence import Fixed
from tests.contract.engines import (
    Gate,
    LateThreads,
    Script,
    Work,
    World,
    one,
    raising,
    steps,
)

if TYPE_CHECKING:
    from trio.testing import MockClock


class Own(BaseException):
    """The user's own, of no common kind."""


async def test_leaving_waits_for_every_live_task(world: World, clock: MockClock) -> None:
    """The end of the block comes when tasks that wait, poll, sleep and retry have all ended."""
    calls = []

    def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError
        return 3

    async with world.engine(cadence=Fixed(1)) as engine:
        ids = [
            engine.submit_nowait(one, not_before=world.wall() + 500),
            engine.submit_nowait(Work(clock, 300)),
            engine.submit_nowait(partial(trio.sleep, 900)),
            engine.submit_nowait(flaky, attempts=3),
            engine.submit_nowait(raising(OSError())),
        ]
    assert trio.current_time() == pytest.approx(900)
    states = [engine.status(task_id).state for task_id in ids]
    assert states == [State.SUCCEEDED] * 4 + [State.FAILED]
    assert engine.statistics().live == 0


async def test_no_failure_of_a_task_comes_out_of_the_block(world: World, clock: MockClock) -> None:
    """Whatever tasks raise, the block ends in good order."""
    async with world.engine() as engine:
        ids = await engine.submit_many(
            [raising(error) for error in (ValueError(), SystemExit(1), KeyboardInterrupt(), Own())]
        )
    assert engine.counts()[State.FAILED] == len(ids)
    with pytest.raises(TaskFailed):
        await engine.result(ids[0])


ERRORS = [
    ValueError("mine"),
    SystemExit(17),
    KeyboardInterrupt(),
    GeneratorExit(),
    Own(),
    StopIteration(1),
    StopAsyncIteration(),
    ExceptionGroup("mine", [ValueError(), OSError()]),
    BaseExceptionGroup("mine", [Own(), ValueError()]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("busy", [False, True])
async def test_an_exception_comes_out_as_the_same_object(
    world: World, clock: MockClock, error: BaseException, busy: bool
) -> None:
    """What leaves the block leaves it unchanged: the same object, in no group, its cause and
    context as they were, however busy the engine is."""
    before = (error.__cause__, error.__context__, error.__suppress_context__, error.args)
    caught: BaseException | None = None
    engine = world.engine()
    try:
        async with engine:
            if busy:
                engine.submit_nowait(trio.sleep_forever)
                engine.submit_nowait(Script(None))
                engine.submit_nowait(raising(OSError()))
                engine.submit_nowait(one, not_before=world.wall() + 99)
                await trio.sleep(1)
            raise error  # noqa: TRY301  out of the block
    except BaseException as out:  # noqa: BLE001  whatever comes
        caught = out
    assert caught is error
    after = (error.__cause__, error.__context__, error.__suppress_context__, error.args)
    assert after == before
    assert engine.statistics().live == 0


async def test_an_exception_comes_out_unchanged_while_an_outer_scope_is_cancelled(
    world: World, clock: MockClock
) -> None:
    """An exception that meets a cancellation on its way keeps its own context."""
    error, context = ValueError("mine"), KeyError("my context")
    with (  # noqa: PT012  the block is what is left
        trio.CancelScope() as scope,
        pytest.raises(ValueError, match="mine") as caught,
    ):
        async with world.engine() as engine:
            engine.submit_nowait(trio.sleep_forever)
            await trio.sleep(1)
            scope.cancel()
            try:
                raise context
            except KeyError:
                raise error  # noqa: B904  with its natural context
    assert caught.value is error
    assert error.__context__ is context
    assert context.__context__ is None


async def test_leaving_by_an_exception_cancels_what_is_live(world: World, clock: MockClock) -> None:
    """Tasks of every live state are cancelled, with the reason; none of them goes on."""
    history: list[str] = []

    async def coroutine() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            history.append("cleaned up")

    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with world.engine(capacity=1, cadence=Fixed(10)) as engine:
            ids = {
                "coroutine": engine.submit_nowait(coroutine),
                "polling": engine.submit_nowait(Script(None)),
                "waiting": engine.submit_nowait(one, not_before=world.wall() + 99),
            }
            await trio.sleep(5)
            raise Own
    assert history == ["cleaned up"]
    assert trio.current_time() == pytest.approx(7)
    for name, task_id in ids.items():
        row = engine.status(task_id)
        assert (row.state, row.reason) == (State.CANCELLED, "the engine was left"), name
        with pytest.raises(TaskCancelled):
            await engine.result(task_id)
    await trio.sleep(200)
    assert engine.counts()[State.CANCELLED] == 3


async def test_ten_bodies_that_never_end_hold_the_block_for_the_grace_only(
    world: World, clock: MockClock
) -> None:
    """Leaving by an exception while ten threads are at work takes the grace; then they are left
    behind, marked, still `cancelling`: their code may still act."""
    gates = [Gate() for _ in range(10)]
    error = Own()
    began = 0.0
    with pytest.raises(Own) as caught:  # noqa: PT012  the block is what is left
        async with world.engine(grace=5, capacity=10) as engine:
            ids = await engine.submit_many([*gates, one, one])
            for gate in gates:
                await world.until(gate.begun)
            began = trio.current_time()

            async def pass_time() -> None:
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                    clock.jump(5)

            trio.lowlevel.spawn_system_task(pass_time)
            raise error
    world.bodies_left_behind = True
    assert trio.current_time() - began == pytest.approx(5)
    assert not isinstance(caught.value, BaseExceptionGroup)
    for task_id in ids[:10]:
        row = engine.status(task_id)
        assert (row.state, row.rung) == (State.CANCELLING, Rung.ABANDONED)
    assert [engine.status(task_id).state for task_id in ids[10:]] == [State.CANCELLED] * 2
    for gate in gates:
        gate.open.set()


async def test_bodies_that_end_within_the_grace_are_waited_for(
    world: World, clock: MockClock
) -> None:
    """A thread that ends in time is recorded with what came of it, and the block ends then."""
    good, bad = Gate("output"), Gate(error=OSError("late"))
    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with world.engine(grace=1000) as engine:
            ids = await engine.submit_many([good, bad])
            for gate in (good, bad):
                await world.until(gate.begun)

            async def let_go() -> None:
                await trio.testing.wait_all_tasks_blocked()
                good.open.set()
                bad.open.set()

            trio.lowlevel.spawn_system_task(let_go)
            raise Own
    rows = [engine.status(task_id) for task_id in ids]
    assert [row.state for row in rows] == [State.SUCCEEDED, State.CANCELLED]
    assert rows[1].late == "OSError: late"
    assert await engine.result(ids[0]) == "output"
    assert trio.current_time() < 1000


@pytest.mark.parametrize("grace", [0, 5])
async def test_all_is_cancelled_whatever_the_grace(
    world: World, clock: MockClock, grace: float
) -> None:
    """Without any grace too, every task that is not in a thread ends `cancelled`."""
    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with world.engine(grace=grace, capacity=1) as engine:
            await engine.submit_many([one] * 1_000, not_before=world.wall() + 9)
            await engine.submit_many([Script(None)] * 20)
            await trio.sleep(1)
            raise Own
    assert engine.counts()[State.CANCELLED] == 1_020


async def test_a_call_that_no_thread_has_begun_is_not_waited_for(
    world: World, clock: MockClock
) -> None:
    """Leaving by an exception takes back what is still on its way to a thread."""
    threads, gate = LateThreads(world), Gate()
    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with world.engine(threads=threads.run_sync, grace=50) as engine:
            task_id = engine.submit_nowait(gate)
            await steps()
            raise Own
    assert (engine.status(task_id).state, gate.calls) == (State.CANCELLED, 0)
    assert trio.current_time() == 0


# -- cancellation from outside -------------------------------------------------------------------


async def test_a_cancelled_block_follows_the_same_rule(world: World, clock: MockClock) -> None:
    """When a scope around the engine is cancelled, tasks are cancelled by the ladder, a body in a
    thread gets the grace, all is recorded, and only then is the block left."""
    gate = Gate("in time")
    with trio.CancelScope() as scope:
        async with world.engine(grace=1000, capacity=1) as engine:
            ids = await engine.submit_many([gate, one, one])
            ids.append(engine.submit_nowait(trio.sleep_forever))
            await world.until(gate.begun)

            async def let_go() -> None:
                await trio.testing.wait_all_tasks_blocked()
                assert engine.status(ids[0]).state is State.CANCELLING
                gate.open.set()

            trio.lowlevel.spawn_system_task(let_go)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    states = [engine.status(task_id).state for task_id in ids]
    assert states == [State.SUCCEEDED] + [State.CANCELLED] * 3
    assert engine.statistics().backlog == 0


async def test_a_deadline_around_the_block_ends_the_wait_for_its_tasks(
    world: World, clock: MockClock
) -> None:
    """A cancellation that arrives while the block waits for live tasks cancels these too."""
    with trio.move_on_after(100) as scope:
        async with world.engine() as engine:
            ids = [engine.submit_nowait(trio.sleep_forever), engine.submit_nowait(Script(None))]
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(100)
    assert [engine.status(task_id).state for task_id in ids] == [State.CANCELLED] * 2


async def test_a_cancelled_wait_for_the_end_takes_nothing_more_in(
    world: World, clock: MockClock
) -> None:
    """Once the end of the block is being enforced, a body that submits gets EngineClosed."""
    gate = Gate()
    said: list[str] = []

    def body() -> None:
        gate()
        try:
            trio.from_thread.run_sync(engine.submit_nowait, one)
        except EngineClosed:
            said.append("closed")
        except trio.Cancelled:
            said.append("cancelled")

    with trio.CancelScope() as scope:
        async with world.engine(grace=1000) as engine:
            engine.submit_nowait(body)
            await world.until(gate.begun)

            async def cancel() -> None:
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
                gate.open.set()

            trio.lowlevel.spawn_system_task(cancel)
    assert said == ["closed"]
    assert sum(engine.counts().values()) == 1
    assert engine.statistics().live == 0


async def test_an_engine_in_a_nursery_is_left_when_a_sibling_fails(
    world: World, clock: MockClock
) -> None:
    """An engine whose neighbour in a nursery raises is cancelled with it, in good order."""
    engines: list[Any] = []

    async def serve() -> None:
        async with world.engine() as engine:
            engines.append(engine)
            engine.submit_nowait(trio.sleep_forever)
            engine.submit_nowait(one, not_before=world.wall() + 1e6)
            await trio.sleep_forever()

    async def fail() -> None:
        await trio.sleep(10)
        raise Own

    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012  the nursery is what is left
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            nursery.start_soon(fail)
    assert [type(error) for error in caught.value.exceptions] == [Own]
    assert engines[0].counts()[State.CANCELLED] == 2


async def test_what_was_recorded_on_leaving_is_durable(world: World, clock: MockClock) -> None:
    """After the block nothing is pending: every recorded move is committed and published."""
    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with world.engine() as engine:
            await engine.submit_many([one] * 50, not_before=world.wall() + 9)
            raise Own
    statistics = engine.statistics()
    assert (statistics.backlog, statistics.durable_revision) == (0, statistics.revision)
    events = [event for event in engine.reader().events("") if isinstance(event, Event)]
    assert sum(event.state is State.CANCELLED for event in events) == 50


async def test_after_the_block_nothing_can_be_cancelled(world: World, clock: MockClock) -> None:
    """After leaving, cancel_nowait raises EngineClosed; cancel of a final task answers."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one)
    with pytest.raises(EngineClosed):
        engine.cancel_nowait(task_id)
    assert (await engine.cancel(task_id)).rung is Rung.ALREADY_FINAL


async def test_process_globals_are_left_alone(world: World, clock: MockClock) -> None:
    """An engine changes no signal handler, switch interval, garbage collector or umask."""

    def globals_of_the_process() -> tuple[object, ...]:
        umask = os.umask(0o077)
        os.umask(umask)
        return (
            {number: signal.getsignal(number) for number in signal.valid_signals()},
            sys.getswitchinterval(),
            gc.isenabled(),
            gc.get_threshold(),
            umask,
            sys.excepthook,
            threading.excepthook,
        )

    before = globals_of_the_process()
    async with world.engine() as engine:
        await engine.wait(await engine.submit_many([one] * 10))
        inside = globals_of_the_process()
    assert before == inside == globals_of_the_process()
