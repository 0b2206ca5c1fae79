"""What the next engine on a store makes of what the last one left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest
import trio

from engine import (
    Effect,
    EngineClosed,
    Kind,
    OutputNotKept,
    Registry,
    State,
    TaskCancelled,
    TaskFailed,
    TaskLost,
)
from engine.cadence import Fixed
from tests.contract.engines import Gate, Script, World, one, raising, reaches

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock


@pytest.fixture
def world(tmp_path: Path, clock: MockClock) -> World:
    """A world with a store in a file."""
    return World(clock, tmp_path / "tasks.db")


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """None."""


class Crash:
    """The store as a kill -9 of its engine would leave it, at a moment of the test's choosing."""

    def __init__(self, world: World, tmp_path: Path) -> None:
        self.world = World(world.clock, tmp_path / "crashed.db")
        self._from = world.path

    async def now(self) -> None:
        """Copy what is committed, with the open engine's owner row."""
        await trio.to_thread.run_sync(self._copy)

    def _copy(self) -> None:
        source = apsw.Connection(str(self._from), flags=apsw.SQLITE_OPEN_READONLY)
        target = apsw.Connection(str(self.world.path))
        with target.backup("main", source, "main") as backup:
            backup.step()
        target.close()
        source.close()
        assert self.world.path is not None
        self.world.path.chmod(0o600)


@pytest.fixture
def crash(world: World, tmp_path: Path) -> Crash:
    """A crash to come."""
    return Crash(world, tmp_path)


def registry(build: Any, effect: Effect = Effect.AT_LEAST_ONCE) -> Registry:
    """One kind, named odd."""
    return Registry([Kind("odd", NoArguments, lambda _: build(), effect)])


async def test_after_a_clean_end_everything_is_as_it_was(world: World, clock: MockClock) -> None:
    """Final rows, outputs and counts are there in the next epoch; ids go on without a gap."""
    async with world.engine() as engine:
        ids = await engine.submit_many([lambda: {"kept": [1]}, raising(OSError("why"))])
        ids.append(engine.submit_nowait(lambda: object()))  # noqa: PLW0108  a function of our own
        ids.append(engine.submit_nowait(one, not_before=world.wall() + 9))
        await engine.cancel(ids[-1])
        rows = await engine.wait(ids)
        counts = engine.counts()
    async with world.engine() as engine:
        assert engine.epoch == 2
        assert [await engine.get(task_id) for task_id in ids] == rows
        assert engine.counts() == counts
        assert await engine.result(ids[0]) == {"kept": [1]}
        assert await engine.output_json(ids[0]) == '{"kept":[1]}'
        with pytest.raises(TaskFailed, match="OSError: why") as caught:
            await engine.result(ids[1])
        assert caught.value.__cause__ is None
        with pytest.raises(OutputNotKept, match="serialisable"):
            await engine.result(ids[2])
        with pytest.raises(TaskCancelled):
            await engine.result(ids[3])
        assert [row.id for row in await engine.wait(ids)] == ids
        assert [task_id async for task_id in engine.as_completed(ids)] == ids
        assert await engine.submit(one) == ids[-1] + 1
        page = await engine.list("state:final")
        assert [row.id for row in page.tasks][-4:] == ids[::-1]
    assert world.problems() == []


async def test_live_objects_are_lost_with_their_process(
    world: World, clock: MockClock, crash: Crash
) -> None:
    """Queued, waiting, running and polling live objects are `lost` after a crash, and say why."""
    gate = Gate()
    async with world.engine(capacity=1, cadence=Fixed(1)) as engine:
        polling = engine.submit_nowait(Script(None))
        await trio.sleep(1)
        running = engine.submit_nowait(gate)
        await world.until(gate.begun)
        queued, waiting = engine.submit_nowait(one), engine.submit_nowait(one, not_before=3e9)
        ids = [polling, running, queued, waiting]
        await engine.cancel(await engine.submit(one))
        await crash.now()
        async with crash.world.engine() as following:
            for task_id in ids:
                with pytest.raises(TaskLost, match="process that has ended"):
                    await following.result(task_id)
            assert following.counts()[State.LOST] == 4
            assert following.counts()[State.CANCELLED] == 1
            assert following.statistics().live == 0
            assert await following.submit(one) > max(ids)
        assert crash.world.problems() == []
        for task_id in ids:
            engine.cancel_nowait(task_id)
        gate.open.set()


