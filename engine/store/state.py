"""The state store: every task's row, every move of it, and who gets to see them when.

This is the only meeting point of the engine and its readers. The engine writes through `accept`
and `move`; each asks the table of transitions, numbers the move, hands it to the journal and
applies it. Two rules decide what readers see:

* a *final* state shows only after its commit: until then the old row stays visible and only
  `head` knows better;
* an *event* is published only after its commit, so revisions reach readers in order, without a
  gap, and are never taken back.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

import trio
from msgspec.structs import replace

from ..api import Entry
from ..errors import StoreFailed
from ..model import Event, State, TaskSnapshot
from ..transitions import Cause, Facts, decide
from .feed import Feed
from .index import Index
from .shelf import Shelf

if TYPE_CHECKING:
    from ..api import Journal, KeptOutput
    from ..clock import Clock
    from ..model import ErrorInfo, Mode, OutputMark, Rung, Why

ID_BLOCK: Final = 2_000_000
"""Ids are reserved in blocks of at least this many; twice the live limit, so that the next block
is durable long before the first is used up."""


class Course(TypedDict, total=False):
    """What a row says of an attempt's course."""

    duration: float | None
    finished_at: float | None
    polls: int
    unready_for: float | None


class Changes(Course, total=False):
    """The fields of a row that a move may change, besides its state."""

    attempts: int
    crashes: int
    error: ErrorInfo | None
    handle: str | None
    late: str | None
    mode: Mode
    mode_guessed: bool
    next_poll_at: float | None
    not_before: float | None
    polling_at: float | None
    reason: str | None
    rung: Rung | None
    started_at: float | None
    why: Why | None
    output_mark: OutputMark | None
    checksum: int | None


class Live:
    """What only memory knows of a task that is being looked at; merged into its row on reading."""

    __slots__ = ("error", "failed_looks", "next_poll_at", "polls", "unready_for")

    def __init__(self, polls: int) -> None:
        self.polls = polls
        self.next_poll_at: float | None = None
        self.unready_for: float | None = None
        self.failed_looks = 0
        self.error: ErrorInfo | None = None

    def onto(self, row: TaskSnapshot) -> TaskSnapshot:
        """The row with these facts in it."""
        return replace(
            row,
            polls=self.polls,
            next_poll_at=self.next_poll_at,
            unready_for=self.unready_for,
            failed_looks=self.failed_looks,
            error=self.error,
        )


