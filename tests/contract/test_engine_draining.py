"""What drain() ends, what it leaves, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from engine import EngineClosed, Event, State
from engine.cadence import Fixed
from tests.contract.engines import Gate, Script, World, one

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_draining_engine_takes_nothing_in_and_starts_nothing(
    world: World, clock: MockClock
) -> None:
    """After drain() submissions are refused, and queued and waiting tasks stay what they are."""
    gate = Gate()
    async with world.engine(capacity=1) as engine:
        first = engine.submit_nowait(gate)
        queued = engine.submit_nowait(one)
        waiting = engine.submit_nowait(one, not_before=world.wall() + 1)
        await world.until(gate.begun)
        gate.open.set()
        draining = [engine.draining]
        await engine.drain()
        draining += [engine.draining, engine.statistics().draining]
        assert draining == [False, True, True]
        with pytest.raises(EngineClosed, match="drain"):
            engine.submit_nowait(one)
        with pytest.raises(EngineClosed, match="drain"):
            await engine.submit_many([one])
        await trio.sleep(10)
        states = [engine.status(task_id).state for task_id in (first, queued, waiting)]
        assert states == [State.SUCCEEDED, State.QUEUED, State.WAITING]
    assert engine.status(queued).state is State.QUEUED


async def test_a_drain_gives_executing_calls_the_grace(world: World, clock: MockClock) -> None:
    """A body that ends in time is recorded, and those who wait for it get its output."""
    gate = Gate("in time")
    answers: list[object] = []
    async with world.engine(grace=1000) as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(gate)

        async def ask() -> None:
            answers.append(await engine.result(task_id))

        async def let_go() -> None:
            await trio.testing.wait_all_tasks_blocked()
            gate.open.set()

        nursery.start_soon(ask)
        await world.until(gate.begun)
        nursery.start_soon(let_go)
        await engine.drain()
        assert engine.status(task_id).state is State.SUCCEEDED
    assert answers == ["in time"]
    assert trio.current_time() < 1000


async def test_a_drain_ends_with_its_grace(world: World, clock: MockClock) -> None:
    """A body that does not end is left executing, its row as it is; drain's own grace counts."""
    gate = Gate()
    async with world.engine(grace=1000) as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(gate)
        await world.until(gate.begun)

        async def pass_time() -> None:
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(3)

        nursery.start_soon(pass_time)
        await engine.drain(3)
        assert trio.current_time() == pytest.approx(3)
        assert engine.status(task_id).state is State.RUNNING
    world.bodies_left_behind = True
    assert trio.current_time() == pytest.approx(3)
    gate.open.set()


async def test_a_drain_stops_looking(world: World, clock: MockClock) -> None:
    """Polling tasks are looked at no more and keep their state; at once, without any grace."""
    task = Script(None)
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(task)
        await trio.sleep(5.5)
        looks = task.looks_made
        await engine.drain()
        assert trio.current_time() == pytest.approx(5.5)
        assert engine.status(task_id).state is State.POLLING
        await trio.sleep(60)
        assert task.looks_made == looks
        assert engine.statistics().attempts == 0


async def test_a_run_that_starts_work_during_a_drain_leaves_it_polling(
    world: World, clock: MockClock
) -> None:
    """A run() that returns during the drain is recorded as polling, and nobody looks."""

    class Starts(Script):
        def __init__(self) -> None:
            super().__init__(None, "output")
            self.gate = Gate()

        def run(self) -> object:
            self.gate()
            return None

    task = Starts()
    async with world.engine(grace=1000) as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(task, mode="polling")
        await world.until(task.gate.begun)

        async def let_go() -> None:
            await trio.testing.wait_all_tasks_blocked()
            task.gate.open.set()

        nursery.start_soon(let_go)
        await engine.drain()
        assert engine.status(task_id).state is State.POLLING
    assert task.looks_made == 0


@pytest.mark.parametrize("how", ["exception", "cancellation", "order"])
async def test_rows_stay_however_the_drained_engine_is_left(
    world: World, clock: MockClock, how: str
) -> None:
    """What a drain has left stays what it is, even when the block is then left by an exception or
    cancelled: the next engine takes it over."""
    engine, task_id = world.engine(), 0
    with trio.CancelScope() as scope:
        try:
            async with engine:
                task_id = engine.submit_nowait(
                    "sample", arguments={"value": 1}, not_before=world.wall() + 60
                )
                await engine.drain(0)
                if how == "exception":
                    raise LookupError  # noqa: TRY301  out of the block
                if how == "cancellation":
                    scope.cancel()
                    await trio.sleep_forever()
        except LookupError:
            assert how == "exception"
    assert engine.status(task_id).state is State.WAITING
    if world.durable:
        async with world.engine() as following:
            assert following.status(task_id).state is State.WAITING
            following.cancel_nowait(task_id)


async def test_events_end_after_the_last_move_of_a_drain(world: World, clock: MockClock) -> None:
    """Who listens to events hears of everything that happened during the drain, then the end."""
    gate = Gate()
    heard: list[State] = []
    async with world.engine(grace=1000) as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(gate)

        async def listen() -> None:
            async for event in engine.events(""):
                assert isinstance(event, Event)
                heard.append(event.state)

        async def let_go() -> None:
            await trio.testing.wait_all_tasks_blocked()
            gate.open.set()

        nursery.start_soon(listen)
        await world.until(gate.begun)
        nursery.start_soon(let_go)
        await engine.drain()
    assert heard == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    assert engine.status(task_id).state is State.SUCCEEDED


async def test_a_second_drain_is_harmless(world: World, clock: MockClock) -> None:
    """Draining again, also without a single task, changes nothing."""
    async with world.engine() as engine:
        await engine.drain()
        await engine.drain(0)
    assert engine.draining


async def test_what_a_drain_left_can_still_be_cancelled(world: World, clock: MockClock) -> None:
    """Inside the block a drained engine still takes cancels, and their rows become final."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 99)
        await engine.drain()
        answer = await engine.cancel(task_id)
        assert answer.snapshot.state is State.CANCELLED
