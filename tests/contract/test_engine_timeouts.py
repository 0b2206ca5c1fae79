"""What a timeout, a deadline and a start-by time do, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from engine import Rung, State, TaskCancelled, TaskTimedOut, Why
from engine.cadence import Fixed
from tests.contract.engines import Gate, HeldLook, Script, World, one, raising, reaches

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_coroutine_times_out_at_its_moment(world: World, clock: MockClock) -> None:
    """`timeout` counts from the attempt's start; a coroutine is unwound and then `timed_out`."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(
            trio.sleep_forever, timeout=30, not_before=world.wall() + 100
        )
        with pytest.raises(TaskTimedOut, match="longer than its timeout"):
            await engine.result(task_id)
        assert trio.current_time() == pytest.approx(130)
        row = await reaches(engine, task_id)
        assert (row.state, row.why, row.rung) == (
            State.TIMED_OUT,
            Why.ATTEMPT_TIMEOUT,
            Rung.UNWOUND,
        )
        assert row.duration == pytest.approx(30)


async def test_a_thread_times_out_only_when_its_body_has_ended(
    world: World, clock: MockClock
) -> None:
    """A body in a thread is `cancelling` from its timeout until it ends; its late output is a note
    and no second attempt begins meanwhile."""
    gate = Gate("late")
    async with world.engine(capacity=1) as engine:
        task_id = engine.submit_nowait(gate, timeout=10)
        await world.until(gate.begun)
        clock.jump(10)
        (row,) = await engine.wait([task_id])
        assert (row.state, row.rung) == (State.CANCELLING, Rung.WAITING_FOR_BODY)
        assert engine.statistics().slots_taken == 1
        clock.jump(1000)
        gate.open.set()
        row = await reaches(engine, task_id)
        assert (row.state, row.late) == (
            State.TIMED_OUT,
            "an output came when the time was over",
        )
        assert gate.calls == 1


async def test_a_late_error_is_a_note(world: World, clock: MockClock) -> None:
    """What a body raises after its time is kept in words; the task stays `timed_out`."""
    gate = Gate(error=LookupError("late"))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate, timeout=1)
        await world.until(gate.begun)
        clock.jump(1)
        await engine.wait([task_id])
        gate.open.set()
        row = await reaches(engine, task_id)
        assert (row.state, row.late) == (State.TIMED_OUT, "LookupError: late")


async def test_a_polling_task_times_out_between_two_looks(world: World, clock: MockClock) -> None:
    """The attempt's timeout ends polling at once, without another look."""
    task = Script(None)
    async with world.engine(cadence=Fixed(60)) as engine:
        task_id = engine.submit_nowait(task, timeout=3600)
        with pytest.raises(TaskTimedOut) as caught:
            await engine.result(task_id)
        assert trio.current_time() == pytest.approx(3600)
        assert not caught.value.body_alive
        row = engine.status(task_id)
        assert (row.state, row.rung) == (State.TIMED_OUT, Rung.STOPPED_LOOKING)
        looks = task.looks_made
        await trio.sleep(600)
    assert task.looks_made == looks


async def test_a_deadline_counts_from_submission(world: World, clock: MockClock) -> None:
    """`deadline` ends a task that waits, one that is queued and one that runs, at its moment."""
    gate = Gate()
    async with world.engine(capacity=1) as engine:
        running = engine.submit_nowait(gate, deadline=10)
        queued = engine.submit_nowait(one, deadline=5)
        waiting = engine.submit_nowait(one, deadline=5, not_before=world.wall() + 6)
        coroutine = engine.submit_nowait(trio.sleep_forever, deadline=7)
        await world.until(gate.begun)
        clock.jump(5)
        rows = await engine.wait([queued, waiting])
        assert [row.state for row in rows] == [State.TIMED_OUT] * 2
        assert [row.why for row in rows] == [Why.DEADLINE] * 2
        clock.jump(2)
        (row,) = await engine.wait([coroutine])
        assert (row.why, row.rung) == (Why.DEADLINE, Rung.UNWOUND)
        clock.jump(3)
        (row,) = await engine.wait([running])
        assert (row.state, row.why) == (State.CANCELLING, Why.DEADLINE)
        gate.open.set()
    assert engine.status(running).state is State.TIMED_OUT


