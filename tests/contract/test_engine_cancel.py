"""What a cancel does to a task in each state, and what its answer says."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import BadOption, Rung, State, TaskCancelled, Why
from engine.cadence import Fixed
from tests.contract.engines import (
    Gate,
    HeldLook,
    LateThreads,
    Script,
    World,
    one,
    raising,
    reaches,
    steps,
)

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_waiting_task_is_dropped(world: World, clock: MockClock) -> None:
    """A task that waits for its time is cancelled at once, and never runs."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 60)
        answer = await engine.cancel(task_id, reason="not needed")
        assert (answer.task_id, answer.rung) == (task_id, Rung.DROPPED)
        row = answer.snapshot
        assert (row.state, row.why, row.rung) == (State.CANCELLED, Why.ASKED, Rung.DROPPED)
        assert (row.reason, row.attempts, row.started_at) == ("not needed", 0, None)
        assert row.finished_at == world.wall()
        await trio.sleep(120)
        assert engine.status(task_id) == row


async def test_a_queued_task_is_dropped(world: World, clock: MockClock) -> None:
    """A task that waits for a slot is cancelled at once; its turn passes to the next."""
    gate, dropped = Gate(), Gate()
    async with world.engine(capacity=1) as engine:
        engine.submit_nowait(gate)
        task_id, after = engine.submit_nowait(dropped), engine.submit_nowait(lambda: "next")
        await world.until(gate.begun)
        assert engine.status(task_id).state is State.QUEUED
        assert (await engine.cancel(task_id)).snapshot.state is State.CANCELLED
        gate.open.set()
        assert await engine.result(after) == "next"
    assert dropped.calls == 0


async def test_a_thousand_dropped_tasks_hold_up_nobody(world: World, clock: MockClock) -> None:
    """What was dropped from the queue is passed over, however much of it there is."""
    async with world.engine(capacity=1) as engine:
        ids = await engine.submit_many([one] * 3_000, not_before=world.wall() + 1)
        for task_id in ids[:-1]:
            engine.cancel_nowait(task_id)
        assert await engine.result(ids[-1]) == 1
        assert engine.counts()[State.CANCELLED] == 2_999


async def test_a_call_that_no_thread_has_begun_is_taken_back(
    world: World, clock: MockClock
) -> None:
    """A started task whose call still waits for a thread is dropped: none of its code ever runs."""
    threads, gate = LateThreads(world), Gate()
    async with world.engine(threads=threads.run_sync, capacity=1) as engine:
        task_id = engine.submit_nowait(gate)
        await steps()
        assert (engine.status(task_id).state, gate.calls) == (State.RUNNING, 0)
        answer = await engine.cancel(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.DROPPED, State.CANCELLED)
        threads.come.set()
        assert await engine.result(engine.submit_nowait(one)) == 1
    assert gate.calls == 0


async def test_a_running_body_is_waited_for_and_then_cancelled(
    world: World, clock: MockClock
) -> None:
    """A body in a thread cannot be stopped: `cancelling` until it ends, its slot taken; what it
    raises then is a note."""
    gate = Gate(error=OSError("too late"))
    async with world.engine(capacity=1) as engine:
        task_id = engine.submit_nowait(gate)
        after = engine.submit_nowait(one)
        await world.until(gate.begun)
        answer = await engine.cancel(task_id, reason="enough")
        assert (answer.rung, answer.snapshot.state) == (Rung.WAITING_FOR_BODY, State.CANCELLING)
        assert answer.snapshot.why is Why.ASKED
        await steps()
        assert engine.statistics().slots_taken == engine.statistics().zombies == 1
        assert engine.status(after).state is State.QUEUED
        gate.open.set()
        assert await engine.result(after) == 1
        row = engine.status(task_id)
        assert (row.state, row.late, row.reason) == (
            State.CANCELLED,
            "OSError: too late",
            "enough",
        )
        with pytest.raises(TaskCancelled) as caught:
            await engine.result(task_id)
        assert not caught.value.body_alive


async def test_a_body_that_finishes_first_has_succeeded(world: World, clock: MockClock) -> None:
    """T12: when the body gives its output although a cancel was asked, the output is kept and the
    asking stays visible."""
    gate = Gate("made it")
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate)
        await world.until(gate.begun)
        engine.cancel_nowait(task_id, reason="enough")
        gate.open.set()
        row = await reaches(engine, task_id)
        assert (row.state, row.why, row.reason) == (State.SUCCEEDED, Why.ASKED, "enough")
        assert await engine.result(task_id) == "made it"


async def test_a_polling_task_is_no_longer_looked_at(world: World, clock: MockClock) -> None:
    """Between two looks a polling task is cancelled at once: `stopped_looking`."""
    task = Script(None)
    async with world.engine(cadence=Fixed(10)) as engine:
        task_id = engine.submit_nowait(task)
        await trio.sleep(25)
        answer = await engine.cancel(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.STOPPED_LOOKING, State.CANCELLED)
        assert (answer.snapshot.polls, answer.snapshot.next_poll_at) == (2, None)
        assert answer.snapshot.duration == pytest.approx(25)
        await trio.sleep(100)
    assert task.looks_made == 3


