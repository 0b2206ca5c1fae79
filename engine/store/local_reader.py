"""Reads a store from inside its engine's process: from memory, on the loop's thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..errors import OutputNotKept, OutputNotReady, TaskEnded
from ..model import Changes, Event, Owner, Page, Reset, State, TaskSnapshot, parse_cursor
from ..outputs import keep
from .index import SCAN_ROWS

_CHEAP_TEXT: Final = 8
_LEAST_SCAN: Final = 50

if TYPE_CHECKING:
    from ..clock import Clock
    from ..query import Query
    from .state import StateStore


class LocalReader:
    """An `api.Reader` over the store's memory: all live tasks, and the final ones that ended last.

    Where a task or an event is no longer in memory it says so (TaskNotInMemory, `Reset`); the
    engine's own awaiting verbs go to the disk then.
    """

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def get(self, task_id: int) -> TaskSnapshot:
        """As `api.Reader.get`; raises TaskNotInMemory too."""
        return self._store.get(task_id)

    def page(self, query: Query, *, after: int | None = None, limit: int = 50) -> Page:
        """As `api.Reader.page`."""
        now = self._clock.wall()
        merged = self._store.merged
        # What a query costs by row grows with its text: a piece of work has to stay short.
        scan = max(_LEAST_SCAN, SCAN_ROWS // (1 + len(query.text) // _CHEAP_TEXT))
        page = self._store.index.page(
            lambda row: query.matches(merged(row), now), after, limit, scan
        )
        return Page(tuple(merged(row) for row in page.tasks), page.next_after)

    def counts(self) -> dict[State, int]:
        """As `api.Reader.counts`."""
        return self._store.index.counts()

    def cursor(self) -> str:
        """As `api.Reader.cursor`."""
        feed = self._store.feed
        return f"{feed.epoch}.{feed.revision}" if feed.revision or feed.epoch > 1 else ""

    def changes(self, since: str, *, limit: int = 1000) -> Changes:
        """As `api.Reader.changes`."""
        ids: dict[int, None] = {}
        cursor, reset = since, False
        events = self._store.feed.since(parse_cursor(since), limit)
        for event in events:
            if isinstance(event, Reset):
                reset = True
            else:
                ids[event.task_id] = None
            cursor = event.cursor
        rows = [row for task_id in ids if (row := self._store.find(task_id)) is not None]
        return Changes(tuple(rows), cursor, reset=reset, more=len(events) >= limit)

    def events(self, since: str, *, limit: int = 1000) -> Sequence[Event | Reset]:
        """As `api.Reader.events`."""
        return self._store.feed.since(parse_cursor(since), limit)

    def output(self, task_id: int) -> str:
        """As `api.Reader.output`."""
        row = self._store.get(task_id)
        if not row.state.final:
            raise OutputNotReady(row)
        if row.state is not State.SUCCEEDED:
            raise TaskEnded(row)
        if task_id not in self._store.outputs:
            raise OutputNotKept(task_id, "it is no longer in memory")
        kept = keep(self._store.outputs[task_id])
        if kept.text is None:
            raise OutputNotKept(task_id, f"it is {kept.mark.value.replace('_', ' ')}")
        return kept.text

    def owner(self) -> Owner | None:
        """As `api.Reader.owner`: nobody but us."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""