async def test_a_start_by_time_ends_only_what_has_not_started(
    world: World, clock: MockClock
) -> None:
    """`start_by` over: a task that never started is `timed_out`, one that did is left alone."""
    gate = Gate()
    async with world.engine(capacity=1) as engine:
        started = engine.submit_nowait(gate, start_by=5)
        late = engine.submit_nowait(one, start_by=5)
        await world.until(gate.begun)
        clock.jump(5)
        with pytest.raises(TaskTimedOut, match="not started in time"):
            await engine.result(late)
        assert engine.status(started).state is State.RUNNING
        gate.open.set()
        assert await engine.result(started) == "through"
        row = engine.status(late)
        assert (row.why, row.rung, row.attempts) == (Why.START_BY, Rung.DROPPED, 0)


async def test_a_start_by_time_does_not_end_a_further_attempt(
    world: World, clock: MockClock
) -> None:
    """A task that has started once may go on to further attempts after its start-by time."""
    calls = []

    async def body() -> int:
        calls.append(trio.current_time())
        if len(calls) < 3:
            raise OSError("again")
        return len(calls)

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, start_by=0.001, attempts=3)
        assert await engine.result(task_id) == 3
    assert calls[-1] > 0.001


async def test_a_timeout_is_per_attempt_and_a_deadline_over_all(
    world: World, clock: MockClock
) -> None:
    """Each attempt has the whole timeout; the deadline ends the task in the middle of one."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(trio.sleep_forever, timeout=10, deadline=1000, attempts=500)
        row = await reaches(engine, task_id)
        assert (row.state, row.why) == (State.TIMED_OUT, Why.DEADLINE)
        assert trio.current_time() == pytest.approx(1000, abs=0.01)
        assert 3 <= row.attempts < 100


async def test_a_deadline_in_the_pause_between_attempts_ends_the_task(
    world: World, clock: MockClock
) -> None:
    """A deadline that passes while a task waits for its next attempt ends it there and then."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(raising(OSError("again")), attempts=10_000, deadline=50_000)
        with pytest.raises(TaskTimedOut, match="OSError: again") as caught:
            await engine.result(task_id)
        assert trio.current_time() == pytest.approx(50_000)
        row = caught.value.snapshot
        assert (row.state, row.why, row.rung) == (State.TIMED_OUT, Why.DEADLINE, Rung.DROPPED)


async def test_a_timed_out_thread_with_attempts_left_is_not_answered_yet(
    world: World, clock: MockClock
) -> None:
    """With attempts left a timed-out body is waited for, and then another attempt begins."""
    gates = [Gate("first"), Gate("second")]
    calls = iter(gates)

    def body() -> object:
        return next(calls)()

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, timeout=10, attempts=2)
        await world.until(gates[0].begun)
        clock.jump(10)
        async with trio.open_nursery() as nursery:
            answers = []

            async def ask() -> None:
                answers.append(await engine.result(task_id))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(1000)
            await trio.testing.wait_all_tasks_blocked()
            assert engine.status(task_id).state is State.CANCELLING
            assert (answers, gates[1].calls) == ([], 0)
            gates[0].open.set()
            gates[1].open.set()
        assert answers == ["second"]
        row = engine.status(task_id)
        assert (row.attempts, row.why, row.rung) == (2, None, None)


async def test_a_cancel_after_a_timeout_forbids_the_next_attempt(
    world: World, clock: MockClock
) -> None:
    """A body that overstayed, with attempts left, and is then cancelled: answered at once, and no
    further attempt follows."""
    gate = Gate(error=OSError())
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate, timeout=10, attempts=3)
        await world.until(gate.begun)
        clock.jump(10)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.status(task_id).why is Why.ATTEMPT_TIMEOUT
        await engine.cancel(task_id)
        with pytest.raises(TaskCancelled):
            await engine.result(task_id)
        gate.open.set()
        row = await reaches(engine, task_id)
        assert (row.state, row.attempts) == (State.CANCELLED, 1)


