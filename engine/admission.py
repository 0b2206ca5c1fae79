"""Who starts next: queues of ready tasks, slots, and the pace of starting."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import Final

import trio

_STARTS_PER_TICK: Final = 10
"""Starting a thread holds the loop for about 0.2 ms: more in one tick would be felt."""

_LOOKS_PER_TICK: Final = 2_000


class Pool:
    """Slots of one sort, and the ready tasks that wait for one, in order of priority.

    A task that was dropped from the queue stays in it until its turn comes, and is passed over.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._queues: dict[int, deque[int]] = {}
        self._priorities: list[int] = []  # negated, ascending: the highest first

    def push(self, task_id: int, priority: int) -> None:
        """Queue a ready task behind those of its priority."""
        queue = self._queues.get(priority)
        if queue is None:
            queue = self._queues[priority] = deque()
            insort(self._priorities, -priority)
        queue.append(task_id)

    def pop(self) -> int | None:
        """The next task, if there is one and a slot for it; the slot is taken."""
        if self.taken >= self.capacity or not self._priorities:
            return None
        priority = -self._priorities[0]
        queue = self._queues[priority]
        task_id = queue.popleft()
        if not queue:
            del self._queues[priority], self._priorities[0]
        self.taken += 1
        return task_id


class Admission:
    """Starts ready tasks as slots get free, a few in each tick of the loop."""

    def __init__(self, start: Callable[[int, Pool], bool]) -> None:
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

    async def run(self) -> None:
        """Start tasks until cancelled."""
        while True:
            await self._wake.wait()
            if not self._start_some():
                self._wake = trio.Event()

    def _start_some(self) -> bool:
        """Start what one tick may; True when there may be more to start."""
        return any([self._start_from(pool) for pool in self._pools])  # a list: each has its turn

    def _start_from(self, pool: Pool) -> bool:
        started = 0
        for _ in range(_LOOKS_PER_TICK):
            if not self.open or (task_id := pool.pop()) is None:
                return False
            if self._start(task_id, pool):
                started += 1
                if started == _STARTS_PER_TICK:
                    return True
            else:
                pool.taken -= 1  # it was dropped meanwhile
        return True
