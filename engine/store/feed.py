"""The changelog: the events published last, and a bell that rings when there are new ones."""

from __future__ import annotations

from collections import deque
from itertools import islice

import trio

from ..model import Event, Reset


class Feed:
    """A bounded list of events in order of revision, read by any number of readers.

    A reader keeps its own place (the revision it saw last), so a slow one costs nothing and holds
    up nobody; one that falls out of the list is told so.
    """

    def __init__(self, epoch: int, limit: int) -> None:
        self.epoch = epoch
        self.closed = False
        self._events: deque[Event] = deque(maxlen=limit)
        self._published = 0
        self._bell: trio.Event | None = None

    @property
    def revision(self) -> int:
        """The last published revision of this epoch; 0 before the first."""
        return self._published

    def append(self, event: Event) -> None:
        """Publish the next event."""
        self._events.append(event)
        self._published = event.revision

    def ring(self) -> None:
        """Wake those who wait: once a group of events, not once an event."""
        if self._bell is not None:
            self._bell.set()
            self._bell = None

    def close(self) -> None:
        """No more events will come."""
        self.closed = True
        self.ring()

    async def changed(self, seen: int) -> None:
        """Wait until a revision above ``seen`` is published, or the feed is closed."""
        while self._published <= seen and not self.closed:
            if self._bell is None:
                self._bell = trio.Event()
            await self._bell.wait()

    def after(self, seen: int, limit: int) -> list[Event] | None:
        """Events of this epoch with revisions above ``seen``; None when some are gone already, or
        when ``seen`` is of no event that was ever published."""
        skip = seen - (self._published - len(self._events))
        if skip < 0 or seen > self._published:
            return None
        new = len(self._events) - skip
        if new < skip:  # walk from the nearer end
            tail = list(islice(reversed(self._events), new))
            tail.reverse()
            return tail[:limit]
        return list(islice(self._events, skip, skip + limit))

    def since(self, cursor: tuple[int, int], limit: int) -> list[Event | Reset]:
        """As `after`, from any cursor, with a `Reset` in front where something is missing."""
        epoch, seen = cursor
        if epoch == self.epoch and seen <= self._published:
            events = self.after(seen, limit)
            if events is not None:
                return list(events)
        oldest = self._published - len(self._events)
        kept: list[Event | Reset] = list(islice(self._events, limit))
        if cursor == (0, 0) and oldest == 0 and self.epoch == 1:
            return kept
        return [Reset(f"{self.epoch}.{oldest}"), *kept]
