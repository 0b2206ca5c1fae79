"""Where the dashboard's rows come from: a store's file, read in a thread of its own.

All reading is done in one worker thread, in short calls, so that the loop never waits for a disk
and no read transaction grows old. A file that is not there yet, is gone or was replaced is a state
of this source, never an error of the dashboard: it goes on trying.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, ParamSpec, TypeVar

from engine import CrecheError, StoreError, StoreNotFound, TaskNotFound, open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from engine import Owner, Query, Reader, State, TaskSnapshot

P = ParamSpec("P")
T = TypeVar("T")

CHANGES_A_READ: Final = 1000
READS_A_BEAT: Final = 4
"""More changes than these in one beat are not read one by one: the screen is read again."""

IDS_A_READ: Final = 1000


class Beat(NamedTuple):
    """What one look at the store found."""

    cursor: str
    """Where the next beat goes on."""
    changed: Sequence[TaskSnapshot]
    missed: bool
    """True when more moved than was read: what is on the screen must be read again."""
    counts: Mapping[State, int]
    owner: Owner | None
    written_at: float | None = None
    """Wall time of the last write to the store's files; None when they do not say."""


class StoreGone(CrecheError):
    """The store cannot be read for now; ``missing`` when there is no file."""

    def __init__(self, problem: str, *, missing: bool) -> None:
        self.problem = problem
        self.missing = missing
        super().__init__(problem)


class Source:
    """Reads one store, opens it again when it was replaced.

    Args:
        path: The store's file; it need not exist yet.
        opener: Makes a reader for a path; called, used and closed in the worker thread only.

    Every call raises `StoreGone` when the store cannot be read; the next one tries to open it.
    """

    def __init__(self, path: Path, opener: Callable[[Path], Reader] = open_reader) -> None:
        self.path = path
        self._opener = opener
        self._reader: Reader | None = None
        self._identity: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="creche-reader")

    async def beat(self, since: str | None) -> Beat:
        """Read what has changed after the cursor ``since``; None: only where things stand."""
        beat = await self._call(_beat, since)
        return beat._replace(written_at=_written_at(self.path))

    async def rows(self, ids: Sequence[int]) -> Mapping[int, TaskSnapshot | None]:
        """Read tasks by id; None for one that exists no more."""
        return await self._call(_rows, ids)

    async def ids(self, query: Query, after: int | None) -> tuple[Sequence[int], int]:
        """Read the next matching ids below ``after``, newest first.

        Returns:
            The ids, and the id from which up all are known now; 0 when nothing is older.
        """
        return await self._call(_ids, query, after)

    async def output(self, task_id: int) -> str:
        """The output's JSON text; raises what `Reader.output` does too."""
        return await self._call(_output, task_id)

    async def close(self) -> None:
        """Let go of the file and of the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown(wait=False)

    async def _call(self, read: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, read, *args)

    # -- in the worker thread --------------------------------------------------------------------

    def _read(self, read: Callable[..., T], *args: object) -> T:
        try:
            return read(self._opened(), *args)
        except StoreNotFound as error:
            self._let_go()
            raise StoreGone(error.problem, missing=True) from error
        except StoreError as error:
            self._let_go()
            raise StoreGone(error.problem, missing=False) from error
        except CrecheError:
            raise
        except Exception as error:
            # A file that is cut off or overwritten under a reader fails in ways of its own; the
            # words are shown, and the next call starts afresh.
            self._let_go()
            raise StoreGone(f"{type(error).__name__}: {error}", missing=False) from error

    def _opened(self) -> Reader:
        identity = self._look()
        if self._reader is not None and identity != self._identity:
            self._let_go()
        if self._reader is None:
            self._reader, self._identity = self._opener(self.path), identity
        return self._reader

    def _look(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except FileNotFoundError as error:
            raise StoreNotFound(self.path, "there is no store here yet") from error
        return (status.st_dev, status.st_ino)

    def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def _written_at(path: Path) -> float | None:
    """The newest change of the file and of its log; looked at by name, never opened."""
    times = []
    for name in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            times.append(name.stat().st_mtime)
    return max(times, default=None)


def _beat(reader: Reader, since: str | None) -> Beat:
    # Read before the rest: what moves meanwhile is then read once more, and never missed.
    newest = reader.cursor()
    changed: dict[int, TaskSnapshot] = {}
    missed, cursor = since is None, newest if since is None else since
    if since is not None and since != newest:
        for _ in range(READS_A_BEAT):
            changes = reader.changes(cursor, limit=CHANGES_A_READ)
            cursor = changes.cursor
            changed.update((row.id, row) for row in changes.tasks)
            missed = changes.reset or changes.more
            if not changes.more or changes.reset:
                break
        if missed:
            cursor = newest
    return Beat(cursor, tuple(changed.values()), missed, reader.counts(), reader.owner())


def _rows(reader: Reader, ids: Sequence[int]) -> Mapping[int, TaskSnapshot | None]:
    found: dict[int, TaskSnapshot | None] = {}
    for task_id in ids:
        try:
            found[task_id] = reader.get(task_id)
        except TaskNotFound:
            found[task_id] = None
    return found


def _ids(reader: Reader, query: Query, after: int | None) -> tuple[Sequence[int], int]:
    page = reader.page(query, after=after, limit=IDS_A_READ)
    return [row.id for row in page.tasks], page.next_after or 0


def _output(reader: Reader, task_id: int) -> str:
    return reader.output(task_id)
