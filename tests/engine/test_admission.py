"""Who starts next, and how many in a tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.admission import Admission
from engine.pools import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

# -- Pool ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans())), st.integers(1, 5))
def test_a_pool_gives_tasks_by_priority_then_in_order(
    steps: list[tuple[int, bool]], capacity: int
) -> None:
    """Whatever is pushed, popped and given back, the next one is the first of the highest
    priority, and never are more slots taken than there are."""
    pool = Pool(capacity)
    waiting: list[tuple[int, int]] = []
    taken = 0
    for task_id, (priority, give_back) in enumerate(steps):
        pool.push(task_id, priority)
        waiting.append((-priority, task_id))
        if give_back and taken:
            pool.taken -= 1
            taken -= 1
        popped = pool.pop()
        expected = min(waiting)[1] if taken < capacity else None
        assert popped == expected
        if popped is not None:
            waiting.remove(min(waiting))
            taken += 1
        assert pool.taken == taken <= capacity


def test_an_empty_pool_takes_no_slot() -> None:
    """Asking an empty pool gives nothing and takes nothing."""
    pool = Pool(2)
    assert pool.pop() is None
    assert pool.taken == 0


# -- Admission -----------------------------------------------------------------------------------


class Starting:
    """Starts what it is given at some price, and notes in which tick."""

    def __init__(self, price: Callable[[int], int]) -> None:
        self.started: list[int] = []
        self.ticks: list[int] = []
        self._price = price
        self._tick = 0

    def start(self, task_id: int, pool: Pool) -> int:
        price = self._price(task_id)
        if price:
            self.started.append(task_id)
            self.ticks.append(self._tick)
        return price

    async def count(self) -> None:
        while True:
            self._tick += 1
            await trio.lowlevel.checkpoint()

    def in_a_tick(self) -> int:
        """The most that were started in one tick."""
        return max(self.ticks.count(tick) for tick in set(self.ticks))


async def admit(admission: Admission, starting: Starting, ticks: int = 400) -> None:
    """Let it run for so many ticks."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(starting.count)
        nursery.start_soon(admission.run)
        for _ in range(ticks):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("price", "most"), [(10, 10), (2, 50), (1, 100), (100, 1), (30, 4)])
async def test_a_tick_starts_what_its_price_allows(price: int, most: int) -> None:
    """Ten new threads a tick, or as many cheaper starts as cost the same; nobody is forgotten."""
    starting = Starting(lambda _: price)
    admission = Admission(starting.start)
    pool = admission.pool(1_000)
    for task_id in range(200):
        admission.enqueue(pool, task_id, 0)
    await admit(admission, starting)
    assert starting.started == list(range(200))
    # The counter and the starter take turns in any order, so two ticks may look like one.
    assert starting.in_a_tick() <= 2 * most


async def test_each_pool_has_its_turn_in_each_tick() -> None:
    """A long queue in one pool does not hold up another."""
    starting = Starting(lambda _: 10)
    admission = Admission(starting.start)
    long, short = admission.pool(1_000), admission.pool(1_000)
    for task_id in range(500):
        admission.enqueue(long, task_id, 0)
    admission.enqueue(short, 1_000, 0)
    await admit(admission, starting)
    assert starting.started.index(1_000) <= 10


async def test_dropped_entries_give_their_slot_back() -> None:
    """What was dropped meanwhile is passed over, takes no slot, and does not count as a start."""
    starting = Starting(lambda task_id: 0 if task_id % 10 else 10)
    admission = Admission(starting.start)
    pool = admission.pool(1_000)
    for task_id in range(10_000):
        admission.enqueue(pool, task_id, 0)
    await admit(admission, starting)
    assert starting.started == list(range(0, 10_000, 10))
    assert pool.taken == 1_000


async def test_a_full_pool_goes_on_when_a_slot_is_free() -> None:
    """No more start than there are slots; each one given back starts the next."""
    starting = Starting(lambda _: 10)
    admission = Admission(starting.start)
    pool = admission.pool(3)
    for task_id in range(5):
        admission.enqueue(pool, task_id, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admission.run)
        await trio.testing.wait_all_tasks_blocked()
        assert starting.started == [0, 1, 2]
        admission.release(pool)
        await trio.testing.wait_all_tasks_blocked()
        assert starting.started == [0, 1, 2, 3]
        nursery.cancel_scope.cancel()
    assert pool.taken == 3


async def test_a_closed_admission_starts_nothing_more() -> None:
    """From the moment that it is closed, also in the middle of a tick, nothing starts."""
    starting = Starting(lambda _: 10)

    def start(task_id: int, pool: Pool) -> int:
        admission.open = task_id < 4
        return starting.start(task_id, pool)

    admission = Admission(start)
    pool = admission.pool(100)
    for task_id in range(50):
        admission.enqueue(pool, task_id, 0)
    await admit(admission, starting)
    assert starting.started == [0, 1, 2, 3, 4]
    assert pool.taken == 5


async def test_what_is_queued_while_it_sleeps_wakes_it() -> None:
    """An idle admission starts what comes, in the next tick."""
    starting = Starting(lambda _: 10)
    admission = Admission(starting.start)
    pool = admission.pool(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admission.run)
        for task_id in range(5):
            await trio.testing.wait_all_tasks_blocked()
            admission.enqueue(pool, task_id, 0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert starting.started == [0, 1, 2, 3, 4]
