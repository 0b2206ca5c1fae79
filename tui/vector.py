"""The ids of a listing: which task is in which line, for any number of tasks."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from operator import neg
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class IdVector:
    """Task ids, newest first, with the way back from an id to its row.

    Eight bytes a task. It grows at both ends: new tasks come in front, and a scan from the newest
    to the oldest fills it up at the back. What is older than the scan has come is not taken, for
    the scan will find it.
    """

    def __init__(self) -> None:
        self._newer = array("q")  # ascending, all above every older one
        self._older = array("q")  # descending
        self._known_from: int | None = None

    @property
    def complete(self) -> bool:
        """True when the scan has come to the oldest task."""
        return self._known_from == 0

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def __iter__(self) -> Iterator[int]:
        yield from reversed(self._newer)
        yield from self._older

    def __getitem__(self, row: int) -> int:
        if not 0 <= row < len(self):
            raise IndexError(row)
        newer = len(self._newer)
        return self._newer[newer - 1 - row] if row < newer else self._older[row - newer]

    def row_of(self, task_id: int) -> int | None:
        """The row of a task, None when it is not in here."""
        row = self._place(task_id)
        return row if row < len(self) and self[row] == task_id else None

    def add(self, task_id: int) -> int | None:
        """Take an id; the row it got, None when it is here already or the scan will find it."""
        if self._known_from is None or task_id < self._known_from:
            return None
        row = self._place(task_id)
        if row < len(self) and self[row] == task_id:
            return None
        newer = len(self._newer)
        if row < newer or not self._older or task_id > self._older[0]:
            self._newer.insert(newer - row, task_id)
        else:
            self._older.insert(row - newer, task_id)
        return row

    def discard(self, task_id: int) -> int | None:
        """Take an id out; the row it had, None when it was not here."""
        row = self.row_of(task_id)
        if row is None:
            return None
        newer = len(self._newer)
        if row < newer:
            del self._newer[newer - 1 - row]
        else:
            del self._older[row - newer]
        return row

    def extend(self, ids: Iterable[int], known_from: int) -> None:
        """Take what the scan found next.

        Args:
            ids: The next older ids, newest first.
            known_from: All ids from here up are known now; 0 when the scan is through.
        """
        last = self[len(self) - 1] if len(self) else None
        for task_id in ids:
            if last is None or task_id < last:
                self._older.append(task_id)
                last = task_id
        self._known_from = known_from

    def _place(self, task_id: int) -> int:
        """How many ids are above this one."""
        newer = len(self._newer)
        if newer and task_id >= self._newer[0]:
            at = bisect_left(self._newer, task_id)
            here = at < newer and self._newer[at] == task_id
            return newer - at - (1 if here else 0)
        return newer + bisect_left(self._older, -task_id, key=neg)
