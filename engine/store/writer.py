"""The one connection that writes: it opens the file, starts an epoch, and writes batches.

Everything here blocks and is called in one thread at a time; `engine.store.sqlite` is its async
shell. What must be true of the file before anything is written stands in `Writer.open`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw
from msgspec import convert

from ..api import Recovered
from ..errors import StoreFailed, StoreUnreadable, StoreUnsafe
from ..model import Durability, State, TaskSnapshot
from . import ownership, schema
from .batch import Batch, as_text
from .identity import check_identity

_LOG: Final = logging.getLogger(__name__)


_SYNCHRONOUS: Final = {
    Durability.POWER: "FULL",
    Durability.PROCESS: "NORMAL",
    Durability.NONE: "OFF",
}


class Standing(NamedTuple):
    """The part of the owner row that changes while its engine runs."""

    next_id: int
    endpoint: str | None = None
    clean: bool = False


class Writer:
    """A store's file, held for writing by this engine."""

    def __init__(self, path: Path, db: apsw.Connection, lock: ownership.StoreLock) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._files: dict[Path, tuple[int, int]] = {}

    @classmethod
    def open(cls, path: Path, durability: Durability, *, patience: float) -> Writer:
        """Take the lock, open or make the file, and settle how it is written.

        ``patience`` is how long, in seconds, to wait for a foreign program that holds the
        database's write lock. Raises StoreInUse, StoreUnsafe, StoreUnreadable, StoreFailed.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ownership.check_place(path)
            ownership.make_folder(path)
            lock = ownership.hold(path)
        except OSError as error:
            raise StoreUnsafe(path, f"no store can be kept here: {error}") from error
        try:
            ownership.make_file(path)
            db = apsw.Connection(
                str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
            )
            try:
                return cls._settle(path, db, lock, durability, patience)
            except BaseException:
                # A file that is refused stays as it is: no checkpoint of what is not ours.
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                db.close()
                raise
        except apsw.FullError as error:
            lock.release()
            raise StoreFailed(path, "no space is left on its disk") from error
        except (apsw.Error, OSError) as error:
            lock.release()
            raise StoreUnreadable(path, f"it cannot be opened: {error}") from error
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _settle(
        cls,
        path: Path,
        db: apsw.Connection,
        lock: ownership.StoreLock,
        durability: Durability,
        patience: float,
    ) -> Writer:
        db.set_busy_timeout(round(patience * 1000))
        fresh = check_identity(db, path)
        ((mode,),) = db.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StoreUnsafe(path, "its file system cannot keep a write-ahead log")
        db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        if durability is Durability.POWER:
            # Only macOS knows these: there an ordinary fsync leaves data in the drive's cache.
            db.execute("PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1")
        # A reader that stayed long may have made the log long: do not keep that for ever.
        db.execute("PRAGMA journal_size_limit = 67108864")
        writer = cls(path, db, lock)
        if fresh:
            with writer._transaction():
                for statement in schema.SCHEMA:
                    db.execute(statement)
        writer._remember_files()
        return writer

    def recover(self, version: str, started_at: float, reserve: int) -> tuple[Recovered, Standing]:
        """Start the next epoch: durable when this returns.

        Reserves ``reserve`` ids. Raises StoreUnreadable when a row cannot be read.
        """
        try:
            with self._transaction():
                last = convert(
                    self._db.execute("SELECT epoch, clean, next_id FROM owner").fetchall(),
                    list[tuple[int, int, int]],
                )
                epoch, clean, next_id = last[0] if last else (0, 1, 1)
                newest = convert(
                    self._db.execute("SELECT coalesce(max(id), 0) FROM tasks").get, int
                )
                next_id = max(next_id, newest + 1)
                standing = Standing(next_id + reserve)
                recovered = Recovered(
                    epoch=epoch + 1,
                    next_id=next_id,
                    unfinished=self._unfinished(),
                    counts=self._true_counts(),
                    clean=bool(clean),
                )
                self._db.execute(
                    "REPLACE INTO owner"
                    " (one, epoch, pid, endpoint, started_at, clean, version, next_id)"
                    " VALUES (1, ?, ?, NULL, ?, 0, ?, ?)",
                    (epoch + 1, os.getpid(), started_at, version, standing.next_id),
                )
        except apsw.FullError as error:
            raise StoreFailed(self.path, "no space is left on its disk") from error
        except (apsw.Error, ValueError, OSError) as error:
            raise StoreUnreadable(self.path, f"it cannot be recovered: {error}") from error
        return recovered, standing

    def _unfinished(self) -> list[TaskSnapshot]:
        found = []
        order = f"{schema.SELECT_TASKS} WHERE {schema.IS_LIVE} ORDER BY id"
        for row in self._db.execute(order):
            try:
                found.append(schema.task_of(row))
            except ValueError as error:
                raise StoreUnreadable(
                    self.path, f"the row of task {row[0]} cannot be read: {error}"
                ) from error
        return found

    def _true_counts(self) -> dict[State, int]:
        pairs = list[tuple[str, int]]
        counted = self._db.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        noted = self._db.execute("SELECT state, rows FROM counts").fetchall()
        rows, kept = dict(convert(counted, pairs)), dict(convert(noted, pairs))
        true = {state: rows.get(state, 0) for state in State}
        if kept != true:
            _LOG.warning("%s: counted %s, noted %s: corrected", self.path, true, kept)
            self._db.execute("DELETE FROM counts")
            self._db.executemany(
                "INSERT INTO counts (state, rows) VALUES (?, ?)", list(true.items())
            )
        return true

    def write(self, batch: Batch, standing: Standing | None) -> None:
        """Write a batch, and the owner row's changes if any, in one transaction.

        Raises OSError or apsw.Error when it was not written, or may not have been; the
        transaction is rolled back then.
        """
        execute = self._db.execute
        with self._transaction():
            if batch:
                execute(schema.UPSERT_TASKS, (as_text(list(batch.rows.values())),))
            if batch.events:
                execute(schema.INSERT_EVENTS, (as_text(batch.events),))
                if counts := batch.counts():
                    execute(schema.ADD_COUNTS, (as_text(counts),))
            if batch.outputs:
                execute(schema.INSERT_OUTPUTS, (as_text(batch.outputs),))
            if standing is not None:
                execute("UPDATE owner SET next_id = ?, endpoint = ?, clean = ?", standing)
        self._check_files()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        # Nothing is written yet when BEGIN finds the database busy: SQLite waits there, for the
        # whole patience; afterwards no statement can be busy.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                with contextlib.suppress(apsw.Error):
                    self._db.execute("ROLLBACK")
            raise

    def _remember_files(self) -> None:
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            seen = path.stat()
            self._files[path] = (seen.st_dev, seen.st_ino)

    def _check_files(self) -> None:
        """Never acknowledge what went into a file that nobody will find again."""
        for path, identity in self._files.items():
            seen = path.stat()
            if (seen.st_dev, seen.st_ino) != identity:
                raise FileNotFoundError(f"{path} was removed or replaced while in use")

    def close(self, *, intact: bool) -> None:
        """Let go of file and lock; fold the log into the file when all went well (``intact``)."""
        try:
            if not intact:
                # After a failed write nothing may be written any more, a checkpoint least of all.
                self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            # Folding in must not wait for readers elsewhere; what is left then stays in the log.
            self._db.set_busy_timeout(0)
            self._db.close()
        finally:
            self._lock.release()
