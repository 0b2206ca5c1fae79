"""Slots of one sort, and the queue of ready tasks that wait for one."""

from __future__ import annotations

from bisect import insort
from collections import deque


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
