"""A journal that commits when a test tells it to, or by itself in the next tick of the loop."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import trio

from engine.api import Recovered
from engine.errors import StoreFailed
from engine.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from engine.api import Entry
    from engine.model import TaskSnapshot

_IDS = 2_000_000


class ToldJournal:
    """Implements `engine.api.Journal`. With ``by_itself`` False nothing is committed before
    `commit` is called; `fail` makes it fail as a full disk would."""

    def __init__(
        self,
        *,
        by_itself: bool = True,
        epoch: int = 1,
        next_id: int = 1,
        unfinished: Sequence[TaskSnapshot] = (),
    ) -> None:
        counts = dict.fromkeys(State, 0)
        for row in unfinished:
            counts[row.state] += 1
        self.recovered: Recovered = Recovered(epoch, next_id, unfinished, counts, clean=False)
        if not unfinished:
            self.recovered = self.recovered._replace(clean=True)
        self.entries: list[Entry] = []
        self.samples: list[TaskSnapshot] = []
        self.closed_with: int | None = None
        self._by_itself = by_itself
        self._reserved = next_id + _IDS
        self._asked = self._reserved
        self._told = 0
        self._reported = 0
        self._failure: Exception | None = None
        self._ended: str | None = None
        self._wake = trio.Event()

    # -- for the test ------------------------------------------------------------------------------

    def commit(self, revision: int | None = None) -> None:
        """Let it commit all moves up to this revision (None: all that there are)."""
        self._told = len(self.entries) if revision is None else revision
        self._wake.set()

    def fail(self, error: Exception | None = None) -> None:
        """Let `run` raise StoreFailed, or this error."""
        self._failure = error or StoreFailed("told", "no space is left on its disk")
        self._wake.set()

    # -- engine.api.Journal ------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        self._check()
        if entry.event.revision != len(self.entries) + 1:
            revisions = f"revision {entry.event.revision} after {len(self.entries)}"
            raise ValueError(f"{revisions}: one would be lost")
        self.entries.append(entry)
        self._wake.set()

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def sample(self, snapshot: TaskSnapshot) -> None:
        self._check()
        self.samples.append(snapshot)

    def reserve_ids(self, below: int) -> None:
        self._check()
        self._asked = max(self._asked, below)
        self._wake.set()

    @property
    def ids_reserved(self) -> int:
        return self._reserved

    def announce(self, endpoint: str | None) -> None:
        self._check()

    async def run(self, committed: Callable[[int], None]) -> None:
        try:
            try:
                while self._ended is None:
                    self._report(committed)
                    self._wake = trio.Event()
                    await self._wake.wait()
            finally:
                if self._failure is None:
                    self._told = len(self.entries)
                    self._report(committed)
        finally:
            self._ended = self._ended or "the journal has ended"

    def _report(self, committed: Callable[[int], None]) -> None:
        if self._failure is not None:
            self._ended = "writing has failed"
            raise self._failure
        self._reserved = self._asked
        told = len(self.entries) if self._by_itself else min(self._told, len(self.entries))
        if told > self._reported:
            self._reported = told
            committed(told)

    def close(self, next_id: int) -> None:
        if self._ended is None:
            self.closed_with = next_id
        self._ended = self._ended or "the journal was closed"
        self._wake.set()

    def find_unique(self, key: str) -> TaskSnapshot | None:
        rows = [entry.snapshot for entry in self.entries[: self._reported]]
        return next((row for row in reversed(rows) if row.unique_key == key), None)

    def reader(self) -> None:
        return None

    def _check(self) -> None:
        if self._ended is not None:
            raise StoreFailed("told", self._ended)
