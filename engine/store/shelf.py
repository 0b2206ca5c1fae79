"""Outputs and exceptions of finished tasks, kept in memory as long as there is room."""

from __future__ import annotations

from collections import OrderedDict


class Shelf:
    """What the last so many tasks ended with; the oldest makes room for the newest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Not a dict: taking the first of a dict again and again walks over all that was taken.
        self._kept: OrderedDict[int, object] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._kept

    def __getitem__(self, task_id: int) -> object:
        return self._kept[task_id]

    def get(self, task_id: int) -> object:
        """What the task ended with; None when it is not kept, or was that."""
        return self._kept.get(task_id)

    def put(self, task_id: int, value: object) -> None:
        """Keep a task's output or exception."""
        self._kept[task_id] = value
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
