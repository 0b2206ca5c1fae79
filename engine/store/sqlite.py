"""The durable journal: recorded moves go to SQLite by one thread, in natural groups.

While one flush is out, the next batch gathers by itself: nothing lingers to make groups, and
never are two flushes out at once, so moves become durable in the order in which they were put.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import apsw
import trio

from ..errors import StoreFailed
from ..hops import hop
from ..model import Durability
from . import ownership
from .batch import Batch
from .fairness import GiveWay
from .sqlite_reader import SqliteReader
from .writer import Standing, Writer

if TYPE_CHECKING:
    from ..api import Entry, RunSync
    from ..model import TaskSnapshot

ID_BLOCK: Final = 1_000_000
"""Ids are reserved in blocks of at least the live limit, two of them at the opening."""


class SqliteJournal:
    """Implements `engine.api.Journal` on a SQLite file; made by `open_sqlite`."""

    def __init__(
        self,
        writer: Writer,
        run_sync: RunSync,
        limiter: trio.CapacityLimiter,
        *,
        version: str,
        started_at: float,
        reserve: int,
    ) -> None:
        self.path = writer.path
        self.recovered, self._standing = writer.recover(version, started_at, reserve)
        self._writer = writer
        self._run_sync = run_sync
        self._limiter = limiter
        self._ids_reserved = self._standing.next_id
        self._standing_changed = False
        # The last one is open and takes entries; the others are full.
        self._batches = deque([Batch()])
        self._wake = trio.Event()
        self._last_revision = 0
        self._closed = self._together = False
        self._failure: str | None = None
        self._cause: BaseException | None = None
        self._give_way = GiveWay()
        self._unique_keys: SqliteReader | None = None
        self._readers = weakref.WeakSet[SqliteReader]()

    # -- on the loop, without waiting ------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Take one move; it is durable when `run` has reported its revision or a later one.

        Raises StoreFailed when nothing is written any more, ValueError when the revision is not
        the one after the last.
        """
        self._check()
        revision = entry.event.revision
        if revision != self._last_revision + 1:
            raise ValueError(f"revision {revision} after {self._last_revision}: one would be lost")
        self._last_revision = revision
        self._open_batch().add(entry)
        self._wake.set()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is put inside goes into one transaction, whatever its size. No await inside: the
        writer takes a batch only between two steps of the loop."""
        self._open_batch()  # full before: begin another one now
        self._together = True
        try:
            yield
        finally:
            self._together = False

    def sample(self, snapshot: TaskSnapshot) -> None:
        """Take a newer row of a live task that has not moved; raises StoreFailed as `put` does."""
        self._check()
        self._open_batch().add_sample(snapshot)
        self._wake.set()

    def reserve_ids(self, below: int) -> None:
        """Make durable that ids below this one may be in use; raises StoreFailed as `put` does."""
        self._check()
        if below > self._standing.next_id:
            self._change(self._standing._replace(next_id=below))

    @property
    def ids_reserved(self) -> int:
        """Ids below this one may be given out: their reservation is durable."""
        return self._ids_reserved

    def announce(self, endpoint: str | None) -> None:
        """Write the control socket's path into the owner row; raises StoreFailed as `put` does."""
        self._check()
        self._change(self._standing._replace(endpoint=endpoint))

    def close(self, next_id: int) -> None:
        """Let `run` write what it has, give ids from ``next_id`` on back, mark a clean end, and
        return. Nothing can be put afterwards; harmless after a failure or a second time."""
        if not self._closed and self._failure is None:
            self._closed = True
            self._change(Standing(next_id=next_id, clean=True))

    def _change(self, standing: Standing) -> None:
        self._standing = standing
        self._standing_changed = True
        self._wake.set()

    def _open_batch(self) -> Batch:
        batch = self._batches[-1]
        if batch.full and not self._together:
            batch = Batch()
            self._batches.append(batch)
        return batch

    def _check(self) -> None:
        if self._failure is not None:
            raise StoreFailed(self.path, self._failure) from self._cause
        if self._closed:
            raise StoreFailed(self.path, "the journal was closed; nothing is written any more")

    # -- the writing -----------------------------------------------------------------------------

    async def run(self, committed: Callable[[int], None]) -> None:
        """Write until `close`; call ``committed(revision)`` on the loop's thread after each commit
        that holds moves, with the last revision in it.

        A cancellation is let through when all that was put by then is written. Raises StoreFailed
        when writing failed; the journal is dead then.
        """
        trio.lowlevel.add_instrument(self._give_way)
        try:
            try:
                await self._write_while_open(committed)
            except trio.Cancelled:
                await self._write_the_rest(committed)
                raise
            await self._write_the_rest(committed)
        finally:
            trio.lowlevel.remove_instrument(self._give_way)
            if self._failure is None:
                self._failure = "the journal has ended; nothing is written any more"

    async def _write_while_open(self, committed: Callable[[int], None]) -> None:
        while not self._closed:
            if self._waiting:
                with trio.CancelScope(shield=True):
                    await self._flush(committed)
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                self._wake = trio.Event()
                await self._wake.wait()

    async def _write_the_rest(self, committed: Callable[[int], None]) -> None:
        # Bounded by what is there, not by a time: a flush cannot be called back from its thread.
        with trio.CancelScope(shield=True):
            while self._waiting:
                await self._flush(committed)

    @property
    def _waiting(self) -> bool:
        return bool(self._batches[0]) or self._standing_changed

    async def _flush(self, committed: Callable[[int], None]) -> None:
        batch = self._batches.popleft()
        if not self._batches:
            self._batches.append(Batch())
        standing = None
        # The clean end comes with the last batch, never before it.
        if self._standing_changed and not (self._standing.clean and self._batches[0]):
            standing = self._standing
            self._standing_changed = False
        self._give_way.flush_began()
        try:
            await hop(self._run_sync, self._writer.write, batch, standing, limiter=self._limiter)
        except Exception as error:
            self._cause = error
            self._failure = _in_words(error)
            raise StoreFailed(self.path, self._failure) from error
        except BaseException as error:
            self._cause = error
            self._failure = f"writing was broken off: {error!r}"
            raise
        finally:
            self._give_way.flush_ended()
        if standing is not None:
            self._ids_reserved = max(self._ids_reserved, standing.next_id)
        if batch.events:
            committed(batch.events[-1].revision)

    # -- reading back ----------------------------------------------------------------------------

    def find_unique(self, key: str) -> TaskSnapshot | None:
        """The committed task of an idempotency key. Reads the disk: call it in a thread."""
        if self._unique_keys is None:
            self._unique_keys = self.reader()
        return self._unique_keys.find_unique(key)

    def reader(self) -> SqliteReader:
        """A new reader of all that is committed, to be used in a thread and closed by the caller;
        it is closed with the journal at the latest."""
        reader = SqliteReader(self.path)
        self._readers.add(reader)
        return reader

    def _close_files(self) -> None:
        for reader in tuple(self._readers):
            reader.close()
        self._writer.close(intact=self._cause is None)


