"""What the table shows: the matching tasks in order, the cursor, the marks. No input, no output.

The feed tells it what has been read, the table asks it what stands in which line, and the keys
move its cursor. A cursor and marks belong to tasks, not to lines: rows may come and go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from .live import is_older
from .rowcache import RowCache
from .vector import IdVector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine import Query, TaskSnapshot


_BY_TIME: Final = re.compile(r"\bage\s*[<>=]", re.IGNORECASE)


class Touched(NamedTuple):
    """What a change means for the lines on the screen."""

    ids: frozenset[int]
    """Tasks whose row reads differently now."""
    moved: bool
    """True when tasks came, went, or stand in other lines."""

    def __or__(self, other: object) -> Touched:
        if not isinstance(other, Touched):
            return NotImplemented
        return Touched(self.ids | other.ids, self.moved or other.moved)


NOTHING = Touched(frozenset(), moved=False)


class Listing:
    """The tasks that match a query, newest first or oldest first.

    Args:
        query: What is listed; every task at first.
    """

    def __init__(self, query: Query) -> None:
        self.query = query
        self.rows = RowCache()
        self.marks: set[int] = set()
        self.newest_first = True
        self.estimate = 0
        """How many rows to expect while the scan is under way."""
        self.cursor_id: int | None = None
        self._cursor_row = 0
        self._ids = IdVector()
        self._coming: IdVector | None = IdVector()
        self._replace_at_once = True

    # -- what stands where -----------------------------------------------------------------------

    @property
    def matched(self) -> int:
        """Matching tasks found so far."""
        return len(self._ids)

    @property
    def complete(self) -> bool:
        """True when `matched` is all of them."""
        return self._ids.complete

    @property
    def height(self) -> int:
        """Lines to make room for: those known, or those expected while the scan is under way."""
        if self._ids.complete or not self.newest_first:
            return len(self._ids)
        return max(len(self._ids), self.estimate)

    def id_at(self, row: int) -> int | None:
        """The task in a line; None when the scan has not come there."""
        if not 0 <= row < len(self._ids):
            return None
        return self._ids[row if self.newest_first else len(self._ids) - 1 - row]

    def row_of(self, task_id: int) -> int | None:
        """The line of a task; None when it is not listed."""
        return self._oriented(self._ids.row_of(task_id))

    def missing(self, first: int, last: int) -> list[int]:
        """Tasks in the lines ``first`` to ``last`` (exclusive) whose snapshot is not at hand."""
        ids = (self.id_at(row) for row in range(max(0, first), last))
        return [task_id for task_id in ids if task_id is not None and not self.rows.get(task_id)]

    def _oriented(self, row: int | None) -> int | None:
        if row is None or self.newest_first:
            return row
        return len(self._ids) - 1 - row

    # -- the cursor and the marks ----------------------------------------------------------------

    @property
    def cursor_row(self) -> int:
        """The line of the cursor: of its task, or where its task was when it left the list."""
        return self._cursor_row

    @property
    def selected(self) -> TaskSnapshot | None:
        """The snapshot under the cursor, where it is at hand."""
        return None if self.cursor_id is None else self.rows.get(self.cursor_id)

    def move_to(self, row: int) -> None:
        """Put the cursor on a line, on the nearest there is."""
        self._cursor_row = max(0, min(row, len(self._ids) - 1))
        self.cursor_id = self.id_at(self._cursor_row)

    def select(self, task_id: int) -> bool:
        """Put the cursor on a task; False when it is not listed."""
        row = self.row_of(task_id)
        if row is not None:
            self.move_to(row)
        return row is not None

    def reverse(self) -> None:
        """Turn the order round; the cursor stays with its task."""
        self.newest_first = not self.newest_first
        self._settle_cursor()

    def toggle_mark(self, task_id: int) -> None:
        """Mark a task, or take its mark away."""
        self.marks ^= {task_id}

    def mark_all(self) -> None:
        """Mark every listed task; when all are marked, none."""
        listed = set(self._ids)
        self.marks = self.marks - listed if listed <= self.marks else self.marks | listed

    def _settle_cursor(self) -> None:
        row = None if self.cursor_id is None else self.row_of(self.cursor_id)
        self.move_to(self._cursor_row if row is None else row)

    # -- what the feed has read ------------------------------------------------------------------

    @property
    def scanning(self) -> bool:
        """True while ids are still to be read."""
        return self._coming is not None

    @property
    def coming(self) -> object:
        """The scan under way, as something to tell it from the next one; None when there is
        none."""
        return self._coming

    @property
    def timed(self) -> bool:
        """True when tasks come into the listing, or leave it, by time alone."""
        return _BY_TIME.search(self.query.text) is not None

    def begin(self, query: Query) -> None:
        """List something else: the rows of now stay until the first new ones are read."""
        self.query = query
        self._coming, self._replace_at_once = IdVector(), True

    def rescan(self) -> None:
        """Read the ids again, out of sight: the rows of now stay until that is through."""
        if self._coming is None:
            self._coming, self._replace_at_once = IdVector(), False

    def take_ids(self, ids: Iterable[int], known_from: int) -> Touched:
        """Take the next ids of the scan, see `IdVector.extend`."""
        coming = self._coming
        if coming is None:
            return NOTHING
        coming.extend(ids, known_from)
        shown = coming is self._ids
        if coming.complete:
            self._coming = None
        if not shown and (self._replace_at_once or coming.complete):
            self._ids = coming
            self._settle_cursor()
            return Touched(frozenset(), moved=True)
        if shown:
            self._settle_cursor()
        return Touched(frozenset(), moved=shown)

    def take_rows(self, rows: Iterable[TaskSnapshot], gone: Iterable[int] = ()) -> Touched:
        """Take snapshots that were asked for; ``gone`` are tasks that exist no more."""
        fresh = [row for row in rows if self._is_news(row)]
        self.rows.put(fresh)
        moved = False
        for task_id in gone:
            moved |= self._drop(task_id)
        if moved:
            self._settle_cursor()
        return Touched(frozenset(row.id for row in fresh), moved)

    def take_changes(self, rows: Iterable[TaskSnapshot], now: float) -> Touched:
        """Take tasks that have moved: new ones, and old ones that match, or no longer do."""
        touched, moved = set[int](), False
        for row in rows:
            if self.rows.renew(row):
                touched.add(row.id)
            if self.query.matches(row, now):
                moved |= self._insert(row.id)
            else:
                moved |= self._drop(row.id, forget=False)
        if moved:
            self._settle_cursor()
        return Touched(frozenset(touched), moved)

    def _is_news(self, row: TaskSnapshot) -> bool:
        old = self.rows.get(row.id)
        return old is None or (old != row and not is_older(row, old))

    def _insert(self, task_id: int) -> bool:
        if self._coming is not None and self._coming is not self._ids:
            self._coming.add(task_id)
        return self._ids.add(task_id) is not None

    def _drop(self, task_id: int, *, forget: bool = True) -> bool:
        if forget:
            self.rows.discard(task_id)
            self.marks.discard(task_id)
        if self._coming is not None and self._coming is not self._ids:
            self._coming.discard(task_id)
        return self._ids.discard(task_id) is not None
