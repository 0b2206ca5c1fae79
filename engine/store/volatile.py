"""The journal of an engine without a file: everything put counts as committed at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

import trio

from ..api import Recovered
from ..errors import StoreFailed
from ..model import State

if TYPE_CHECKING:
    from ..api import Entry
    from ..model import TaskSnapshot

ALL_IDS: Final = 2**63 - 1


class VolatileJournal:
    """Implements `engine.api.Journal` in memory, so that the state store needs no special case.

    ``committed`` is called before `put` returns. Moves put before `run` are reported as it begins.
    """

    ids_reserved: Final = ALL_IDS

    def __init__(self) -> None:
        self.recovered: Recovered = Recovered(
            epoch=1, next_id=1, unfinished=(), counts=dict.fromkeys(State, 0), clean=True
        )
        self._committed: Callable[[int], None] | None = None
        self._last_revision = 0
        self._ended: str | None = None
        self._done = trio.Event()

    def put(self, entry: Entry) -> None:
        """Take one move, and report it as committed; raises as the durable journal does."""
        self._check()
        revision = entry.event.revision
        if revision != self._last_revision + 1:
            raise ValueError(f"revision {revision} after {self._last_revision}: one would be lost")
        self._last_revision = revision
        if self._committed is not None:
            self._committed(revision)

    def together(self) -> AbstractContextManager[None]:
        """Nothing is ever split."""
        return nullcontext()

    def sample(self, snapshot: TaskSnapshot) -> None:  # noqa: ARG002 - memory has it already
        """Nothing to keep."""
        self._check()

    def reserve_ids(self, below: int) -> None:  # noqa: ARG002 - no id outlives the engine
        """Nothing to reserve."""
        self._check()

    def announce(self, endpoint: str | None) -> None:  # noqa: ARG002 - nobody else can look
        """Nowhere to write it."""
        self._check()

    async def run(self, committed: Callable[[int], None]) -> None:
        """Report moves until `close`."""
        self._committed = committed
        try:
            if self._last_revision:
                committed(self._last_revision)
            await self._done.wait()
        finally:
            self._committed = None
            self._ended = self._ended or "the journal has ended"

    def close(self, next_id: int) -> None:  # noqa: ARG002 - no id outlives the engine
        """Let `run` return. Nothing can be put afterwards; harmless a second time."""
        self._ended = self._ended or "the journal was closed"
        self._done.set()

    def find_unique(self, key: str) -> None:  # noqa: ARG002 - part of the protocol
        """Nothing is kept beyond memory."""
        return

    def reader(self) -> None:
        """Nothing is kept beyond memory."""
        return

    def _check(self) -> None:
        if self._ended is not None:
            raise StoreFailed(":memory:", self._ended)
