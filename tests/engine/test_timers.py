"""Timers: in order, at their moments, and swept when they matter no more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from engine.timers import Due, Timer, Timers

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def fired() -> list[tuple[float, Timer]]:
    """What was fired, and when."""
    return []


def noting(fired: list[tuple[float, Timer]]) -> Callable[[Timer], None]:
    """Notes a timer with the present time."""
    return lambda timer: fired.append((trio.current_time(), timer))


async def test_timers_fire_at_their_moments_in_order(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """However they were set, before or while it runs, timers fire in order of their moments."""
    timers = Timers(noting(fired), lambda _: True)
    moments = [random.Random(1).uniform(0, 1e6) for _ in range(500)]
    for task_id, moment in enumerate(moments[:250]):
        timers.add(moment, task_id, Due.DEADLINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.lowlevel.checkpoint()
        for task_id, moment in enumerate(moments[250:], start=250):
            timers.add(moment, task_id, Due.START)
        await trio.sleep(1e6 + 1)
        nursery.cancel_scope.cancel()
    assert [moment for moment, _ in fired] == pytest.approx(sorted(moments))
    assert [timer.moment for _, timer in fired] == sorted(moments)
    assert len(timers) == 0


async def test_an_earlier_timer_wakes_the_sleeper(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """A timer that is set while a later one is slept for fires in its own time."""
    timers = Timers(noting(fired), lambda _: True)
    timers.add(1000, 1, Due.DEADLINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(10)
        timers.add(20, 2, Due.DEADLINE)
        await trio.sleep(20)
        assert [(at, timer.task_id) for at, timer in fired] == [(20, 2)]
        nursery.cancel_scope.cancel()


async def test_a_timer_in_the_past_fires_at_once(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """A moment that is over already is the present one."""
    timers = Timers(noting(fired), lambda _: True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(100)
        timers.add(5, 1, Due.START_BY)
        timers.add(-1e9, 2, Due.START_BY)
        await trio.testing.wait_all_tasks_blocked()
        assert [(at, timer.task_id) for at, timer in fired] == [(100, 2), (100, 1)]
        nursery.cancel_scope.cancel()


async def test_a_timer_may_set_another_while_it_fires(
    autojump: trio.testing.MockClock,
) -> None:
    """What a fired timer sets for now or later is fired too."""
    moments: list[float] = []

    def fire(timer: Timer) -> None:
        moments.append(trio.current_time())
        if len(moments) < 4:
            timers.add(trio.current_time() + (0 if len(moments) == 1 else 7), 1, Due.START)

    timers = Timers(fire, lambda _: True)
    timers.add(3, 1, Due.START)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert moments == [3, 3, 10, 17]


async def test_thousands_of_one_moment_let_the_loop_have_its_turn(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """Very many timers of one moment fire in parts, between which others run."""
    timers = Timers(noting(fired), lambda _: True)
    for task_id in range(3_000):
        timers.add(1, task_id, Due.DEADLINE)
    seen: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(1)
        while len(fired) < 3_000:
            seen.append(len(fired))
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # Six parts, and the two take turns in any order within a tick.
    assert len(set(seen)) >= 3
    assert {at for at, _ in fired} == {1}


async def test_timers_that_matter_no_more_are_swept_out(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """Setting and forgetting a million timers keeps a few thousand; those that matter all stay."""
    alive: set[int] = set()
    timers = Timers(noting(fired), lambda timer: timer.task_id in alive)
    most = 0
    for task_id in range(100_000):
        if task_id % 1_000 == 0:
            alive.add(task_id)
        timers.add(1_000 + task_id, task_id, Due.DEADLINE)
        most = max(most, len(timers))
    assert most <= 3_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep_until(200_000)
        nursery.cancel_scope.cancel()
    assert alive <= {timer.task_id for _, timer in fired}


async def test_cancelled_timers_fire_no_more(
    autojump: trio.testing.MockClock, fired: list[tuple[float, Timer]]
) -> None:
    """After its task is cancelled nothing fires."""
    timers = Timers(noting(fired), lambda _: True)
    timers.add(5, 1, Due.DEADLINE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    await trio.sleep(10)
    assert fired == []
