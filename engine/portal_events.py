"""The engine's events as a plain iterator, for the threads of a synchronous program."""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Final, Self

from .loop_thread import outcome_of
from .model import Event, Reset, parse_cursor

if TYPE_CHECKING:
    from types import TracebackType

    from .engine import Engine
    from .loop_thread import LoopThread

_BATCH: Final = 500
"""So many events at most come with one hop."""


class PortalEvents:
    """See `EnginePortal.events`. For one thread at a time, but for `close`.

    All it knows is its place, so nothing has to be closed, and an interruption loses nothing.
    """

    def __init__(self, engine: Engine, loop: LoopThread, since: str | None) -> None:
        self._engine = engine
        self._loop = loop
        self._closed = False
        self._batch: deque[Event | Reset] = deque()
        self._taking: Future[list[Event | Reset]] | None = None
        if since is None:
            since = loop.ask(self._now)
        parse_cursor(since)  # raises ValueError
        self.cursor = since
        """Of the last one given out: what ``events(since=…)`` goes on from."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event | Reset:
        if not self._batch and not self._closed:
            self._batch.extend(self._take())
        if self._closed or not self._batch:
            raise StopIteration
        event = self._batch.popleft()
        self.cursor = event.cursor
        return event

    def close(self) -> None:
        """End it, also while another thread waits in it. From any thread; never waits."""
        self._closed = True
        if self._taking is not None:
            self._taking.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> list[Event | Reset]:
        taking = self._taking = self._loop.start(self._some, self.cursor)
        if self._closed:  # just before it could be seen there
            taking.cancel()
        try:
            return outcome_of(taking)
        except CancelledError:  # by close()
            return []
        finally:
            taking.cancel()  # does nothing to one that is done
            self._taking = None

    # -- on the loop's thread ----------------------------------------------------------------------

    def _now(self) -> str:
        now = self._engine.statistics()
        return f"{now.epoch}.{now.durable_revision}"

    async def _some(self, cursor: str) -> list[Event | Reset]:
        """Wait for the next event; it, and what memory has already got after it."""
        async for event in self._engine.events(cursor):
            if parse_cursor(event.cursor)[0] != self._engine.epoch:
                return [event]
            more = self._engine.reader().events(event.cursor, limit=_BATCH - 1)
            if any(isinstance(item, Reset) for item in more):
                return [event]  # the file may still have what memory has not
            return [event, *more]
        return []