async def test_a_look_in_progress_is_waited_for(world: World, clock: MockClock) -> None:
    """In the middle of a look a polling task is `cancelling` until that look has ended."""
    task = HeldLook(output=None)
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(task)
        await trio.sleep(1)
        await world.until(task.begun)
        answer = await engine.cancel(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.WAITING_FOR_BODY, State.CANCELLING)
        task.open.set()
        await trio.sleep(10)
        assert engine.status(task_id).state is State.CANCELLED
    assert task.looks == 2


async def test_a_look_in_progress_that_finds_the_output_has_succeeded(
    world: World, clock: MockClock
) -> None:
    """When that last look brings the output, the task has succeeded."""
    task = HeldLook("seen")
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(task)
        await trio.sleep(1)
        await world.until(task.begun)
        engine.cancel_nowait(task_id)
        task.open.set()
        await trio.sleep(10)
        row = engine.status(task_id)
        assert (row.state, row.mode, row.polls) == (State.SUCCEEDED, "polling", 1)


async def test_a_run_that_only_started_the_work_is_not_looked_at_after_a_cancel(
    world: World, clock: MockClock
) -> None:
    """A cancel during the run() of a polling task ends it with run(): no look follows."""

    class Starts(Script):
        def __init__(self) -> None:
            super().__init__(None, "output")
            self.begun, self.open = threading.Event(), threading.Event()

        def run(self) -> None:
            self.begun.set()
            assert self.open.wait(30)

    task = Starts()
    async with world.engine() as engine:
        task_id = engine.submit_nowait(task, mode="polling")
        await world.until(task.begun)
        engine.cancel_nowait(task_id)
        task.open.set()
        await trio.sleep(100)
        assert engine.status(task_id).state is State.CANCELLED
    assert task.looks_made == 0


async def test_a_coroutine_is_unwound(world: World, clock: MockClock) -> None:
    """A coroutine is cancelled at its checkpoint; its cleanup runs, and only then is it over."""
    history: list[str] = []

    async def body() -> None:
        try:
            await trio.sleep_forever()
        finally:
            history.append(engine.status(task_id).state)
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            history.append("cleaned up")

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body)
        await trio.sleep(1)
        answer = engine.cancel_nowait(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.UNWOUND, State.CANCELLING)
        await trio.sleep(5)
        assert engine.status(task_id).state is State.CANCELLED
    assert history == ["cancelling", "cleaned up"]


async def test_a_coroutine_that_goes_on_to_its_end_has_succeeded(
    world: World, clock: MockClock
) -> None:
    """A coroutine that swallows the cancellation and returns has given its output."""

    async def body() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "stubborn"
        raise AssertionError

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body)
        await trio.sleep(1)
        engine.cancel_nowait(task_id)
        await trio.sleep(1)
        assert engine.status(task_id).state is State.SUCCEEDED
        assert await engine.result(task_id) == "stubborn"


async def test_what_a_coroutine_raises_while_unwound_is_a_note(
    world: World, clock: MockClock
) -> None:
    """An error out of a cancelled coroutine, alone or in a group with the cancellation, is kept."""

    async def alone() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise LookupError("alone") from None

    async def grouped() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alone)
            await trio.sleep_forever()

    async with world.engine() as engine:
        ids = [engine.submit_nowait(alone), engine.submit_nowait(grouped)]
        await trio.sleep(1)
        for task_id in ids:
            engine.cancel_nowait(task_id)
        await trio.sleep(1)
        rows = [engine.status(task_id) for task_id in ids]
        assert [row.state for row in rows] == [State.CANCELLED] * 2
        assert rows[0].late == "LookupError: alone"
        assert rows[1].late is not None
        assert "ExceptionGroup" in rows[1].late


async def test_a_coroutine_that_has_not_begun_is_dropped(world: World, clock: MockClock) -> None:
    """Admitted in the same tick but not yet running, an async task is dropped."""
    begun = []

    async def body() -> None:
        begun.append(1)

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body)
        answer = await engine.cancel(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.DROPPED, State.CANCELLED)
        await trio.sleep(1)
    assert begun == []


async def test_a_task_may_cancel_itself(world: World, clock: MockClock) -> None:
    """A coroutine that cancels its own task is unwound at its next checkpoint."""
    after: list[int] = []

    async def body() -> None:
        engine.cancel_nowait(task_id)
        await trio.lowlevel.checkpoint()
        after.append(1)

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body)
        await engine.wait([task_id])
        await trio.sleep(1)
        assert engine.status(task_id).state is State.CANCELLED
    assert after == []


async def test_a_second_cancel_changes_nothing(world: World, clock: MockClock) -> None:
    """Cancelling a task that is `cancelling` answers with the rung it is on and records nothing."""
    gate = Gate()
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate)
        await world.until(gate.begun)
        first = await engine.cancel(task_id, reason="first")
        revision = engine.statistics().revision
        second = await engine.cancel(task_id, reason="second")
        assert (second.rung, second.snapshot) == (first.rung, first.snapshot)
        assert engine.statistics().revision == revision
        gate.open.set()


