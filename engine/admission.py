"""Who starts next: the pools of slots, and the pace of starting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from .pools import Pool

_PRICE_PER_TICK: Final = 100
"""Ten new threads: starting one holds the loop for about 0.2 ms, more in a tick would be felt."""
_DROPPED_PER_TICK: Final = 2_000


class Admission:
    """Starts ready tasks as slots get free, a few in each tick of the loop."""

    def __init__(self, start: Callable[[int, Pool], int]) -> None:
        self._start = start
        self._pools: list[Pool] = []
        self._wake = trio.Event()
        self.open = True
        """Set to False, nothing is started any more."""

    def pool(self, capacity: int) -> Pool:
        """A new pool of slots."""
        pool = Pool(capacity)
        self._pools.append(pool)
        return pool

    def enqueue(self, pool: Pool, task_id: int, priority: int) -> None:
        """A task is ready to start."""
        pool.push(task_id, priority)
        self._wake.set()

    def release(self, pool: Pool) -> None:
        """A slot is free again."""
        pool.taken -= 1
        self._wake.set()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Start tasks until cancelled."""
        while True:
            await self._wake.wait()
            if not self._start_some():
                self._wake = trio.Event()

    def _start_some(self) -> bool:
        """Start what one tick may; True when there may be more to start."""
        more = [self._start_from(pool) for pool in self._pools]  # each pool has its turn
        return any(more)

    def _start_from(self, pool: Pool) -> bool:
        paid = dropped = 0
        while paid < _PRICE_PER_TICK and dropped < _DROPPED_PER_TICK:
            if not self.open or (task_id := pool.pop()) is None:
                return False
            price = self._start(task_id, pool)
            paid += price
            if not price:  # it was dropped from the queue meanwhile
                pool.taken -= 1
                dropped += 1
        return True