async def test_an_answer_once_given_stays(world: World, clock: MockClock) -> None:
    """Who was told `timed out` is not contradicted by a later cancel and a late output."""
    gate = Gate("late")
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate, timeout=10)
        await world.until(gate.begun)
        clock.jump(10)
        with pytest.raises(TaskTimedOut):
            await engine.result(task_id)
        await engine.cancel(task_id)
        with pytest.raises(TaskTimedOut):
            await engine.result(task_id)
        gate.open.set()
        await reaches(engine, task_id)
        assert engine.status(task_id).state is State.TIMED_OUT


async def test_a_timeout_after_a_cancel_changes_nothing(world: World, clock: MockClock) -> None:
    """A task that is `cancelling` because it was asked stays so when its times pass too."""
    gate = Gate(error=OSError())
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate, timeout=10, deadline=20)
        await world.until(gate.begun)
        row = (await engine.cancel(task_id, reason="asked")).snapshot
        clock.jump(15)
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(15)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.status(task_id) == row
        gate.open.set()
        await reaches(engine, task_id)
        assert (engine.status(task_id).state, engine.status(task_id).why) == (
            State.CANCELLED,
            Why.ASKED,
        )


async def test_a_look_that_hangs_is_timed_out_with_its_attempt(
    world: World, clock: MockClock
) -> None:
    """A check_output() that does not return is `cancelling` from the timeout on, and its waiters
    are answered."""
    task = HeldLook()
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(task, timeout=60)
        await trio.sleep(1)
        await world.until(task.begun)
        clock.jump(59)
        with pytest.raises(TaskTimedOut) as caught:
            await engine.result(task_id)
        assert caught.value.body_alive
        task.open.set()
        await reaches(engine, task_id)
        assert engine.status(task_id).state is State.TIMED_OUT


@pytest.mark.parametrize("option", ["timeout", "deadline", "start_by"])
async def test_no_time_at_all_ends_a_task_at_once(
    world: World, clock: MockClock, option: str
) -> None:
    """A time of 0 seconds is over as soon as it counts: the task ends at that very moment."""
    async with world.engine(capacity=1) as engine:
        gate = Gate()
        if option == "start_by":
            engine.submit_nowait(gate)
            await world.until(gate.begun)
        task_id = engine.submit_nowait(
            one if option == "start_by" else trio.sleep_forever,
            **{option: 0.0},  # type: ignore[arg-type]
        )
        with pytest.raises(TaskTimedOut):
            await engine.result(task_id)
        assert trio.current_time() == 0.0
        gate.open.set()


async def test_times_that_never_pass_in_time_do_nothing(world: World, clock: MockClock) -> None:
    """A task that ends before its times has succeeded, and they never fire."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, timeout=5, deadline=5, start_by=5)
        assert await engine.result(task_id) == 1
        row = engine.status(task_id)
        await trio.sleep(60)
        assert engine.status(task_id) == row
        assert engine.statistics().revision == row.revision


async def test_durations_are_not_moved_by_the_systems_clock(world: World, clock: MockClock) -> None:
    """A timeout and a deadline pass in their own time, however the wall clock is set meanwhile,
    and a duration is what it was."""
    offset = [0.0]
    async with world.engine(wall=lambda: world.wall() + offset[0]) as engine:
        timed = engine.submit_nowait(trio.sleep_forever, timeout=100)
        over = engine.submit_nowait(trio.sleep_forever, deadline=200)
        await trio.sleep(50)
        offset[0] = 86_400.0
        with pytest.raises(TaskTimedOut):
            await engine.result(timed)
        assert trio.current_time() == pytest.approx(100)
        offset[0] = -86_400.0
        with pytest.raises(TaskTimedOut):
            await engine.result(over)
        assert trio.current_time() == pytest.approx(200)
        row = await reaches(engine, timed)
        assert row.duration == pytest.approx(100)


async def test_a_start_time_is_a_wall_time(world: World, clock: MockClock) -> None:
    """A task does not start before its not_before time by the clock on the wall, also when that
    was set back by an hour after the submission."""
    offset = [0.0]
    async with world.engine(wall=lambda: world.wall() + offset[0]) as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 600)
        await trio.sleep(10)
        offset[0] = -3600.0
        await trio.sleep(1000)
        early = engine.status(task_id).state is not State.WAITING
        await engine.drain()
        assert not early