class StateStore:
    """Rows, moves and publication. All calls belong to the loop's thread."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        rows_kept: int = 100_000,
        outputs_kept: int = 10_000,
        events_kept: int = 65_536,
        id_block: int = ID_BLOCK,
    ) -> None:
        recovered = journal.recovered
        self.epoch = recovered.epoch
        self.revision = 0
        """The last recorded move of this epoch, published or not."""
        self.index = Index(rows_kept, recovered.counts)
        self.feed = Feed(recovered.epoch, events_kept)
        self.outputs = Shelf(outputs_kept)
        self.live: dict[int, Live] = {}
        self.next_id = recovered.next_id
        self.submitted = 0
        self.finished = 0
        self.polls = 0
        """Looks made since the opening."""
        self._journal = journal
        self._clock = clock
        self._id_block = id_block
        self._unpublished: deque[tuple[TaskSnapshot, Event]] = deque()
        self._ending: dict[int, TaskSnapshot] = {}
        self._unique: dict[str, int] = {}
        self._listeners: list[Callable[[TaskSnapshot], None]] = []
        self._waiting: list[tuple[int, int, trio.Event]] = []
        self._waits = 0
        self.broken = False
        """True when the journal has failed."""
        for row in recovered.unfinished:
            self.index.adopt(row)
            if row.unique_key is not None:
                self._unique[row.unique_key] = row.id
        self._reserve_ids()

    # -- writing ---------------------------------------------------------------------------------

    def accept(self, draft: TaskSnapshot, *, deferred: bool) -> TaskSnapshot:
        """T1: give a new task its id and take it in."""
        step = decide(None, Cause.SUBMITTED, Facts(deferred=deferred))
        task_id = self.next_id
        self.next_id += 1
        self.submitted += 1
        if self.next_id + self._id_block // 2 > self._journal.ids_reserved:
            self._reserve_ids()
        row = self._numbered(draft, step.target, id=task_id, submitted_at=self._clock.wall())
        self.index.add(row)
        if row.unique_key is not None:
            self._unique[row.unique_key] = task_id
        self._record(
            row, Event(self.epoch, self.revision, task_id, "T1", None, row.state, row.changed_at)
        )
        return row

    def move(
        self,
        task_id: int,
        cause: Cause,
        facts: Facts = Facts(),  # noqa: B008  immutable
        *,
        kept: KeptOutput | None = None,
        **changes: Unpack[Changes],
    ) -> TaskSnapshot:
        """Record the move that the table gives for this cause, with ``changes`` to the row.

        Raises IllegalMove, and has changed nothing, where the table gives none.
        """
        old = self.head(task_id)
        step = decide(old.state, cause, facts)
        if kept is not None:
            changes["output_mark"], changes["checksum"] = kept.mark, kept.checksum
        changes.setdefault("next_poll_at", None)
        live = self.live.pop(task_id, None)
        row = self._numbered(old if live is None else live.onto(old), step.target, **changes)
        if row.state.final:
            self.finished += 1
            self._ending[task_id] = row
        else:
            self.index.replace(row)
        event = Event(
            self.epoch,
            self.revision,
            task_id,
            step.move,
            old.state,
            row.state,
            row.changed_at,
            row.attempts,
            row.reason,
        )
        self._record(row, event, None if kept is None else kept.text)
        return row

    def sample(self, task_id: int, **marks: Unpack[Changes]) -> None:
        """Let the row on disk catch up with what memory knows of a live task. No move, no event."""
        row = self.index.find(task_id)
        if row is None or task_id in self._ending:
            return
        if marks:
            row = replace(row, **marks)
            self.index.replace(row)
        self._journal.sample(self.merged(row))

    def committed(self, revision: int) -> None:
        """The journal says that all moves up to this one are durable: publish them."""
        while self._unpublished and self._unpublished[0][1].revision <= revision:
            row, event = self._unpublished.popleft()
            if self._ending.get(row.id) is row:
                del self._ending[row.id]
                self.index.replace(row)
            self.feed.append(event)
            for listener in self._listeners:
                listener(row)
        while self._waiting and self._waiting[0][0] <= revision:
            heapq.heappop(self._waiting)[2].set()
        self.feed.ring()

    def broke(self) -> None:
        """The journal has failed: nothing that is not published yet ever will be."""
        self.broken = True
        for _, _, event in self._waiting:
            event.set()
        self._waiting.clear()
        self.feed.close()

    def listen(self, listener: Callable[[TaskSnapshot], None]) -> None:
        """Call ``listener(row)`` for each published move, in order. It must not raise or wait."""
        self._listeners.append(listener)

    # -- reading ---------------------------------------------------------------------------------

    def head(self, task_id: int) -> TaskSnapshot:
        """The newest row, published or not: for the engine's own decisions.

        Raises TaskNotFound or TaskNotInMemory.
        """
        return self._ending.get(task_id) or self.index.get(task_id, self.next_id)

    def get(self, task_id: int) -> TaskSnapshot:
        """The row as readers may see it. Raises TaskNotFound or TaskNotInMemory."""
        return self.merged(self.index.get(task_id, self.next_id))

    def find(self, task_id: int) -> TaskSnapshot | None:
        """As `get`, None for a task that is not in memory."""
        row = self.index.find(task_id)
        return None if row is None else self.merged(row)

    def merged(self, row: TaskSnapshot) -> TaskSnapshot:
        """A visible row, with what only memory knows of its task."""
        live = self.live.get(row.id)
        return row if live is None else live.onto(row)

    def known_as(self, unique_key: str) -> TaskSnapshot | None:
        """The task that was submitted under an idempotency key."""
        task_id = self._unique.get(unique_key)
        row = None if task_id is None else self._ending.get(task_id) or self.index.find(task_id)
        return row or self._journal.find_unique(unique_key)

    async def durable(self, revision: int) -> None:
        """Wait until this move of the present epoch is committed. Raises StoreFailed."""
        if revision > self.feed.revision and not self.broken:
            event = trio.Event()
            self._waits += 1  # between equal revisions: events cannot be compared
            heapq.heappush(self._waiting, (revision, self._waits, event))
            await event.wait()
        else:
            await trio.lowlevel.checkpoint()
        if revision > self.feed.revision:
            raise StoreFailed("store", "a move could not be made durable")

    @property
    def backlog(self) -> int:
        """Recorded moves that are not durable yet."""
        return len(self._unpublished)

    # -- inside ----------------------------------------------------------------------------------

    def _numbered(self, row: TaskSnapshot, state: State, **changes: object) -> TaskSnapshot:
        if self.broken:
            raise StoreFailed("store", "writing has failed; nothing more is recorded")
        self.revision += 1
        return replace(
            row,
            state=state,
            epoch=self.epoch,
            revision=self.revision,
            changed_at=self._clock.wall(),
            **changes,
        )

    def _record(self, row: TaskSnapshot, event: Event, output: str | None = None) -> None:
        self._unpublished.append((row, event))
        self._journal.put(Entry(row, event, output))

    def _reserve_ids(self) -> None:
        self._journal.reserve_ids(self.next_id + self._id_block)