async def test_registered_kinds_go_on(world: World, clock: MockClock, crash: Crash) -> None:
    """Queued, waiting and running rows of a registered kind run in the next engine."""
    gates: list[Gate] = []

    def build() -> Gate:
        gates.append(Gate())
        return gates[-1]

    async with world.engine(capacity=1, kinds=registry(build)) as engine:
        running = await engine.submit("odd")
        while not gates:
            await trio.lowlevel.checkpoint()
        await world.until(gates[0].begun)
        queued = await engine.submit("odd")
        waiting = await engine.submit("odd", not_before=world.wall() + 30)
        await crash.now()
        async with crash.world.engine(kinds=registry(lambda: one)) as following:
            row = following.status(running)
            assert (row.state, row.crashes) in {(State.QUEUED, 1), (State.RUNNING, 1)}
            assert following.status(waiting).state is State.WAITING
            for task_id in (running, queued, waiting):
                assert await following.result(task_id) == 1
            assert following.status(queued).crashes == 0
            assert trio.current_time() >= 30
        assert crash.world.problems() == []
        for gate in gates:
            gate.open.set()
        engine.cancel_nowait(waiting)
        engine.cancel_nowait(queued)


async def test_what_must_not_run_twice_is_lost(
    world: World, clock: MockClock, crash: Crash
) -> None:
    """At-most-once work that had started is `lost`; what had not started runs."""
    gates = [Gate(), Gate()]
    built = iter(gates)
    kinds = registry(lambda: next(built), Effect.AT_MOST_ONCE)
    async with world.engine(capacity=1, kinds=kinds) as engine:
        started = await engine.submit("odd")
        await world.until(gates[0].begun)
        queued = await engine.submit("odd")
        await crash.now()
        following_kinds = registry(lambda: one, Effect.AT_MOST_ONCE)
        async with crash.world.engine(kinds=following_kinds) as following:
            with pytest.raises(TaskLost, match="must not run twice"):
                await following.result(started)
            assert await following.result(queued) == 1
        assert crash.world.problems() == []
        for gate in gates:
            gate.open.set()


async def test_a_cancelling_row_ends_as_it_was_to_end(
    world: World, clock: MockClock, crash: Crash
) -> None:
    """T16: the body died with its process, so what was asked for, or was over, is so now."""
    gates = [Gate(), Gate()]
    async with world.engine() as engine:
        asked = engine.submit_nowait(gates[0])
        late = engine.submit_nowait(gates[1], timeout=5)
        for gate in gates:
            await world.until(gate.begun)
        clock.jump(5)
        await engine.wait([late])
        await engine.cancel(asked)
        await crash.now()
        async with crash.world.engine() as following:
            assert (await following.get(asked)).state is State.CANCELLED
            assert (await following.get(late)).state is State.TIMED_OUT
        assert crash.world.problems() == []
        for gate in gates:
            gate.open.set()


async def test_times_go_on_across_a_restart(world: World, clock: MockClock) -> None:
    """A deadline and a start-by time that passed while no engine ran end their tasks at once."""
    async with world.engine() as engine:
        deadline = await engine.submit(
            "sample", arguments={"value": 1}, deadline=50, not_before=world.wall() + 500
        )
        start_by = await engine.submit(
            "sample", arguments={"value": 1}, start_by=50, not_before=world.wall() + 500
        )
        await engine.drain()
    await trio.sleep(100)
    async with world.engine() as engine:
        rows = await engine.wait([deadline, start_by])
        assert [row.state for row in rows] == [State.TIMED_OUT] * 2
        assert trio.current_time() == pytest.approx(100)
    assert world.problems() == []


async def test_a_drained_polling_task_of_a_kind_runs_again(world: World, clock: MockClock) -> None:
    """What a clean engine left polling without a handle is begun again; that is no crash."""
    async with world.engine(kinds=registry(lambda: Script(None)), cadence=Fixed(1)) as engine:
        task_id = await engine.submit("odd")
        await trio.sleep(3)
        await engine.drain()
    async with world.engine(kinds=registry(lambda: Script(None, "output"))) as engine:
        assert await engine.result(task_id) == "output"
        row = engine.status(task_id)
        assert (row.attempts, row.crashes) == (2, 0)
    assert world.problems() == []


