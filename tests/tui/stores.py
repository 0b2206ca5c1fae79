"""Real store files for the dashboard's tests, written by the journal."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from engine.api import Entry
from engine.model import Durability, ErrorInfo, Event, Mode, OutputMark, State, TaskSnapshot
from engine.store.sqlite import SqliteJournal, open_sqlite

NOW = 1_790_000_000.0
"""The wall time at which the tests look at their stores."""


def task(task_id: int, state: State = State.QUEUED, **facts: Any) -> TaskSnapshot:
    """A snapshot as an engine would record it, ten seconds a task before `NOW`."""
    submitted = NOW - 10.0 * (1 + task_id % 60)
    defaults: dict[str, Any] = {
        "kind": "engine.samples.BlockingTask" if task_id % 2 else "engine.samples.PollingTask",
        "name": f"task {task_id}",
        "mode": Mode.BLOCKING if task_id % 2 else Mode.POLLING,
        "submitted_at": submitted,
        "changed_at": submitted,
    }
    if state not in {State.QUEUED, State.WAITING}:
        defaults |= {"started_at": submitted + 1.0, "attempts": 1}
    if state is State.POLLING or (state.final and not task_id % 2):
        defaults |= {"polling_at": submitted + 1.5, "polls": task_id % 40}
    if state.final:
        defaults |= {"finished_at": submitted + 5.0, "duration": 4.0}
    if state is State.FAILED:
        defaults["error"] = ErrorInfo("ValueError", "the input is out of range")
    return TaskSnapshot(id=task_id, state=state, **(defaults | facts))


class Writing:
    """Records moves in a journal, as the engine does."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.epoch = journal.recovered.epoch
        self.revision = 0
        self._states: dict[int, State] = {}

    def put(self, snapshot: TaskSnapshot, output: str | None = None) -> None:
        """Record the task as it is now."""
        self.revision += 1
        moved = replace(snapshot, epoch=self.epoch, revision=self.revision)
        if output is not None:
            moved = replace(
                moved, output_mark=OutputMark.KEPT, checksum=zlib.crc32(output.encode())
            )
        event = Event(
            epoch=self.epoch,
            revision=self.revision,
            task_id=snapshot.id,
            move="T1",
            previous=self._states.get(snapshot.id),
            state=snapshot.state,
            at=snapshot.changed_at,
        )
        self._states[snapshot.id] = snapshot.state
        self._journal.put(Entry(moved, event, output))

    def announce(self, endpoint: str | None) -> None:
        """Name a control socket."""
        self._journal.announce(endpoint)


class LiveStore:
    """A store whose engine's part is played by a journal in a thread of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._token: trio.lowlevel.TrioToken | None = None
        self._writing: Writing | None = None
        self._committed = 0
        self._news = threading.Condition()
        self._stop = trio.Event()
        self._clean = True
        self._next_id = 1

    def record(self, tasks: Iterable[TaskSnapshot], outputs: dict[int, str] | None = None) -> None:
        """Record tasks, and return when they are committed."""
        kept, rows = outputs or {}, list(tasks)

        def put(writing: Writing) -> int:
            for row in rows:
                writing.put(row, kept.get(row.id))
                self._next_id = max(self._next_id, row.id + 1)
            return writing.revision

        revision = self._on_loop(put)
        with self._news:
            assert self._news.wait_for(lambda: self._committed >= revision, timeout=30)

    def announce(self, endpoint: str | None) -> None:
        """Name a control socket in the owner row."""
        self._on_loop(lambda writing: writing.announce(endpoint))

    def crash(self) -> None:
        """Make the end of the block an end without a word."""
        self._clean = False

    def end(self) -> None:
        """End the engine's part now, or not at all if it has ended."""
        with suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(self._stop.set, trio_token=self._token)

    def _on_loop(self, do: Callable[[Writing], Any]) -> Any:
        assert self._writing is not None
        return trio.from_thread.run_sync(do, self._writing, trio_token=self._token)

    async def _run(self, ready: threading.Event) -> None:
        async with open_sqlite(
            self.path, durability=Durability.PROCESS, version="0.1.0", wall=lambda: NOW
        ) as journal:
            self._token, self._writing = trio.lowlevel.current_trio_token(), Writing(journal)
            self._next_id = journal.recovered.next_id
            async with trio.open_nursery() as nursery:
                nursery.start_soon(journal.run, self._note)
                ready.set()
                await self._stop.wait()
                if self._clean:
                    journal.close(self._next_id)
                else:
                    nursery.cancel_scope.cancel()

    def _note(self, revision: int) -> None:
        with self._news:
            self._committed = revision
            self._news.notify_all()

    @contextmanager
    def open(self) -> Iterator[LiveStore]:
        """Hold the store as its engine does, until the block is left."""
        ready = threading.Event()
        thread = threading.Thread(target=lambda: trio.run(self._run, ready))
        thread.start()
        try:
            assert ready.wait(30)
            yield self
        finally:
            self.end()
            thread.join(30)


def write(path: Path, tasks: Iterable[TaskSnapshot], outputs: dict[int, str] | None = None) -> Path:
    """Make a store that holds these tasks and whose engine has stopped."""
    with LiveStore(path).open() as store:
        store.record(tasks, outputs)
    return path