async def test_a_final_task_is_not_cancelled_any_more(world: World, clock: MockClock) -> None:
    """For every final state the answer is `already_final` and the row stays as it is."""
    async with world.engine() as engine:
        ids = [
            engine.submit_nowait(one),
            engine.submit_nowait(raising(OSError())),
            engine.submit_nowait(one, not_before=world.wall() + 9, deadline=0.5),
            engine.submit_nowait(one, not_before=world.wall() + 9),
        ]
        engine.cancel_nowait(ids[3])
        rows = await engine.wait(ids)
        revision = engine.statistics().revision
        for row in rows:
            for answer in (engine.cancel_nowait(row.id), await engine.cancel(row.id)):
                assert (answer.rung, answer.snapshot) == (Rung.ALREADY_FINAL, row)
        assert engine.statistics().revision == revision
        assert {row.state for row in rows} == {
            State.SUCCEEDED,
            State.FAILED,
            State.TIMED_OUT,
            State.CANCELLED,
        }


async def test_cancels_in_one_tick_agree(world: World, clock: MockClock) -> None:
    """Several cancels of one task before anything is committed: one drops it, the rest find it
    final."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one)
        rungs = [engine.cancel_nowait(task_id).rung for _ in range(3)]
        assert rungs == [Rung.DROPPED, Rung.ALREADY_FINAL, Rung.ALREADY_FINAL]


async def test_a_task_that_pauses_between_attempts_is_dropped(
    world: World, clock: MockClock
) -> None:
    """A cancel in the pause after a failed attempt ends the task; no further attempt begins."""
    calls = []

    def body() -> None:
        calls.append(1)
        raise OSError("again")

    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, attempts=5)
        await reaches(engine, task_id, State.WAITING)
        answer = await engine.cancel(task_id)
        assert (answer.rung, answer.snapshot.state) == (Rung.DROPPED, State.CANCELLED)
        await trio.sleep(1000)
    assert len(calls) == answer.snapshot.attempts == 1


async def test_a_cancel_races_with_the_thread_that_begins(world: World, clock: MockClock) -> None:
    """Whatever the moment, a cancelled call either never ran (dropped) or is waited for."""
    gates = [Gate() for _ in range(60)]
    rungs = []
    async with world.engine() as engine:
        ids = [engine.submit_nowait(gate) for gate in gates]
        for number, task_id in enumerate(ids):
            await steps(number % 3)
            rungs.append(engine.cancel_nowait(task_id).rung)
        for gate in gates:
            gate.open.set()
    for gate, rung, task_id in zip(gates, rungs, ids, strict=True):
        row = engine.status(task_id)
        if rung is Rung.DROPPED:
            assert (row.state, gate.calls) == (State.CANCELLED, 0)
        else:
            assert (row.state, gate.calls) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("reason", [3, object(), b"bytes", ["x"]])
async def test_a_reason_is_words(world: World, clock: MockClock, reason: object) -> None:
    """A reason that is no text is refused, and the task lives on."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 1)
        with pytest.raises(BadOption):
            engine.cancel_nowait(task_id, reason=reason)  # type: ignore[arg-type]
        with pytest.raises(BadOption):
            await engine.cancel(task_id, reason=reason)  # type: ignore[arg-type]
        assert await engine.result(task_id) == 1


async def test_any_text_can_be_a_reason(world: World, clock: MockClock) -> None:
    """A reason of any length and with any characters is kept as far as it can be."""
    async with world.engine() as engine:
        for reason in ("", "\ud800", "\0", "x" * 5_000_000, "[/]\x1b[31m\u202e"):
            task_id = engine.submit_nowait(one, not_before=world.wall() + 60)
            row = (await engine.cancel(task_id, reason=reason)).snapshot
            assert row.state is State.CANCELLED
            assert len(row.reason or "") <= 10_000


async def test_cancelling_many_tasks_of_every_state_leaves_no_slot_taken(
    world: World, clock: MockClock
) -> None:
    """After a mix of tasks is cancelled in the middle, all are final and every slot is free."""
    gates = [Gate() for _ in range(20)]
    async with world.engine(capacity=10, cadence=Fixed(1)) as engine:
        ids = await engine.submit_many([Script(None) for _ in range(20)])
        ids += await engine.submit_many([partial(trio.sleep, 1000) for _ in range(20)])
        await trio.sleep(5.5)
        ids += await engine.submit_many(gates)
        ids += await engine.submit_many([one] * 20, not_before=world.wall() + 50)
        for gate in gates[:10]:
            await world.until(gate.begun)
        for task_id in ids:
            engine.cancel_nowait(task_id)
        for gate in gates:
            gate.open.set()
        for task_id in ids:
            await reaches(engine, task_id)
        statistics = engine.statistics()
        assert (statistics.slots_taken, statistics.coroutines, statistics.attempts) == (0, 0, 0)
        assert engine.counts()[State.CANCELLED] == 70
        assert engine.counts()[State.SUCCEEDED] == 10
