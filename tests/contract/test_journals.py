"""What every journal promises; run on each of them."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
import trio

from engine.errors import StoreFailed
from engine.model import State
from engine.moves import Cause
from engine.store import VolatileJournal, open_sqlite
from tests.contract.journals import OpenJournal, Reported, running
from tests.contract.told_journal import ToldJournal
from tests.store.histories import History

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["volatile", "sqlite", "told"])
def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> OpenJournal:
    if request.param == "volatile":
        return lambda: nullcontext(VolatileJournal())
    if request.param == "told":
        return lambda: nullcontext(ToldJournal())
    return lambda: open_sqlite(tmp_path / "tasks.db")


async def test_a_new_journal_has_found_nothing(open_journal: OpenJournal) -> None:
    """A fresh journal starts epoch 1 with id 1, no rows, and all counts at nought."""
    async with open_journal() as journal:
        found = journal.recovered
        assert (found.epoch, found.next_id, list(found.unfinished)) == (1, 1, [])
        assert dict(found.counts) == dict.fromkeys(State, 0)
        assert found.clean


async def test_revisions_are_reported_in_order_and_to_the_last(open_journal: OpenJournal) -> None:
    """What is put is reported as committed, in ascending order, the last one included."""
    history = History()
    for _ in range(100):
        history.finish()
    async with open_journal() as journal, running(journal) as reported:
        for entry in history.entries:
            journal.put(entry)
            if entry.event.revision % 7 == 0:
                await trio.lowlevel.checkpoint()
        with trio.fail_after(10):
            await reported.reaches(300)
    assert reported.revisions == sorted(set(reported.revisions))
    assert reported.revisions[-1] == 300


async def test_reports_come_on_the_loops_thread(open_journal: OpenJournal) -> None:
    """The report is called where the engine's state lives, never in the writer's thread."""
    threads = set()
    async with open_journal() as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, lambda _: threads.add(threading.get_ident()))
        journal.put(History().submit())
        await trio.testing.wait_all_tasks_blocked()
        journal.close(2)
    assert threads == {threading.get_ident()}


async def test_what_was_put_before_run_is_reported_by_it(open_journal: OpenJournal) -> None:
    """Moves put between the opening and `run` (a recovery) are committed as `run` begins."""
    history = History()
    async with open_journal() as journal:
        journal.put(history.submit())
        journal.put(history.submit())
        async with running(journal) as reported:
            with trio.fail_after(10):
                await reported.reaches(2)
    assert reported.revisions[-1] == 2


async def test_closing_writes_what_is_there_and_ends_run(open_journal: OpenJournal) -> None:
    """`close` loses nothing that was put before it, and `run` returns by itself."""
    history = History()
    reported = Reported()
    async with open_journal() as journal:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(journal.run, reported)
                for _ in range(50):
                    journal.put(history.submit())
                journal.close(51)
    assert reported.revisions[-1] == 50


async def test_nothing_is_taken_after_closing(open_journal: OpenJournal) -> None:
    """A move put after `close` is refused aloud: it would never be committed."""
    history = History()
    async with open_journal() as journal, running(journal):
        journal.close(1)
        with pytest.raises(StoreFailed):
            journal.put(history.submit())
        journal.close(1)


async def test_nothing_is_taken_after_run_has_ended(open_journal: OpenJournal) -> None:
    """A move put when nobody writes any more is refused aloud."""
    history = History()
    async with open_journal() as journal:
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.run(Reported())
        with pytest.raises(StoreFailed):
            journal.put(history.submit())


async def test_a_cancelled_run_first_writes_what_it_has(open_journal: OpenJournal) -> None:
    """A cancellation is let through, but not before all that was put by then is committed."""
    history = History()
    reported = Reported()
    async with open_journal() as journal:
        for _ in range(50):
            journal.put(history.submit())
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.run(reported)
        assert scope.cancelled_caught
    assert reported.revisions[-1] == 50


async def test_a_gap_in_the_revisions_is_refused(open_journal: OpenJournal) -> None:
    """A lost or repeated revision is a defect of the caller: refused, and nothing is changed."""
    history = History()
    first, second, third = (history.submit() for _ in range(3))
    async with open_journal() as journal, running(journal) as reported:
        journal.put(first)
        with pytest.raises(ValueError, match="revision 3 after 1"):
            journal.put(third)
        with pytest.raises(ValueError, match="revision 1 after 1"):
            journal.put(first)
        journal.put(second)
        with trio.fail_after(10):
            await reported.reaches(2)


async def test_ids_are_reserved_ahead(open_journal: OpenJournal) -> None:
    """A million ids and more may be given out at once, and more once they are asked for."""
    async with open_journal() as journal:
        assert journal.ids_reserved >= journal.recovered.next_id + 1_000_000
        wanted = journal.recovered.next_id + 5_000_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run, Reported())
            journal.reserve_ids(wanted)
            await trio.testing.wait_all_tasks_blocked()
            journal.close(1)
        assert journal.ids_reserved >= wanted


async def test_samples_and_announcements_are_not_reported(open_journal: OpenJournal) -> None:
    """A sample is no move and an endpoint is none either: no revision is reported for them."""
    history = History()
    row = history.submit().snapshot
    async with open_journal() as journal:
        async with running(journal) as reported:
            journal.put(history.entries[0])
            with trio.fail_after(10):
                await reported.reaches(1)
            journal.sample(row)
            journal.announce("/run/creche.sock")
        assert reported.revisions == [1]


async def test_an_unknown_unique_key_is_nobodys(open_journal: OpenJournal) -> None:
    """A key that no task was submitted with finds none."""
    async with open_journal() as journal:
        assert journal.find_unique("order-1") is None


async def test_a_failing_report_ends_run_with_its_own_error(open_journal: OpenJournal) -> None:
    """A defect in the listener is not taken for a failure of the disk."""

    def fails(revision: int) -> None:
        raise ZeroDivisionError(revision)

    history = History()
    history.finish()
    async with open_journal() as journal:
        journal.put(history.entries[0])
        with pytest.raises(ZeroDivisionError):
            await journal.run(fails)
        with pytest.raises(StoreFailed):
            journal.put(history.move(history.submit().snapshot.id, Cause.ADMITTED))
