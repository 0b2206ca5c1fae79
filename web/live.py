"""What has just happened, read and written out once for all who follow it.

One task reads the engine's feed while somebody follows it, turns what has come into one block of
bytes, and wakes everybody; each reader sends the same bytes. Between two blocks it rests, the
longer the more readers there are: so a thousand of them wake this thread no more often than a few
do. A reader that has fallen behind the blocks which are kept reads the feed by itself until it has
caught up, see `events`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from engine import CrecheError, Event, Reset, parse_cursor

from .frames import encode, encode_last, place_of

if TYPE_CHECKING:
    from .ports import EnginePort

READ: Final = 16_384
"""Events read at once."""
_BLOCK: Final = 500
"""Events in a block."""
_BLOCKS: Final = 1_024
"""Blocks that are kept at most."""
_PIECE: Final = 128 * 1024
"""Bytes of blocks that are sent together, about."""

_LOG: Final = logging.getLogger("creche.web")


class Pace(NamedTuple):
    """How often the readers are woken."""

    shortest: float = 0.05
    """Seconds between two blocks at least."""
    wakes: float = 200.0
    """Readers woken in a second at most, all of them together."""

    def rest(self, readers: int) -> float:
        """Seconds to rest after a block."""
        return max(self.shortest, readers / self.wakes)


class _Block(NamedTuple):
    events: Sequence[Event | Reset]
    data: bytes
    last: int
    """Revision of the last event."""


class Live:
    """The newest events, for any number of readers on the engine's thread.

    Args:
        engine: Whose events.
        kept: How many are kept.
        pace: How often the readers are woken.
    """

    def __init__(self, engine: EnginePort, *, kept: int = 32_768, pace: Pace | None = None) -> None:
        self.ended = False
        """True when no more will come."""
        self._engine = engine
        self._kept = kept
        self._pace = pace or Pace()
        self._blocks: deque[_Block] = deque()
        self._held = 0
        self._first = self._last = 0
        """Revisions: the blocks hold what is after the one, up to the other."""
        self._running = False
        self._readers = 0
        self._reading = trio.CancelScope()
        self._wanted = trio.Event()
        self._bell = trio.Event()
        self._watched: dict[int, list[trio.Event]] = {}

    async def run(self) -> None:
        """Read while somebody follows, until the engine ends or `close` is called."""
        try:
            with self._reading:
                while not self.ended:
                    await self._wanted.wait()
                    await self._follow()
        except CrecheError:
            _LOG.exception("the engine's events cannot be read any more")
        finally:
            self.ended = True
            self._running = False
            self._tell_all()

    def close(self) -> None:
        """Read no more."""
        self._reading.cancel()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Keep it running inside."""
        self._readers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._readers -= 1

    def now(self) -> tuple[int, int]:
        """The place after everything that is published."""
        epoch, revision = parse_cursor(self._engine.reader().cursor())
        return (epoch or self._engine.epoch, revision)

    def covers(self, place: tuple[int, int]) -> bool:
        """True when `after` knows all that has come after this place."""
        if not self._running:
            return False
        return (self._engine.epoch, self._first) <= place <= self.now()

    def after(self, revision: int) -> tuple[bytes, int]:
        """What has come after a revision of this epoch, as bytes, and the revision that it leads
        to. Both of a covered place; empty when there is nothing."""
        new: list[_Block] = []
        for block in reversed(self._blocks):
            if block.last <= revision:
                break
            new.append(block)
        if not new:
            return b"", revision
        block = new.pop()
        if place_of(block.events[0])[1] > revision:
            data = [block.data]
        else:
            # The reader has come here by the feed, and stands in the middle.
            data = [encode([each for each in block.events if place_of(each)[1] > revision])]
        size = len(data[0])
        while new and size + len(new[-1].data) <= _PIECE:
            block = new.pop()
            data.append(block.data)
            size += len(block.data)
        return b"".join(data), block.last

    async def changed(self, revision: int) -> None:
        """Wait until something has come after a revision, or nothing will any more."""
        while self._running and self._last <= revision:
            await self._bell.wait()

    @contextmanager
    def watching(self, task_id: int) -> Iterator[_Watch]:
        """Be told of the moves of one task inside."""
        watch = _Watch(self._watched.setdefault(task_id, []))
        try:
            with self.followed():
                yield watch
        finally:
            watch.close()
            if not self._watched[task_id]:
                del self._watched[task_id]

    async def _follow(self) -> None:
        self._blocks.clear()
        self._held = 0
        self._first = self._last = self.now()[1]
        self._running = True
        # What came while nobody read: whoever waits looks for himself.
        self._tell_all()
        while self._readers:
            events = await self._read()
            if not events:
                self.ended = True
                break
            await self._add(events)
            self._tell(events)
            if len(events) < READ:
                await trio.sleep(self._pace.rest(self._readers))
        if not self._readers:
            self._wanted = trio.Event()
        self._running = False

    async def _read(self) -> Sequence[Event | Reset]:
        """Wait for the next event, and take along what memory has after it."""
        cursor = f"{self._engine.epoch}.{self._last}"
        first = await anext(self._engine.events(cursor), None)
        if first is None:
            return ()
        others = self._engine.reader().events(first.cursor, limit=READ - 1)
        # Behind the memory itself: the next round goes by the disk.
        broken = bool(others) and isinstance(others[0], Reset)
        return [first] if broken else [first, *others]

    async def _add(self, events: Sequence[Event | Reset]) -> None:
        word, kept = encode_last(events)
        for start in range(0, len(kept), _BLOCK):
            some = kept[start : start + _BLOCK]
            data = encode(some) if start else word + encode(some)
            self._last = place_of(some[-1])[1]
            self._blocks.append(_Block(some, data, self._last))
            self._held += len(some)
            await trio.lowlevel.checkpoint()
        while self._held > self._kept or len(self._blocks) > _BLOCKS:
            oldest = self._blocks.popleft()
            self._held -= len(oldest.events)
            self._first = oldest.last

    def _tell(self, events: Sequence[Event | Reset]) -> None:
        """Wake those who wait for anything, and those who wait for these tasks."""
        if any(isinstance(event, Reset) for event in events):
            self._tell_all()
            return
        self._ring()
        if self._watched:
            moved = {event.task_id for event in events if isinstance(event, Event)}
            for task_id in moved & self._watched.keys():
                for told in self._watched[task_id]:
                    told.set()

    def _tell_all(self) -> None:
        self._ring()
        for watchers in self._watched.values():
            for told in watchers:
                told.set()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = trio.Event()


class _Watch:
    """One who waits for one task."""

    def __init__(self, told: list[trio.Event]) -> None:
        self._all = told
        self._event = trio.Event()
        told.append(self._event)

    def reset(self) -> None:
        """Begin anew: what moves from here on will be told."""
        self.close()
        self._event = trio.Event()
        self._all.append(self._event)

    async def moved(self) -> None:
        """Wait until it has moved since the last `reset`."""
        await self._event.wait()

    def close(self) -> None:
        """Be told no more."""
        self._all.remove(self._event)
