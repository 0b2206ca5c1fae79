"""Reading from memory, and from the disk where memory no longer knows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import trio

from .errors import (
    OutputNotKept,
    OutputNotReady,
    TaskCancelled,
    TaskEnded,
    TaskFailed,
    TaskLost,
    TaskNotFound,
    TaskNotInMemory,
    TaskTimedOut,
)
from .hops import hop
from .iterating import Events
from .model import Page, State, TaskSnapshot, Why
from .outputs import keep
from .store.local_reader import LocalReader

if TYPE_CHECKING:
    from .api import Reader, RunSync
    from .clock import Clock
    from .query import Query
    from .store.state import StateStore

_PAGE_LIMIT: Final = 1_000

_ENDINGS: Final[dict[State, type[TaskEnded]]] = {
    State.FAILED: TaskFailed,
    State.CANCELLED: TaskCancelled,
    State.TIMED_OUT: TaskTimedOut,
    State.LOST: TaskLost,
}


class Reading(NamedTuple):
    """The awaiting verbs that only read."""

    store: StateStore
    clock: Clock
    disk: Reader | None
    threads: RunSync

    async def get(self, task_id: int) -> TaskSnapshot:
        """The task; raises TaskNotFound."""
        try:
            return self.store.get(task_id)
        except TaskNotInMemory:
            if self.disk is None:
                raise TaskNotFound(task_id) from None
            return await hop(self.threads, self.disk.get, task_id)

    async def page(self, query: Query, after: int | None, limit: int) -> Page:
        """A page of matching tasks, newest first."""
        limit = max(1, min(limit, _PAGE_LIMIT))
        if self.store.index.evicted and self.disk is not None:
            # What the caller has done so far has to show.
            await self.store.durable(self.store.revision)
            read = partial(self.disk.page, query, after=after, limit=limit)
            return self._refreshed(query, await hop(self.threads, read))
        local = LocalReader(self.store, self.clock)
        page = local.page(query, after=after, limit=limit)
        while len(page.tasks) < limit and page.next_after is not None:
            await trio.lowlevel.checkpoint()
            more = local.page(query, after=page.next_after, limit=limit - len(page.tasks))
            page = Page(page.tasks + more.tasks, more.next_after)
        return page

    def _refreshed(self, query: Query, page: Page) -> Page:
        now = self.clock.wall()
        newest = [self.store.find(row.id) or row for row in page.tasks]
        return Page(tuple(row for row in newest if query.matches(row, now)), page.next_after)

    async def output(self, row: TaskSnapshot) -> object:
        """The output of an answered task, or the exception that says why there is none."""
        kept = self.store.outputs
        if row.state is not State.SUCCEEDED:
            cause = kept.get(row.id)
            raise _ending(row) from (cause if isinstance(cause, BaseException) else None)
        if row.id in kept:
            return kept[row.id]
        return msgspec.json.decode(await self._stored_output(row))

    async def output_json(self, row: TaskSnapshot) -> str:
        """The output of a final task as JSON text."""
        if not row.state.final:
            raise OutputNotReady(row)
        if row.state is not State.SUCCEEDED:
            raise _ending(row)
        if self.disk is not None or row.id not in self.store.outputs:
            return await self._stored_output(row)
        # In a thread: whatever code the output brings along has its say in this.
        kept = await hop(self.threads, keep, self.store.outputs[row.id])
        if kept.text is None:
            raise OutputNotKept(row.id, f"it is {kept.mark.replace('_', ' ')}")
        return kept.text

    async def _stored_output(self, row: TaskSnapshot) -> str:
        if self.disk is None:
            raise OutputNotKept(row.id, "the engine keeps the last ones only")
        return await hop(self.threads, self.disk.output, row.id)

    def events(self, since: str | None) -> Events:
        """See `Engine.events`: the place is settled, and refused, at the call."""
        return Events(self.store.feed, since, self.disk, self.threads)


def _ending(row: TaskSnapshot) -> TaskEnded:
    if row.state is State.CANCELLING:
        kind = TaskCancelled if row.why is Why.ASKED else TaskTimedOut
        return kind(row, body_alive=True)
    return _ENDINGS[row.state](row)
