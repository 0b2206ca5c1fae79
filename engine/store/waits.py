"""Those who wait for a revision to be durable."""

from __future__ import annotations

import heapq

import trio

from ..errors import StoreFailed


class Waits:
    """Wakes waiters in order of revision; O(log n) each."""

    def __init__(self) -> None:
        self.failed = False
        """True when no further revision will be reached."""
        self._reached = 0
        self._heap: list[tuple[int, int, trio.Event]] = []
        self._tickets = 0  # between equal revisions: events cannot be compared

    async def until(self, revision: int) -> None:
        """Wait until this revision is reached. Raises StoreFailed when it never will be."""
        if revision > self._reached and not self.failed:
            event = trio.Event()
            self._tickets += 1
            heapq.heappush(self._heap, (revision, self._tickets, event))
            await event.wait()
        else:
            await trio.lowlevel.checkpoint()
        if revision > self._reached:
            raise StoreFailed("store", "a move could not be made durable")

    def reached(self, revision: int) -> None:
        """All revisions up to this one are durable."""
        self._reached = revision
        while self._heap and self._heap[0][0] <= revision:
            heapq.heappop(self._heap)[2].set()

    def fail(self) -> None:
        """No further revision will be reached: wake everybody."""
        self.failed = True
        for _, _, event in self._heap:
            event.set()
        self._heap.clear()
