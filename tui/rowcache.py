"""The snapshots at hand: the rows on the screen, and those around it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine import TaskSnapshot


class RowCache:
    """The snapshots that were shown last, by id.

    Args:
        limit: How many are kept; the ones not looked at for longest go first.
    """

    def __init__(self, limit: int = 4096) -> None:
        self._rows: OrderedDict[int, TaskSnapshot] = OrderedDict()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, task_id: int) -> TaskSnapshot | None:
        """The snapshot, None when it is not at hand."""
        row = self._rows.get(task_id)
        if row is not None:
            self._rows.move_to_end(task_id)
        return row

    def put(self, rows: Iterable[TaskSnapshot]) -> None:
        """Keep snapshots; they take the place of older ones."""
        for row in rows:
            self._rows[row.id] = row
            self._rows.move_to_end(row.id)
        while len(self._rows) > self._limit:
            self._rows.popitem(last=False)

    def renew(self, row: TaskSnapshot) -> bool:
        """Put a newer snapshot in the place of one at hand; True when it was and differs."""
        old = self._rows.get(row.id)
        if old is None or old == row:
            return False
        self._rows[row.id] = row
        return True

    def discard(self, task_id: int) -> None:
        """Forget a snapshot."""
        self._rows.pop(task_id, None)
