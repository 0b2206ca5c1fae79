"""Ways to fill a store with given moves and to read it: one for each implementation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from engine.api import Entry, Reader
from engine.clock import Clock
from engine.store import SqliteReader, VolatileJournal, open_sqlite
from engine.store.local_reader import LocalReader
from engine.store.state import StateStore
from tests.contract.journals import running

NOW = 1_700_010_000.0
"""The wall time at which everything is read."""

Populate = Callable[[Sequence[Entry]], Awaitable[Reader]]
"""Takes moves of epoch 1 in order of revision, all committed; gives a reader of what they left."""


def into_a_file(path: Path) -> Populate:
    """Through the durable journal into a file, which is read as any other process reads it."""

    async def populate(entries: Sequence[Entry]) -> Reader:
        async with open_sqlite(path) as journal, running(journal) as reported:
            for entry in entries:
                journal.put(entry)
            if entries:
                await reported.reaches(entries[-1].event.revision)
        return SqliteReader(path, wall=lambda: NOW)

    return populate


def into_memory() -> Populate:
    """Into the engine's own memory, which is read on its thread."""

    async def populate(entries: Sequence[Entry]) -> Reader:
        clock = Clock(lambda: NOW)
        store = StateStore(VolatileJournal(), clock)
        for entry in entries:
            if entry.event.previous is None:
                store.index.add(entry.snapshot)
                store.ids.next = entry.snapshot.id + 1
            else:
                store.index.replace(entry.snapshot)
            if entry.output is not None:
                store.outputs.put(entry.snapshot.id, msgspec.json.decode(entry.output))
            store.feed.append(entry.event)
        return LocalReader(store, clock)

    return populate
