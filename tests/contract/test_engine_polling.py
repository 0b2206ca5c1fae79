"""Polling: when an engine looks, and what it makes of looks that raise."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from engine import State, TaskFailed
from engine.cadence import Exponential, Fixed, Quadratic
from tests.contract.engines import Gate, Script, Work, World, steps

if TYPE_CHECKING:
    from trio.testing import MockClock

HOUR = 3600.0


async def test_six_hours_of_polling_pass_in_a_moment(world: World, clock: MockClock) -> None:
    """50 tasks that take up to six hours are looked at by the default cadence at ever longer
    intervals: each is found soon after it is ready, and for a few looks."""
    work = [Work(clock, 6 * HOUR * (number + 1) / 50, number) for number in range(50)]
    cadence = Quadratic(1.0, rng=random.Random(5))
    async with world.engine(cadence=cadence) as engine:
        ids = await engine.submit_many(work)
        rows = await engine.wait(ids)
        for number, row in enumerate(rows):
            ready = 6 * HOUR * (number + 1) / 50
            assert row.duration is not None
            assert row.unready_for is not None
            # With looks at k squared the gap at time t is 2·√t + 1, the jitter at most a tenth.
            gap = 2 * math.sqrt(ready) + 1.2
            assert ready <= row.duration <= ready + gap
            assert row.duration - gap <= row.unready_for < ready
            assert math.sqrt(ready) * 0.9 - 1 <= row.polls <= math.sqrt(ready) + 2
            assert await engine.result(row.id) == number
    assert trio.current_time() >= 6 * HOUR


async def test_a_fixed_cadence_looks_when_it_says(world: World, clock: MockClock) -> None:
    """Looks come at whole multiples of the interval after run(), the first being look 0."""
    work = Work(clock, 35)
    async with world.engine(cadence=Fixed(10)) as engine:
        await engine.result(engine.submit_nowait(work))
    assert work.looked_at == pytest.approx([0, 10, 20, 30, 40])


async def test_a_submission_may_bring_its_own_cadence(world: World, clock: MockClock) -> None:
    """The cadence of a submission wins over the engine's."""
    mine, theirs = Work(clock, 5), Work(clock, 5)
    async with world.engine(cadence=Fixed(100)) as engine:
        first = engine.submit_nowait(mine, cadence=Exponential(1, 2, 60, jitter=0))
        second = engine.submit_nowait(theirs)
        await engine.wait([first, second])
    assert mine.looked_at == pytest.approx([0, 1, 3, 7])
    assert theirs.looked_at == pytest.approx([0, 100])


async def test_the_row_of_a_polling_task_tells_how_it_stands(
    world: World, clock: MockClock
) -> None:
    """polls, next_poll_at, unready_for and polling_at are true at any moment."""
    async with world.engine(cadence=Fixed(10)) as engine:
        task_id = engine.submit_nowait(Script(None))
        await trio.sleep(25)
        row = engine.status(task_id)
        start = world.wall() - 25
        assert (row.polls, row.failed_looks, row.error) == (2, 0, None)
        assert row.next_poll_at == pytest.approx(start + 30)
        assert row.unready_for == pytest.approx(20)
        assert row.polling_at == pytest.approx(start)
        assert engine.statistics().polls == 2
        engine.cancel_nowait(task_id)


async def test_a_polling_task_holds_no_slot(world: World, clock: MockClock) -> None:
    """A hundred tasks poll beside each other in one slot, which is free for others meanwhile."""
    async with world.engine(capacity=1, poll_capacity=1, cadence=Fixed(10)) as engine:
        ids = await engine.submit_many([Work(clock, 100) for _ in range(100)])
        await trio.sleep(50)
        assert engine.counts()[State.POLLING] == 100
        assert engine.statistics().slots_taken == 0
        assert await engine.result(engine.submit_nowait(lambda: "between")) == "between"
        await engine.wait(ids)


async def test_looks_go_on_while_every_slot_is_stuck(world: World, clock: MockClock) -> None:
    """Stuck run() calls starve no look: the output of a polling task is found all the same."""
    gates = [Gate() for _ in range(3)]
    async with world.engine(capacity=3, cadence=Fixed(10)) as engine:
        polled = engine.submit_nowait(Work(clock, 15))
        while engine.status(polled).state is not State.POLLING:
            await trio.lowlevel.checkpoint()
        for gate in gates:
            engine.submit_nowait(gate)
        for gate in gates:
            await world.until(gate.begun)
        assert engine.statistics().slots_taken == 3
        for _ in range(2):
            clock.jump(10)
            await trio.testing.wait_all_tasks_blocked()
        assert await engine.result(polled) == "ready"
        for gate in gates:
            gate.open.set()


# -- looks that raise ----------------------------------------------------------------------------


