"""The state store: what readers may see, and when."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from engine.api import KeptOutput
from engine.clock import Clock
from engine.errors import IllegalMove, StoreFailed, TaskNotFound, TaskNotInMemory
from engine.model import ErrorInfo, OutputMark, State, TaskSnapshot, Why
from engine.moves import Cause, Facts
from engine.store.changes import Live
from engine.store.state import StateStore
from tests.contract.told_journal import ToldJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DRAFT = TaskSnapshot(id=0, state=State.QUEUED, kind="test")


@asynccontextmanager
async def stored(
    journal: ToldJournal, **options: Any
) -> AsyncIterator[tuple[StateStore, list[TaskSnapshot]]]:
    """A state store with its journal running, and the rows that its listener hears of."""
    store = StateStore(journal, Clock(lambda: 1_000.0), **options)
    heard: list[TaskSnapshot] = []
    store.listen(heard.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, store.committed)
        await trio.testing.wait_all_tasks_blocked()
        yield store, heard
        journal.close(store.ids.next)


def told() -> ToldJournal:
    """A journal that waits for its `commit`."""
    return ToldJournal(by_itself=False)


async def committed(journal: ToldJournal, revision: int | None = None) -> None:
    """Commit, and let it be published."""
    journal.commit(revision)
    await trio.testing.wait_all_tasks_blocked()


async def test_a_live_state_shows_at_once_and_a_final_one_when_committed() -> None:
    """A reader sees live moves before their commit; a final state, its output and its count only
    after it. The engine itself knows it by `head`."""
    journal = told()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        assert store.get(row.id) == row
        running = store.move(row.id, Cause.ADMITTED, attempts=1)
        assert store.get(row.id).state is State.RUNNING
        ended = store.move(row.id, Cause.OUTPUT)
        assert (store.head(row.id), store.known(row.id)) == (ended, ended)
        assert store.get(row.id) == store.find(row.id) == running
        assert store.index.counts()[State.SUCCEEDED] == 0
        await committed(journal, 2)
        assert store.get(row.id) == running
        await committed(journal, 3)
        assert store.get(row.id) == store.head(row.id) == ended
        assert store.index.counts()[State.SUCCEEDED] == 1


async def test_events_are_published_after_their_commit_in_order() -> None:
    """Nothing is published before its commit; then listeners hear rows in order."""
    journal = told()
    async with stored(journal) as (store, heard):
        first, second = store.accept(DRAFT), store.accept(DRAFT)
        store.move(first.id, Cause.ADMITTED)
        assert (heard, store.feed.revision) == ([], 0)
        await committed(journal, 2)
        assert [row.id for row in heard] == [first.id, second.id]
        assert store.feed.revision == 2
        await committed(journal)
        assert [row.state for row in heard] == [State.QUEUED, State.QUEUED, State.RUNNING]
        events = store.feed.after(0, 10)
        assert events is not None
        assert [(e.revision, e.move, e.previous, e.state) for e in events] == [
            (1, "T1", None, State.QUEUED),
            (2, "T1", None, State.QUEUED),
            (3, "T3", State.QUEUED, State.RUNNING),
        ]


async def test_a_final_row_is_visible_to_its_own_listener() -> None:
    """When a listener hears of a final row, `get` shows it already."""
    journal = told()
    async with stored(journal) as (store, _):
        seen: list[tuple[State, State]] = []
        store.listen(lambda row: seen.append((row.state, store.get(row.id).state)))
        row = store.accept(DRAFT)
        store.move(row.id, Cause.STOPPED, Facts(why=Why.ASKED), why=Why.ASKED)
        await committed(journal)
        assert seen == [(State.QUEUED, State.QUEUED), (State.CANCELLED, State.CANCELLED)]


async def test_an_illegal_move_changes_nothing() -> None:
    """Where the table has no move, no number is used up, no row changes and nothing is put."""
    journal = told()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.live[row.id] = live = Live(3)
        for cause in (Cause.STARTED, Cause.OUTPUT, Cause.DUE, Cause.BODY_ENDED):
            with pytest.raises(IllegalMove):
                store.move(row.id, cause, attempts=9)
        assert store.revision == len(journal.entries) == 1
        assert store.index.get(row.id, 2) == row
        assert store.live == {row.id: live}
        store.live.clear()


async def test_a_final_row_never_moves_again() -> None:
    """Before and after its commit, a final row refuses every move."""
    journal = told()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.move(row.id, Cause.ADMITTED)
        ended = store.move(row.id, Cause.RAISED)
        for _ in range(2):
            for cause in Cause:
                with pytest.raises(IllegalMove):
                    store.move(row.id, cause, Facts(why=Why.ASKED))
            assert store.head(row.id) == ended
            await committed(journal)


async def test_a_move_writes_the_whole_row_its_event_and_its_output() -> None:
    """What goes to the journal is complete: mark and checksum on the row, the text beside it."""
    journal = ToldJournal()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.move(row.id, Cause.ADMITTED)
        kept = KeptOutput("[1]", OutputMark.KEPT, 77)
        store.move(row.id, Cause.OUTPUT, kept=kept, duration=2.5)
        entry = journal.entries[-1]
        assert (entry.output, entry.snapshot.checksum) == ("[1]", 77)
        assert (entry.snapshot.output_mark, entry.snapshot.duration) == (OutputMark.KEPT, 2.5)
        assert (entry.event.revision, entry.event.state) == (3, State.SUCCEEDED)
        assert entry.snapshot.revision == 3


async def test_what_memory_knows_is_merged_and_goes_with_the_next_move() -> None:
    """Polls, the next look and failing looks show on reading, and are on the row of the next
    move; after that they are gone."""
    journal = ToldJournal()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.move(row.id, Cause.ADMITTED)
        store.move(row.id, Cause.STARTED)
        live = store.live[row.id] = Live(4)
        live.next_poll_at, live.failed_looks, live.error = 7.0, 2, ErrorInfo("E", "m")
        live.polls, live.unready_for = 6, 1.5
        shown = store.get(row.id)
        assert (shown.polls, shown.next_poll_at, shown.failed_looks) == (6, 7.0, 2)
        assert shown.error == ErrorInfo("E", "m")
        assert store.index.get(row.id, 2).polls == 0
        store.sample(row.id)
        assert journal.samples == [shown]
        ended = store.move(row.id, Cause.OUTPUT)
        assert (ended.polls, ended.next_poll_at, ended.unready_for) == (6, None, 1.5)
        assert store.live == {}


async def test_a_sample_never_undoes_a_move() -> None:
    """A sample of a task that has ended, or is gone, writes nothing."""
    journal = told()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.move(row.id, Cause.ADMITTED)
        store.move(row.id, Cause.OUTPUT)
        store.sample(row.id)
        store.sample(99)
        assert journal.samples == []


async def test_a_mark_is_on_the_row_and_in_the_sample() -> None:
    """A sample with marks changes the visible row as well, without a move."""
    journal = ToldJournal()
    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.sample(row.id, reason="marked")
        assert store.get(row.id).reason == "marked"
        assert [sample.reason for sample in journal.samples] == ["marked"]
        assert store.revision == 1


@pytest.mark.parametrize("revisions", [(3, 1, 2), (1, 1, 3), (2, 2, 2)])
async def test_waiters_for_durability_wake_in_order(revisions: tuple[int, ...]) -> None:
    """Each who waits for a revision goes on when that, or a later one, is committed."""
    journal = told()
    woken: list[int] = []

    async def wait(store: StateStore, revision: int) -> None:
        await store.durable(revision)
        woken.append(revision)

    async with stored(journal) as (store, _):
        for _ in range(3):
            store.accept(DRAFT)
        async with trio.open_nursery() as nursery:
            for revision in revisions:
                nursery.start_soon(wait, store, revision)
            await trio.testing.wait_all_tasks_blocked()
            for upto in (1, 2, 3):
                await committed(journal, upto)
                assert sorted(woken) == sorted(r for r in revisions if r <= upto)
        await store.durable(3)


async def test_a_waiter_may_give_up() -> None:
    """A cancelled wait for durability leaves the others alone."""
    journal = told()
    async with stored(journal) as (store, _):
        store.accept(DRAFT)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.durable, 1)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.durable, 1)
            await trio.testing.wait_all_tasks_blocked()
            await committed(journal)


async def test_a_broken_store_records_nothing_and_wakes_everybody() -> None:
    """After the journal has failed, waiters and every further move get StoreFailed; what was not
    committed stays invisible, and the feed ends."""
    journal = told()
    failed: list[str] = []

    async def wait(store: StateStore) -> None:
        with pytest.raises(StoreFailed):
            await store.durable(3)
        failed.append("waiter")

    async with stored(journal) as (store, _):
        row = store.accept(DRAFT)
        store.move(row.id, Cause.ADMITTED)
        store.move(row.id, Cause.OUTPUT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, store)
            await committed(journal, 2)
            store.broke()
        assert failed == ["waiter"]
        assert store.broken
        assert store.feed.closed
        with pytest.raises(StoreFailed):
            store.accept(DRAFT)
        with pytest.raises(StoreFailed):
            await store.durable(3)
        await store.durable(2)
        assert store.get(row.id).state is State.RUNNING
        assert len(journal.entries) == 3


async def test_the_oldest_final_rows_leave_memory() -> None:
    """Live rows stay whatever their age; of final ones the last so many to end. What is gone is
    said to be so, as long as it can have been there."""
    journal = ToldJournal()
    async with stored(journal, rows_kept=3) as (store, _):
        live = store.accept(DRAFT)
        ended = [store.accept(DRAFT).id for _ in range(6)]
        for task_id in reversed(ended):
            store.move(task_id, Cause.STOPPED, Facts(why=Why.ASKED), why=Why.ASKED)
        await trio.testing.wait_all_tasks_blocked()
        assert store.get(live.id) == live
        for task_id in ended[:3]:
            assert store.get(task_id).state is State.CANCELLED
        for task_id in ended[3:]:
            with pytest.raises(TaskNotInMemory):
                store.get(task_id)
            assert (store.find(task_id), store.known(task_id)) == (None, None)
        with pytest.raises(TaskNotFound):
            store.get(ended[-1] + 1)
        assert store.index.counts()[State.CANCELLED] == 6


async def test_a_key_is_known_longer_than_its_row_is_in_memory() -> None:
    """A submission under the key of a task that has left memory finds that task."""
    journal = ToldJournal()
    keyed = TaskSnapshot(id=0, state=State.QUEUED, kind="test", unique_key="k")
    async with stored(journal, rows_kept=1) as (store, _):
        first = store.accept(keyed)
        for task_id in (first.id, store.accept(DRAFT).id):
            store.move(task_id, Cause.STOPPED, Facts(why=Why.ASKED), why=Why.ASKED)
        await trio.testing.wait_all_tasks_blocked()
        assert store.known(first.id) is None
        found = store.unique.find(keyed)
        assert found is not None
        assert found.id == first.id


async def test_recovered_rows_are_there_before_any_move() -> None:
    """A store begins with the unfinished rows that its journal found, their counts and keys."""
    rows = [
        TaskSnapshot(id=4, state=State.QUEUED, kind="test", unique_key="k"),
        TaskSnapshot(id=9, state=State.RUNNING, kind="test", attempts=1),
    ]
    journal = ToldJournal(epoch=3, next_id=12, unfinished=rows)
    async with stored(journal) as (store, _):
        assert [store.get(row.id) for row in rows] == rows
        assert store.index.live == 2
        draft = TaskSnapshot(id=0, state=State.QUEUED, kind="test", unique_key="k")
        assert store.unique.find(draft) == rows[0]
        assert store.accept(DRAFT).id == 12
        assert store.get(12).cursor == "3.1"


async def test_ids_are_asked_for_long_before_they_are_used_up() -> None:
    """The next block is reserved when half of the last is used."""

    class Noting(ToldJournal):
        def reserve_ids(self, below: int) -> None:
            asked.append(below)
            super().reserve_ids(below)

    asked: list[int] = []
    journal = Noting()
    async with stored(journal, id_block=10) as (store, _):
        for _ in range(20):
            store.accept(DRAFT)
            assert asked[-1] > store.ids.next + 4
    assert 3 <= len(asked) <= 5