@asynccontextmanager
async def open_sqlite(
    path: str | os.PathLike[str],
    *,
    durability: Durability | str = Durability.POWER,
    version: str = "",
    wall: Callable[[], float] = time.time,
    threads: RunSync = trio.to_thread.run_sync,
    reserve: int = 2 * ID_BLOCK,
    patience: float = 30.0,
) -> AsyncIterator[SqliteJournal]:
    """Open a store, or make one, as its one engine; it is recovered, and that is durable, when
    the block is entered.

    Args:
        path: The database file. Missing folders are made, private to their owner.
        durability: What an acknowledged move survives: power, process or none.
        version: The release of this program, for the owner row.
        wall: Gives the wall time in seconds.
        threads: Runs blocking calls; here one at a time.
        reserve: How many ids to reserve at once.
        patience: Seconds to wait for a foreign program that holds the database's write lock;
            after that a write has failed.

    Raises:
        StoreInUse: Another engine runs on the store.
        StoreUnsafe: Somebody else could exchange the files, or they lie on a network.
        StoreUnreadable: The file is not a store, damaged, or of another version.
        StoreFailed: There is no space to start an epoch.
    """
    place = ownership.locate(path)
    level = Durability(durability)
    limiter = trio.CapacityLimiter(1)

    def begin() -> SqliteJournal:
        writer = Writer.open(place, level, patience=patience)
        try:
            return SqliteJournal(
                writer, threads, limiter, version=version, started_at=wall(), reserve=reserve
            )
        except BaseException:
            writer.close(intact=False)
            raise

    journal = await hop(threads, begin, limiter=limiter)
    try:
        yield journal
    finally:
        with trio.CancelScope(shield=True):
            await hop(threads, journal._close_files, limiter=limiter)  # noqa: SLF001 - same module


def _in_words(error: Exception) -> str:
    if isinstance(error, apsw.FullError):
        return "no space is left on its disk; nothing more is written"
    if isinstance(error, apsw.BusyError):
        return "another program holds its write lock; nothing more is written"
    return f"writing failed ({type(error).__name__}: {error}); nothing more is written"
