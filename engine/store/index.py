"""The rows in memory: all live tasks and the final ones that ended last."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping

from ..errors import TaskNotFound, TaskNotInMemory
from ..model import LIVE, Page, State, TaskSnapshot

SCAN_ROWS = 5_000
"""Rows that one `page` call may look at: some milliseconds, if looking is cheap."""


class Index:
    """Rows by id, counts by state. Every call is O(1), but for `page`, which is bounded."""

    def __init__(self, memory_limit: int, counts: Mapping[State, int]) -> None:
        self._rows: dict[int, TaskSnapshot] = {}
        self._order: list[int] = []  # ascending; may hold ids whose rows are gone
        self._finals: deque[int] = deque()
        self._memory_limit = memory_limit
        self._counts = {state: counts.get(state, 0) for state in State}
        self.evicted = any(self._counts[state] for state in State if state.final)
        """True when final rows exist that are not in memory."""

    def add(self, row: TaskSnapshot) -> None:
        """Take a new row, with a higher id than any before."""
        self._counts[row.state] += 1
        self.adopt(row)

    def adopt(self, row: TaskSnapshot) -> None:
        """Take a row that the counts know already."""
        self._rows[row.id] = row
        self._order.append(row.id)

    def replace(self, row: TaskSnapshot) -> None:
        """Put a newer row in the place of the old one."""
        old = self._rows[row.id]
        self._rows[row.id] = row
        if old.state is not row.state:
            self._counts[old.state] -= 1
            self._counts[row.state] += 1
            if row.state.final:
                self._finals.append(row.id)
                self._evict()

    def get(self, task_id: int, next_id: int) -> TaskSnapshot:
        """The row; raises TaskNotFound, or TaskNotInMemory when it may be on disk."""
        row = self._rows.get(task_id)
        if row is not None:
            return row
        if self.evicted and 0 < task_id < next_id:
            raise TaskNotInMemory(task_id)
        raise TaskNotFound(task_id)

    def find(self, task_id: int) -> TaskSnapshot | None:
        """The row, or None."""
        return self._rows.get(task_id)

    def counts(self) -> dict[State, int]:
        """Tasks a state, those that are only on disk included."""
        return dict(self._counts)

    @property
    def live(self) -> int:
        """How many tasks are not final."""
        return sum(self._counts[state] for state in LIVE)

    def live_ids(self) -> list[int]:
        """Ids of the tasks that are not final. O(rows): for the end of an engine only."""
        return [row.id for row in self._rows.values() if not row.state.final]

    def page(
        self,
        wanted: Callable[[TaskSnapshot], bool],
        after: int | None,
        limit: int,
        scan: int = SCAN_ROWS,
    ) -> Page:
        """Rows with ids below ``after`` that are wanted, newest first; ``scan`` are looked at."""
        order = self._order
        at = len(order) if after is None else bisect_left(order, after)
        stop = max(0, at - scan)
        found: list[TaskSnapshot] = []
        while at > stop and len(found) < limit:
            at -= 1
            row = self._rows.get(order[at])
            if row is not None and wanted(row):
                found.append(row)
        return Page(tuple(found), order[at] if at > 0 else None)

    def _evict(self) -> None:
        while len(self._finals) > self._memory_limit:
            del self._rows[self._finals.popleft()]
            self.evicted = True
        if len(self._order) > 2 * len(self._rows) + 1_000:
            self._order = [task_id for task_id in self._order if task_id in self._rows]
