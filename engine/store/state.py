"""The state store: every task's row, every move of it, and who gets to see them when.

The meeting point of the engine and its readers. The engine writes through `accept` and `move`:
each asks the table of transitions, numbers the move, hands it to the journal and applies it. Two
rules decide what readers see:

* a *final* state shows only after its commit: until then the old row stays visible and only
  `head` knows better;
* an *event* is published only after its commit, so revisions reach readers in order, without a
  gap, and are never taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Unpack

from msgspec.structs import replace

from ..api import Entry
from ..errors import StoreFailed
from ..model import Event, State, TaskSnapshot
from ..moves import Cause, Facts
from ..transitions import decide
from .feed import Feed
from .ids import ID_BLOCK, Ids
from .index import Index
from .shelf import Shelf
from .unique import UniqueKeys
from .waits import Waits

if TYPE_CHECKING:
    from ..api import Journal, KeptOutput
    from ..clock import Clock
    from .changes import Changes, Live


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
        self.ids = Ids(journal, recovered.next_id, id_block)
        self.submitted = self.finished = self.polls = 0  # since the opening; polls: looks made
        self._journal = journal
        self._clock = clock
        self._unpublished: deque[tuple[TaskSnapshot, Event]] = deque()
        self._ending: dict[int, TaskSnapshot] = {}
        self.unique = UniqueKeys(journal, self.known)
        self._listeners: list[Callable[[TaskSnapshot], None]] = []
        self._waits = Waits()
        for row in recovered.unfinished:
            self.index.adopt(row)
            self.unique.add(row)

    def accept(self, draft: TaskSnapshot) -> TaskSnapshot:
        """T1: give a new task its id and take it in."""
        step = decide(None, Cause.SUBMITTED, Facts(deferred=draft.not_before is not None))
        self.submitted += 1
        task_id = self.ids.take()
        row = self._numbered(draft, step.target, id=task_id, submitted_at=self._clock.wall())
        self.index.add(row)
        self.unique.add(row)
        self._record(row, step.move, None)
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
        self._record(row, step.move, old.state, None if kept is None else kept.text)
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
        self._waits.reached(revision)
        self.feed.ring()

    def broke(self) -> None:
        """The journal has failed: nothing that is not published yet ever will be."""
        self._waits.fail()
        self.feed.close()

    def together(self) -> AbstractContextManager[None]:
        """What is recorded inside becomes durable in one transaction, or not at all."""
        return self._journal.together()

    def listen(self, listener: Callable[[TaskSnapshot], None]) -> None:
        """Call ``listener(row)`` for each published move, in order. It must not raise or wait."""
        self._listeners.append(listener)

    def head(self, task_id: int) -> TaskSnapshot:
        """The newest row, published or not: for the engine's own decisions.

        Raises TaskNotFound or TaskNotInMemory.
        """
        return self._ending.get(task_id) or self.index.get(task_id, self.ids.next)

    def known(self, task_id: int) -> TaskSnapshot | None:
        """As `head`, None for a task that is not in memory."""
        return self._ending.get(task_id) or self.index.find(task_id)

    def get(self, task_id: int) -> TaskSnapshot:
        """The row as readers may see it. Raises TaskNotFound or TaskNotInMemory."""
        return self.merged(self.index.get(task_id, self.ids.next))

    def find(self, task_id: int) -> TaskSnapshot | None:
        """As `get`, None for a task that is not in memory."""
        row = self.index.find(task_id)
        return None if row is None else self.merged(row)

    def merged(self, row: TaskSnapshot) -> TaskSnapshot:
        """A visible row, with what only memory knows of its task."""
        live = self.live.get(row.id)
        return row if live is None else live.onto(row)

    async def durable(self, revision: int) -> None:
        """Wait until this move of the present epoch is committed. Raises StoreFailed."""
        await self._waits.until(revision)

    @property
    def broken(self) -> bool:
        """True when the journal has failed: nothing more is recorded."""
        return self._waits.failed

    def _numbered(self, row: TaskSnapshot, state: State, **changes: object) -> TaskSnapshot:
        if self.broken:
            raise StoreFailed("store", "writing has failed; nothing more is recorded")
        now = self._clock.wall()  # before counting: it raises in a thread that is not the loop's
        self.revision += 1
        place = {"epoch": self.epoch, "revision": self.revision, "changed_at": now}
        return replace(row, state=state, **place, **changes)

    def _record(
        self, row: TaskSnapshot, move: str, old: State | None, output: str | None = None
    ) -> None:
        of = (row.epoch, row.revision, row.id)
        event = Event(*of, move, old, row.state, row.changed_at, row.attempts, row.reason)
        self._unpublished.append((row, event))
        self._journal.put(Entry(row, event, output))
