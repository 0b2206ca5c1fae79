"""Keeps a listing up to date: one loop that looks at the store, and reads what the screen needs.

One beat reads what moved since the last one. Between beats it reads the ids of a new listing, and
the rows that scrolled into sight. Everything happens in this one order, so that an older answer
can never overwrite a newer one. However much moves, a beat reads a bounded number of rows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from engine import State

from .listing import NOTHING, Touched
from .meter import Meter
from .source import StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine import Owner

    from .link import Link
    from .listing import Listing
    from .source import Source

BEAT: Final = 0.1
"""Seconds from one look at the store to the next."""

PATIENCE: Final = 2.0
"""Seconds between two tries at most while the store cannot be read."""

_LIVE_EVERY: Final = 1.0
"""Polls made are no recorded moves: the live rows in sight are read again this often."""

_EXCESS_BEATS: Final = 3
"""Beats with more rows listed than there are, until the ids are read again."""

_RESCAN_EVERY: Final = 1.0
_RESCAN_SHARE: Final = 10
"""A scan that took a second is made again after ten, not at once."""


class Pulse(NamedTuple):
    """How the store stands."""

    counts: Mapping[State, int]
    owner: Owner | None
    rate: float
    """Tasks that end a second."""
    read_at: float | None
    """Monotonic time of the last look that succeeded; None before the first."""
    trouble: str | None
    """Why the store cannot be read, None while it can."""
    missing: bool
    """True when there is no file."""
    written_at: float | None = None
    """Wall time of the last write to the store's files."""

    @property
    def total(self) -> int:
        """All tasks of the store."""
        return sum(self.counts.values())


class Feed:
    """Reads a source for a listing.

    Args:
        source: Where the rows come from.
        listing: What is shown; this object is the only one to give it rows.
        link: Is told who owns the store.
        clock: Monotonic seconds.
        wall: Seconds since the epoch.
    """

    def __init__(
        self,
        source: Source,
        listing: Listing,
        link: Link,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.pulse = Pulse(dict.fromkeys(State, 0), None, 0.0, None, None, missing=False)
        self.frozen = False
        self._source = source
        self._listing = listing
        self._link = link
        self._clock = clock
        self._wall = wall
        self._meter = Meter()
        self._cursor: str | None = None
        self._scan_after: int | None = None
        self._scanned: object = None
        self._scan_began = 0.0
        self._rescan_due = float("inf")
        self._rescan_from = 0.0
        self._live_due = 0.0
        self._sight = range(0)
        self._wake = asyncio.Event()
        self._failures = 0
        self._too_many = 0
        self._stepped = asyncio.Event()

    def look_at(self, first: int, last: int) -> None:
        """Say which lines are on the screen, ``last`` exclusive; missing rows are read at once."""
        self._sight = range(first, last)
        if self._listing.missing(first, last):
            self._wake.set()

    def freeze(self, *, on: bool) -> None:
        """Leave the listing as it is, or let it go on from what is there by then; the pulse goes
        on all the time."""
        self.frozen = on
        self._rescan_due = 0.0
        self.wake()

    def wake(self) -> None:
        """Make the next step now: something else is listed, or the view goes on."""
        self._wake.set()

    async def run(self, tell: Callable[[Touched], None]) -> None:
        """Keep the listing up to date for ever.

        Args:
            tell: Called after each step with what it changed, also when only the pulse did.
        """
        while True:
            self._wake.clear()
            tell(await self.step())
            stepped, self._stepped = self._stepped, asyncio.Event()
            stepped.set()
            if not self._listing.scanning or self.pulse.trouble is not None:
                await self._pause()

    async def stepped(self) -> None:
        """Wait until `run` has made its next step and told of it."""
        await self._stepped.wait()

    async def step(self) -> Touched:
        """Make one beat, and read the next part of what is missing."""
        try:
            touched = await self._beat()
            touched |= await self._scan()
            touched |= await self._read_sight()
        except StoreGone as gone:
            self._failures += 1
            self._cursor = None
            self._rescan_due = 0.0
            self.pulse = self.pulse._replace(trouble=gone.problem, missing=gone.missing)
            return NOTHING
        self._failures = 0
        return touched

    async def _pause(self) -> None:
        wait = min(PATIENCE, BEAT * 2**self._failures)
        try:
            await asyncio.wait_for(self._wake.wait(), wait)
        except TimeoutError:
            return

    async def _beat(self) -> Touched:
        # While frozen nothing is taken, so nothing needs to be read: the end of it reads anew.
        beat = await self._source.beat(None if self.frozen else self._cursor)
        now = self._clock()
        ended = sum(n for state, n in beat.counts.items() if state.final)
        self._meter.note(now, ended)
        self.pulse = Pulse(
            beat.counts, beat.owner, self._meter.rate(), now, None, False, beat.written_at
        )
        await self._link.follow(beat.owner)
        if self.frozen:
            self._cursor = None
            return NOTHING
        self._cursor = beat.cursor
        if beat.missed:
            self._rescan_due = min(self._rescan_due, max(now, self._rescan_from))
            return await self._reread()
        self._notice_deletions(now)
        return self._listing.take_changes(beat.changed, self._wall())

    def _notice_deletions(self, now: float) -> None:
        """Rows that retention deletes leave no trace but in the counters."""
        listing = self._listing
        listed_all = not listing.query.text and listing.complete
        self._too_many = self._too_many + 1 if listed_all and self._excess() else 0
        if self._too_many > _EXCESS_BEATS:
            self._too_many = 0
            self._rescan_due = min(self._rescan_due, max(now, self._rescan_from))

    def _excess(self) -> bool:
        return self._listing.matched > self.pulse.total

    async def _reread(self) -> Touched:
        ids = [i for row in self._sight if (i := self._listing.id_at(row)) is not None]
        return await self._read(ids)

    async def _scan(self) -> Touched:
        listing, now = self._listing, self._clock()
        if not listing.scanning:
            if self.frozen or now < self._rescan_due:
                return NOTHING
            listing.rescan()
        scan = listing.coming
        if scan is not self._scanned:
            self._scanned, self._scan_after, self._scan_began = scan, None, now
            self._rescan_due = float("inf")
        ids, known_from = await self._source.ids(listing.query, self._scan_after)
        if listing.coming is not scan:
            return NOTHING  # something else is listed by now
        self._scan_after = known_from
        touched = listing.take_ids(ids, known_from)
        if not listing.scanning:
            self._scanned = None
            ended = self._clock()
            wait = max(_RESCAN_EVERY, (ended - self._scan_began) * _RESCAN_SHARE)
            self._rescan_from = ended + wait
            if listing.timed:
                self._rescan_due = self._rescan_from
        return touched

    async def _read_sight(self) -> Touched:
        listing, now = self._listing, self._clock()
        ids = listing.missing(self._sight.start, self._sight.stop)
        if now >= self._live_due and not self.frozen:
            self._live_due = now + _LIVE_EVERY
            for row in self._sight:
                shown = None if (i := listing.id_at(row)) is None else listing.rows.get(i)
                if shown is not None and not shown.state.final:
                    ids.append(shown.id)
        return await self._read(ids)

    async def _read(self, ids: list[int]) -> Touched:
        if not ids:
            return NOTHING
        found = await self._source.rows(ids)
        gone = [task_id for task_id, row in found.items() if row is None]
        return self._listing.take_rows((row for row in found.values() if row is not None), gone)
