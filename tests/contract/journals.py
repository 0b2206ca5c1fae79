"""Journals under test, and an ear for what they report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from engine.api import Journal

if TYPE_CHECKING:
    from tests.store.histories import History

OpenJournal = Callable[[], AbstractAsyncContextManager[Journal]]


class Reported:
    """Collects the revisions that a journal reports as committed."""

    def __init__(self) -> None:
        self.revisions: list[int] = []
        self._more = trio.Event()

    def __call__(self, revision: int) -> None:
        self.revisions.append(revision)
        self._more.set()

    async def reaches(self, revision: int) -> None:
        """Wait until this revision is reported, or covered by a later one."""
        while not self.revisions or self.revisions[-1] < revision:
            self._more = trio.Event()
            await self._more.wait()


@asynccontextmanager
async def running(journal: Journal, history: History | None = None) -> AsyncIterator[Reported]:
    """Run the journal beside the block, then close it with the ids that ``history`` has used."""
    reported = Reported()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, reported)
        yield reported
        journal.close(journal.recovered.next_id if history is None else history.next_id)
