"""The engine's async iterators: over tasks as they are answered, and over events.

Classes, not generators: a loop over one may be left by ``break``, and nothing has to be closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import trio

from .errors import EngineClosed
from .hops import hop
from .model import Event, Reset, parse_cursor
from .waiting import Arrivals, Waiters, is_answered

if TYPE_CHECKING:
    from .api import Reader, RunSync
    from .model import TaskSnapshot
    from .store.feed import Feed

_BATCH: Final = 500


class Completions:
    """See `Engine.as_completed`."""

    def __init__(
        self,
        ids: Iterable[int],
        waiters: Waiters,
        get: Callable[[int], Awaitable[TaskSnapshot]],
    ) -> None:
        self._ids = list(dict.fromkeys(ids))
        self._waiters = waiters
        self._get = get
        self._arrivals: Arrivals | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        if self._arrivals is None:
            for task_id in self._ids:
                await self._get(task_id)  # raises TaskNotFound
            self._arrivals = await self._waiters.arrivals(self._ids)
        await trio.lowlevel.checkpoint()
        answered = await self._arrivals.next()
        if answered is None:
            raise StopAsyncIteration
        if not is_answered(await self._get(answered)):
            raise EngineClosed(f"the engine ended before task {answered}")
        return answered


class Events:
    """See `Engine.events`."""

    def __init__(
        self, feed: Feed, since: str | None, disk: Reader | None, threads: RunSync
    ) -> None:
        place = (feed.epoch, feed.revision) if since is None else parse_cursor(since)
        self._epoch, self._seen = place
        self._feed = feed
        self._disk = disk
        self._threads = threads
        self._batch: deque[Event | Reset] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Reset:
        await trio.lowlevel.checkpoint()
        while not self._batch:
            self._batch.extend(await self._next_batch())
            if self._batch:
                break
            if self._epoch != self._feed.epoch:
                self._epoch, self._seen = self._feed.epoch, 0
            elif self._feed.closed:
                raise StopAsyncIteration
            else:
                await self._feed.changed(self._seen)
        event = self._batch.popleft()
        if isinstance(event, Event):
            self._epoch, self._seen = event.epoch, event.revision
        else:
            self._epoch, self._seen = parse_cursor(event.cursor)
        return event

    async def _next_batch(self) -> Iterable[Event | Reset]:
        if self._epoch == self._feed.epoch:
            events = self._feed.after(self._seen, _BATCH)
            if events is not None:
                return events
        if self._disk is None:
            return self._feed.since((self._epoch, self._seen), _BATCH)
        place = f"{self._epoch}.{self._seen}" if self._epoch else ""
        return await hop(self._threads, partial(self._disk.events, place, limit=_BATCH))