async def test_four_looks_may_raise_and_the_fifth_succeed(world: World, clock: MockClock) -> None:
    """Up to four looks in a row may raise; the first is shown at once, and an output is one."""
    errors = [OSError(f"look {number}") for number in range(1, 5)]
    async with world.engine(cadence=Fixed(0.001)) as engine:
        task_id = engine.submit_nowait(Script(None, *errors, "output"))
        await trio.sleep(0.1)
        row = engine.status(task_id)
        assert row.error is not None
        assert (row.state, row.failed_looks, row.error.message) == (State.POLLING, 1, "look 1")
        assert await engine.result(task_id) == "output"
        row = engine.status(task_id)
        assert (row.failed_looks, row.error, row.polls) == (0, None, 5)
        # 1 ms to the first look, then at least 0.1 · 2^n s: 0.2, 0.4, 0.8 and 1.6.
        assert row.duration == pytest.approx(3.001)


async def test_the_fifth_failed_look_in_a_row_fails_the_task(
    world: World, clock: MockClock
) -> None:
    """Five looks that raise, one after the other, fail the task with the last error."""
    errors = [OSError(f"look {number}") for number in range(1, 6)]
    async with world.engine(cadence=Fixed(0.001)) as engine:
        task_id = engine.submit_nowait(Script(None, *errors, "output"))
        with pytest.raises(TaskFailed, match="look 5"):
            await engine.result(task_id)
        assert engine.status(task_id).polls == 5
        assert trio.current_time() == pytest.approx(3.001)


async def test_one_look_that_does_not_raise_resets_the_count(
    world: World, clock: MockClock
) -> None:
    """Failing looks count in a row only."""
    four = [OSError()] * 4
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(Script(None, *four, None, *four, None, *four, "output"))
        assert await engine.result(task_id) == "output"


async def test_a_look_0_that_raises_counts_as_the_first(world: World, clock: MockClock) -> None:
    """A look 0 that raises makes an undeclared task polling, and four more end it."""
    async with world.engine(cadence=Fixed(0.001)) as engine:
        task = Script(OSError("look 0"), *[OSError("more")] * 3, "output")
        task_id = engine.submit_nowait(task)
        await trio.sleep(0.1)
        row = engine.status(task_id)
        assert row.error is not None
        assert (row.shown_mode, row.failed_looks, row.error.message) == ("polling?", 1, "look 0")
        assert await engine.result(task_id) == "output"
        ended = engine.submit_nowait(Script(*[OSError("look")] * 5, "output"))
        with pytest.raises(TaskFailed):
            await engine.result(ended)
        assert engine.status(ended).polls == 4


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("error", [TypeError("no"), SystemExit(2), NotImplementedError("no")])
async def test_a_fatal_error_of_a_look_fails_at_once(
    world: World, clock: MockClock, error: BaseException, at: int
) -> None:
    """What another look cannot cure fails the task at the first time."""
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(Script(*[None] * at, error, "output"))
        with pytest.raises(TaskFailed):
            await engine.result(task_id)
        assert trio.current_time() == pytest.approx(at)


async def test_looks_that_are_due_together_are_made_at_that_moment(
    world: World, clock: MockClock
) -> None:
    """A thousand looks of one moment are all made in it."""
    work = [Work(clock, 10) for _ in range(1000)]
    async with world.engine(cadence=Fixed(10)) as engine:
        await engine.wait(await engine.submit_many(work))
    assert {tuple(round(at, 6) for at in item.looked_at) for item in work} == {(0, 10)}


async def test_the_price_of_a_look_follows_what_looks_take(world: World, clock: MockClock) -> None:
    """The default cadence is told each check's duration; quick looks cost the least price."""
    cadence = Quadratic(jitter=0)
    work = Work(clock, 1)
    async with world.engine(cadence=cadence) as engine:
        task_id = engine.submit_nowait(work)
        await engine.result(task_id)
        assert 0.01 <= cadence.price(engine.status(task_id).kind) <= 1.0
        assert work.looked_at[:4] == pytest.approx([0, 0.01, 0.04, 0.09], rel=0.2)


async def test_a_cadence_is_told_how_polling_ended(world: World, clock: MockClock) -> None:
    """ended() is called once for each attempt that was polling: done, failed or censored."""
    told: list[str] = []

    class Telling:
        def started(self, kind: str, now: float) -> Telling:
            return self

        def next_delay(self, now: float, hints: object = None) -> float:
            return 1.0

        def ended(self, now: float, how: str) -> None:
            told.append(str(how))

    async with world.engine(cadence=Telling()) as engine:
        await engine.wait([engine.submit_nowait(Script(None, "output"))])
        await engine.wait([engine.submit_nowait(Script(None, TypeError()))])
        task_id = engine.submit_nowait(Script(None))
        await trio.sleep(5)
        engine.cancel_nowait(task_id)
        await steps()
    assert told == ["done", "failed", "censored"]