async def test_a_row_of_an_unknown_kind_waits_for_an_engine_that_knows_it(
    world: World, clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine without its kind keeps a row as it is and does not wait for it; a later engine
    with the kind runs it."""
    async with world.engine(kinds=registry(lambda: one)) as engine:
        task_id = await engine.submit("odd", not_before=world.wall() + 60)
        await engine.drain()
    async with world.engine() as engine:
        assert engine.statistics().stranded == 1
        await trio.sleep(100)
        assert engine.status(task_id).state is State.WAITING
    assert "no kind 'odd'" in caplog.text
    async with world.engine(kinds=registry(lambda: one)) as engine:
        assert await engine.result(task_id) == 1
    assert world.problems() == []


async def test_a_stranded_row_that_is_cancelled_is_waited_for_no_more(
    world: World, clock: MockClock
) -> None:
    """After a stranded row is cancelled, leaving still waits for every other task."""
    async with world.engine(kinds=registry(lambda: one)) as engine:
        stranded = await engine.submit("odd", not_before=world.wall() + 60)
        await engine.drain()
    async with world.engine() as engine:
        assert (await engine.cancel(stranded)).snapshot.state is State.CANCELLED
        assert engine.statistics().stranded == 0

        async def body() -> str:
            await trio.sleep(500)
            return "waited for"

        task_id = engine.submit_nowait(body)
        await trio.sleep(1)
    assert engine.status(task_id).state is State.SUCCEEDED
    assert world.problems() == []


async def test_waiting_for_a_stranded_row_ends_with_the_engine(
    world: World, clock: MockClock
) -> None:
    """Who waits for a row that nobody can run gets EngineClosed when the engine is left."""
    async with world.engine(kinds=registry(lambda: one)) as engine:
        stranded = await engine.submit("odd", not_before=world.wall() + 60)
        await engine.drain()
    outcomes: list[str] = []

    async def ask() -> None:
        try:
            await engine.result(stranded)
        except EngineClosed:
            outcomes.append("closed")

    async with trio.open_nursery() as nursery:  # noqa: SIM117  who waits outlives the block
        async with world.engine() as engine:
            nursery.start_soon(ask)
            await trio.sleep(1)
    assert outcomes == ["closed"]


async def test_a_reader_of_a_reopened_store_is_told_to_read_again(
    world: World, clock: MockClock
) -> None:
    """The local reader of a later engine does not pretend that nothing was before: changes from
    the beginning are a reset, and its cursor is one from which changes can be had."""
    async with world.engine() as engine:
        task_id = await engine.submit(
            "sample", arguments={"value": 1, "scale": 0}, not_before=world.wall() + 60
        )
        await engine.drain()
    async with world.engine() as engine:
        reader = engine.reader()
        assert reader.changes("").reset
        cursor = reader.cursor()
        assert not reader.changes(cursor).reset
        await engine.result(task_id)
        changes = reader.changes(cursor)
        assert ([row.id for row in changes.tasks], changes.reset) == ([task_id], False)


async def test_many_restarts_keep_every_acknowledged_task(world: World, clock: MockClock) -> None:
    """Engine after engine, ids grow, every task is there, and every invariant holds."""
    ids: list[int] = []
    for life in range(6):
        async with world.engine(cadence=Fixed(1)) as engine:
            assert engine.epoch == life + 1
            ids += await engine.submit_many([one, Script(None, 1), raising(OSError())])
            ids.append(
                await engine.submit(
                    "sample", arguments={"value": 1, "scale": 0}, not_before=world.wall() + 3
                )
            )
            if life % 2:
                await engine.drain()
            await trio.sleep(1)
    async with world.engine() as engine:
        assert sorted(ids) == ids
        rows = await engine.wait(ids)
        assert all(row.state.final for row in rows)
        assert len(rows) == sum(engine.counts().values())
    assert world.problems() == []


async def test_a_move_of_an_earlier_life_reaches_its_waiter(
    world: World, clock: MockClock, crash: Crash
) -> None:
    """A recovered task can be waited for and watched like any other."""
    gate = Gate()
    async with world.engine(kinds=registry(lambda: gate)) as engine:
        task_id = await engine.submit("odd")
        await world.until(gate.begun)
        await crash.now()
        async with crash.world.engine(kinds=registry(lambda: one)) as following:
            row = await reaches(following, task_id)
            assert (row.state, row.attempts) == (State.SUCCEEDED, 2)
        gate.open.set()
