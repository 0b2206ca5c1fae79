"""Reads a store's file, beside its engine or without one, from any thread of any process.

Each call is one or two short statements, fetched whole: an open read transaction would keep the
log from being folded into the file. Nothing here writes, and nothing here needs an event loop.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import apsw
import msgspec

from ..errors import (
    OutputNotKept,
    OutputNotReady,
    StoreError,
    StoreNotFound,
    StoreUnreadable,
    TaskEnded,
    TaskNotFound,
)
from ..model import (
    Changes,
    Event,
    Owner,
    Page,
    Reset,
    State,
    TaskSnapshot,
    parse_cursor,
)
from . import ownership, schema
from .identity import check_identity

if TYPE_CHECKING:
    from ..query import Query

_T = TypeVar("_T")

SCANNED: Final = 5000
"""Rows that one call of `page` looks at, at most: a rare match must not hold up its caller."""

_PATIENCE_MS: Final = 2000
"""How long to wait while another process recovers the log."""


class SqliteReader:
    """Implements `engine.api.Reader` on a store's file, which it opens read-only.

    Raises StoreNotFound, StoreUnsafe or StoreUnreadable when it cannot be opened; each call
    raises StoreUnreadable when the file turns out to be damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, wall: Callable[[], float] = time.time
    ) -> None:
        self.path = ownership.locate(path)
        self._wall = wall
        # One connection may be used by several threads, but not at the same moment.
        self._lock = threading.Lock()
        self._closed = False
        # A link is refused here as it is by the engine: the folder beside it would be another one.
        if ownership.check_plain(self.path, self.path) is None:
            raise StoreNotFound(self.path, "there is no store here yet")
        with self._readable():
            self._db = apsw.Connection(
                str(self.path), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_NOFOLLOW
            )
        try:
            with self._readable():
                self._db.set_busy_timeout(_PATIENCE_MS)
                self._db.execute("PRAGMA query_only = 1")
                fresh = check_identity(self._db, self.path)
        except BaseException:
            self._db.close()
            raise
        if fresh:
            self._db.close()
            raise StoreNotFound(self.path, "the file is empty: no engine has made it a store yet")

    # -- api.Reader ------------------------------------------------------------------------------

    def get(self, task_id: int) -> TaskSnapshot:
        """The task; raises TaskNotFound."""
        rows = self._rows(f"{schema.SELECT_TASKS} WHERE id = ?", task_id)
        if not rows:
            raise TaskNotFound(task_id)
        return self._task(rows[0])

    def page(self, query: Query, *, after: int | None = None, limit: int = 50) -> Page:
        """Matching tasks with ids below ``after``, newest first; looks at 5,000 rows at most."""
        below = 2**63 - 1 if after is None else after
        limit = max(1, limit)
        matches, values = query.sql(self._wall())
        # Walks the keys alone; the rows themselves are read only where the query looks at them.
        floor = self._rows(
            "SELECT id FROM tasks WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            below,
            SCANNED - 1,
        )
        lowest = _number(floor[0][0]) if floor else -(2**63)
        rows = self._rows(
            f"{schema.SELECT_TASKS} WHERE id < ? AND id >= ? AND ({matches})"
            " ORDER BY id DESC LIMIT ?",
            below,
            lowest,
            *values,
            limit + 1,
        )
        tasks = tuple(self._task(row) for row in rows[:limit])
        if len(rows) > limit:
            return Page(tasks, tasks[-1].id)
        return Page(tasks, lowest if floor else None)

    def counts(self) -> dict[State, int]:
        """Tasks a state, every state present. O(states)."""
        kept = {str(state): _number(n) for state, n in self._rows("SELECT state, rows FROM counts")}
        return {state: kept.get(state, 0) for state in State}

    def cursor(self) -> str:
        """The newest published revision; "" before the first."""
        rows = self._rows(
            "SELECT epoch, revision FROM events ORDER BY epoch DESC, revision DESC LIMIT 1"
        )
        return f"{rows[0][0]}.{rows[0][1]}" if rows else ""

    def changes(self, since: str, *, limit: int = 1000) -> Changes:
        """The tasks that moved after the cursor ``since``, each once, in order of their last move.

        ``limit`` bounds the moves looked at. Raises ValueError when ``since`` is no cursor.
        """
        epoch, revision = parse_cursor(since)
        limit = max(1, limit)
        # The events' own key is the index of all changes; one on the tasks would cost each write.
        moves = self._rows(
            "SELECT epoch, revision, task_id FROM events WHERE (epoch, revision) > (?, ?)"
            " ORDER BY epoch, revision LIMIT ?",
            epoch,
            revision,
            limit + 1,
        )
        if not moves:
            unknown = self._beyond(epoch, revision)
            return Changes((), since if unknown is None else unknown, reset=unknown is not None)
        first, last = moves[0], moves[:limit][-1]
        ids = msgspec.json.encode(sorted({_number(move[2]) for move in moves[:limit]})).decode()
        rows = self._rows(
            f"{schema.SELECT_TASKS} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constant
            " ORDER BY epoch, revision",
            ids,
        )
        return Changes(
            tuple(self._task(row) for row in rows),
            f"{last[0]}.{last[1]}",
            reset=not _follows((_number(first[0]), _number(first[1])), epoch, revision),
            more=len(moves) > limit,
        )

    def events(self, since: str, *, limit: int = 1000) -> Sequence[Event | Reset]:
        """Events after the cursor ``since`` ("": from the oldest kept), in order; a `Reset` comes
        first where some are no longer kept, and alone where ``since`` was never reached here.

        Raises ValueError when ``since`` is no cursor.
        """
        epoch, revision = parse_cursor(since)
        rows = self._rows(
            f"{schema.SELECT_EVENTS} WHERE (epoch, revision) > (?, ?)"
            " ORDER BY epoch, revision LIMIT ?",
            epoch,
            revision,
            max(1, limit),
        )
        found = [self._decoded(schema.event_of, row) for row in rows]
        if not found:
            unknown = self._beyond(epoch, revision)
            return [] if unknown is None else [Reset(unknown)]
        first = found[0]
        if _follows((first.epoch, first.revision), epoch, revision):
            return found
        return [Reset(f"{first.epoch}.{first.revision - 1}"), *found]

    def output(self, task_id: int) -> str:
        """The output's JSON text.

        Raises TaskNotFound; OutputNotReady while the task is live; TaskEnded when it ended without
        an output; OutputNotKept; StoreUnreadable when the text is damaged.
        """
        task = self.get(task_id)
        if not task.state.final:
            raise OutputNotReady(task)
        if task.state is not State.SUCCEEDED:
            raise TaskEnded(task)
        rows = self._rows("SELECT text FROM outputs WHERE task_id = ?", task_id)
        if not rows:
            mark = "lost" if task.output_mark is None else task.output_mark.replace("_", " ")
            raise OutputNotKept(task_id, f"it is {mark}")
        text = str(rows[0][0])
        if zlib.crc32(text.encode()) != task.checksum:
            raise StoreUnreadable(
                self.path, f"the stored output of task {task_id} is damaged (its checksum differs)"
            )
        return text

    def owner(self) -> Owner | None:
        """Who runs the store's engine, or ran it last."""
        rows = self._rows(
            "SELECT pid, epoch, endpoint, started_at, clean, version FROM owner WHERE one = 1"
        )
        if not rows:
            return None
        pid, epoch, endpoint, started_at, clean, version = rows[0]
        # An engine that is just starting holds the lock already, but this row is not its own yet.
        alive = ownership.holder(self.path) == pid
        values = (pid, epoch, endpoint, started_at, clean == 1, alive, version)
        names = Owner.__struct_fields__
        return self._decoded(
            lambda row: msgspec.convert(dict(zip(names, row, strict=True)), Owner), values
        )

    def close(self) -> None:
        """Let go of the store; further calls raise StoreError."""
        with self._lock:
            self._closed = True
            self._db.close()

    # -- beyond it -------------------------------------------------------------------------------

    def find_unique(self, key: str) -> TaskSnapshot | None:
        """The task of an idempotency key."""
        rows = self._rows(f"{schema.SELECT_TASKS} WHERE unique_key = ?", key)
        return self._task(rows[0]) if rows else None

    # -- inside ----------------------------------------------------------------------------------

    def _rows(self, question: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock, self._readable():
            if self._closed:
                raise StoreError(self.path, "this reader was closed")
            return self._db.execute(question, tuple(map(_bounded, values))).fetchall()

    def _beyond(self, epoch: int, revision: int) -> str | None:
        """The newest cursor, if this one is of a later time than the store has ever seen."""
        newest = self.cursor()
        owner = self._rows("SELECT epoch FROM owner")
        begun = (_number(owner[0][0]), 0) if owner else (0, 0)
        return newest if (epoch, revision) > max(parse_cursor(newest), begun) else None

    def _task(self, row: Sequence[object]) -> TaskSnapshot:
        return self._decoded(schema.task_of, row)

    def _decoded(self, decode: Callable[[Sequence[object]], _T], row: Sequence[object]) -> _T:
        try:
            return decode(row)
        except ValueError as error:
            raise StoreUnreadable(
                self.path, f"a row cannot be read ({row[0]!r}…): {error}"
            ) from error

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise StoreUnreadable(
                self.path,
                "it cannot be opened for reading: its -wal and -shm files must be there or be"
                f" made, so its folder must be writable for you ({error})",
            ) from error
        except apsw.Error as error:
            raise StoreUnreadable(self.path, f"it cannot be read: {error}") from error


def open_reader(path: str | os.PathLike[str]) -> SqliteReader:
    """Open a store for reading, from any process; to be closed by the caller.

    Raises StoreNotFound, StoreUnsafe, StoreUnreadable.
    """
    return SqliteReader(path)


def _follows(move: tuple[int, int], epoch: int, revision: int) -> bool:
    """True when no move can be missing between this cursor and the next one found. How far an
    older epoch went is not known, so its end is taken for whole."""
    return move == (epoch, revision + 1) or (move[0] > epoch and move[1] == 1)


def _bounded(value: object) -> object:
    """SQLite's integers have 64 bits; one beyond them compares like the last of them."""
    return max(-(2**63), min(value, 2**63 - 1)) if isinstance(value, int) else value


def _number(value: object) -> int:
    if isinstance(value, int):
        return value
    raise ValueError(f"expected a number, found {value!r}")
