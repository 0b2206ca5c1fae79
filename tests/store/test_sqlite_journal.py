"""What the durable journal promises beyond the common contract: groups, rows, and its failures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest
import trio
import trio.testing
from msgspec.structs import replace

from engine.errors import StoreFailed, StoreUnreadable
from engine.model import ErrorInfo, OutputMark, State, TaskSnapshot, Why
from engine.moves import Cause, Facts
from engine.store import SqliteJournal, open_reader, open_sqlite
from engine.store.batch import Batch, as_text
from tests.contract.journals import Reported, running
from tests.store.histories import History
from tests.store.invariants import broken
from tests.store.threads import Gate

T = TypeVar("T")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """The weight at which a batch is full, made small so that bursts can be."""
    monkeypatch.setattr("engine.store.batch.FULL", 50)
    return 50


async def write(store: Path, history: History, next_id: int | None = None) -> None:
    """Put a whole history into a store, and close it."""
    async with open_sqlite(store, version="1.2.3") as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, Reported())
        for entry in history.entries:
            journal.put(entry)
        journal.close(history.next_id if next_id is None else next_id)


def statements(journal: SqliteJournal) -> list[str]:
    """The first words of each statement that the journal runs from now on."""
    seen: list[str] = []

    def trace(_: apsw.Cursor, statement: str, __: apsw.Bindings | None) -> bool:
        seen.append(" ".join(statement.split()[:3]).rstrip("("))
        return True

    journal._writer._db.exec_trace = trace
    return seen


# -- groups --------------------------------------------------------------------------------------


async def test_moves_gather_while_a_flush_is_out(store: Path) -> None:
    """Groups form by themselves: all that is put during one flush goes with the next."""
    history, gate = History(), Gate()
    async with open_sqlite(store, threads=gate) as journal, running(journal) as reported:
        gate.shut()
        journal.put(history.submit())
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(100):
            journal.put(history.submit())
        await trio.testing.wait_all_tasks_blocked()
        assert gate.waiting == 1
        gate.open()
        await reported.reaches(101)
    assert reported.revisions == [1, 101]


async def test_a_batch_has_a_limit(store: Path, small_batches: int) -> None:
    """A burst is written in several transactions, none of which holds more than the limit."""
    history = History()
    async with open_sqlite(store, threads=Gate()) as journal:
        for _ in range(2 * small_batches + 7):
            journal.put(history.submit())
        async with running(journal, history) as reported:
            await reported.reaches(2 * small_batches + 7)
    assert reported.revisions == [small_batches, 2 * small_batches, 2 * small_batches + 7]
    assert broken(store) == []


def test_long_texts_fill_a_batch_sooner() -> None:
    """A batch stays within some megabytes, however long outputs, arguments and tracebacks are."""
    history = History()
    batch = Batch()
    error = ErrorInfo("ValueError", "no", traceback="x" * 65_536)
    history.submit(arguments="1" * 1_048_576)
    history.finish(output="1" * 1_048_576)
    task_id = history.submit().snapshot.id
    history.move(task_id, Cause.ADMITTED)
    history.move(task_id, Cause.RAISED, error=error)
    for entry in history.entries:
        batch.add(entry)
    assert batch.weight == 7 + 1024 + 1024 + 4 + 64


async def test_one_statement_a_table_and_batch(store: Path) -> None:
    """However many tasks move, a batch is one statement a table: each has to win the GIL anew."""
    history = History()
    async with open_sqlite(store, threads=Gate()) as journal:
        seen = statements(journal)
        for _ in range(500):
            history.finish()
        for entry in history.entries:
            journal.put(entry)
        async with running(journal) as reported:
            await reported.reaches(1500)
            written = list(seen)
    assert written == [
        "BEGIN IMMEDIATE",
        "INSERT INTO tasks",
        "INSERT INTO events",
        "UPDATE counts SET",
        "INSERT INTO outputs",
        "COMMIT",
    ]


async def test_a_writer_is_not_starved_by_a_busy_loop(store: Path) -> None:
    """Beside tasks that never block, and a switch interval of 5 ms, commits still happen."""
    history = History()
    interval = sys.getswitchinterval()

    async def spin() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async with open_sqlite(store) as journal, trio.open_nursery() as spinners:
        for _ in range(20):
            spinners.start_soon(spin)
        async with running(journal) as reported:
            with trio.fail_after(10):
                for _ in range(20):
                    journal.put(history.submit())
                    await reported.reaches(history.revision)
        spinners.cancel_scope.cancel()
    assert reported.revisions == list(range(1, 21))
    assert sys.getswitchinterval() == interval


async def test_the_pause_is_taken_out_with_the_journal(store: Path) -> None:
    """An engine that has ended leaves nothing in its user's loop."""
    async with open_sqlite(store) as journal:
        async with running(journal):
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(KeyError):
            trio.lowlevel.remove_instrument(journal._give_way)


# -- rows ----------------------------------------------------------------------------------------


async def test_every_field_comes_back_as_it_was(store: Path) -> None:
    """A row read back equals the snapshot that was put, every field of it set."""
    history = History()
    full: dict[str, Any] = {
        "kind": "sample", "key": "reports", "priority": -(2**53), "tags": ("a", 'b"\0é', ""),
        "unique_key": "null", "parent": 1, "retry_of": 2, "held": True, "not_before": 1.25,
        "start_by": 2.0, "timeout": 1e-9, "deadline": 1e12, "attempts": 3, "attempts_allowed": 4,
        "crashes": 5, "recoverable": True, "arguments": '{"value": 1.0}', "handle": "[1e5]",
        "started_at": 1.5, "polling_at": 1.75, "finished_at": 2.5, "duration": 0.1, "polls": 7,
        "next_poll_at": 3.5, "unready_for": 0.3, "failed_looks": 2, "why": Why.DEADLINE,
        "reason": "null", "late": "12", "mode_guessed": True, "checksum": 2**32 - 1,
        "error": ErrorInfo("E", "m\udcff".encode(errors="replace").decode(), "tb", ("n",),
                           (ErrorInfo("C", "c"),), (ErrorInfo("M", "m"),)),
        "output_mark": OutputMark.TOO_LARGE,
    }  # fmt: skip
    history.submit("12", **full)
    untouched = set(TaskSnapshot.__struct_fields__) - set(full)
    assert untouched <= {
        *("id", "state", "mode", "name", "effect", "rung", "schema_version"),
        *("epoch", "revision", "submitted_at", "changed_at"),
    }
    await write(store, history)
    reader = open_reader(store)
    assert reader.get(1) == history.rows[1]
    reader.close()


async def test_text_that_is_not_unicode_is_escaped(store: Path) -> None:
    """A lone surrogate in a name (of a file, say) is escaped in the store, and stops nothing."""
    history = History()
    history.submit("report-\udcff.txt", tags=("\ud800",))
    history.submit("plain")
    await write(store, history)
    reader = open_reader(store)
    row = reader.get(1)
    assert (row.name, row.tags, reader.get(2)) == (
        "report-\\udcff.txt",
        ("\\ud800",),
        history.rows[2],
    )
    reader.close()


def test_plain_text_is_not_touched_by_escaping() -> None:
    """Only what cannot be encoded is changed, at any depth."""
    assert as_text([[1, "é\\", {"k\udc80": None}, 1.5, True]]) == (
        '[[1,"é\\\\",{"k\\\\udc80":null},1.5,true]]'
    )


async def test_a_sample_changes_the_row_and_records_nothing(store: Path) -> None:
    """Polls made reach the file without a move: no event, no new revision, no new count."""
    history = History()
    task_id = history.submit().snapshot.id
    async with open_sqlite(store) as journal, running(journal, history) as reported:
        journal.put(history.entries[0])
        await reported.reaches(1)
        journal.sample(replace(history.rows[task_id], polls=9))
    reader = open_reader(store)
    assert reader.get(task_id) == replace(history.rows[task_id], polls=9)
    assert [event.cursor for event in reader.events("")] == ["1.1"]
    reader.close()
    assert broken(store) == []


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "after the commit"])
async def test_a_sample_never_overwrites_a_newer_row(store: Path, together: bool) -> None:
    """A sample that comes late loses against the move that was recorded meanwhile."""
    history = History()
    old = history.submit().snapshot
    history.move(old.id, Cause.ADMITTED, attempts=1)
    async with open_sqlite(store) as journal, running(journal) as reported:
        for entry in history.entries:
            journal.put(entry)
        if not together:
            await reported.reaches(2)
        journal.sample(replace(old, polls=9))
    reader = open_reader(store)
    assert reader.get(old.id) == history.rows[old.id]
    reader.close()


# -- openings ------------------------------------------------------------------------------------


async def test_a_clean_end_gives_ids_back(store: Path) -> None:
    """After a clean end the next engine goes on with the very next id."""
    history = History()
    history.finish()
    history.submit()
    await write(store, history)
    async with open_sqlite(store) as journal:
        found = journal.recovered
    assert (found.epoch, found.next_id, found.clean) == (2, 3, True)
    assert list(found.unfinished) == [history.rows[2]]
    assert found.counts == {**dict.fromkeys(State, 0), State.SUCCEEDED: 1, State.QUEUED: 1}


async def test_an_unclean_end_uses_up_the_reserved_ids(store: Path) -> None:
    """Ids that may have been given out are never given out again."""
    async with open_sqlite(store) as journal:
        reserved = journal.ids_reserved
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.run(Reported())
    async with open_sqlite(store) as journal:
        found = journal.recovered
        assert (found.epoch, found.next_id, found.clean) == (2, reserved, False)
        assert journal.ids_reserved == reserved + 2_000_000


async def test_reserved_ids_count_once_they_are_durable(store: Path) -> None:
    """A block may be used only after its reservation is on the disk."""
    gate = Gate()
    async with (
        open_sqlite(store, threads=gate, reserve=10) as journal,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(journal.run, Reported())
        gate.shut()
        journal.reserve_ids(500)
        await trio.testing.wait_all_tasks_blocked()
        before = journal.ids_reserved
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert (before, journal.ids_reserved) == (11, 500)
        nursery.cancel_scope.cancel()
    async with open_sqlite(store) as journal:
        assert journal.recovered.next_id == 500


async def test_the_owner_row_tells_who_runs(store: Path) -> None:
    """Pid, epoch, endpoint, version and start stand in the owner row; after the end it says so."""
    reader = None
    async with open_sqlite(store, version="1.2.3", wall=lambda: 123.5) as journal:
        reader = open_reader(store)
        owner = reader.owner()
        assert owner is not None
        assert (owner.epoch, owner.endpoint, owner.started_at) == (1, None, 123.5)
        assert (owner.clean, owner.alive, owner.version) == (False, True, "1.2.3")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run, Reported())
            journal.announce("/run/creche.sock")
            await trio.testing.wait_all_tasks_blocked()
            while reader.owner().endpoint is None:  # type: ignore[union-attr]  # it has an owner
                await trio.lowlevel.checkpoint()
            journal.close(1)
    owner = reader.owner()
    assert owner is not None
    assert (owner.endpoint, owner.clean, owner.alive) == (None, True, False)
    reader.close()


async def test_wrong_counts_are_corrected_by_the_rows(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The noted counts are checked against the rows at each opening; the rows are right."""
    history = History()
    history.finish()
    await write(store, history)
    db = apsw.Connection(str(store))
    db.execute("UPDATE counts SET rows = 7 WHERE state = 'failed'")
    db.close()
    async with open_sqlite(store) as journal:
        assert journal.recovered.counts[State.FAILED] == 0
    assert "corrected" in caplog.text
    assert broken(store) == []


async def test_a_row_that_cannot_be_read_is_named(store: Path) -> None:
    """A live row that no longer decodes refuses the opening, and says which task it is."""
    history = History()
    history.submit()
    await write(store, history)
    db = apsw.Connection(str(store))
    db.execute("UPDATE tasks SET mode = 'psychic'")
    db.close()
    with pytest.raises(StoreUnreadable, match=r"task 1 .*psychic"):
        async with open_sqlite(store):
            pass


async def test_a_unique_key_is_found_on_the_disk(store: Path) -> None:
    """An idempotency key is found again when memory has long forgotten its task."""
    history = History()
    task_id = history.finish(unique_key="order-1")
    await write(store, history)
    async with open_sqlite(store) as journal:
        assert journal.find_unique("order-1") == history.rows[task_id]
        assert journal.find_unique("order-2") is None


async def test_readers_are_closed_with_the_journal(store: Path) -> None:
    """A reader that was left open does not keep the log beside the file."""
    async with open_sqlite(store) as journal, running(journal):
        reader = journal.reader()
        assert reader.counts() == dict.fromkeys(State, 0)
    assert sorted(path.name for path in store.parent.iterdir()) == ["tasks.db", "tasks.db.d"]


# -- failures ------------------------------------------------------------------------------------


def impossible(history: History) -> None:
    """Adds a move out of a state in which no task is: the counts would fall below nought."""
    entry = history.submit()
    wrong = replace(entry.event, previous=State.LOST)
    history.entries[-1] = entry._replace(event=wrong)


async def test_a_failed_batch_is_rolled_back_whole_and_ends_everything(store: Path) -> None:
    """After an error nothing of the batch stays, nothing is reported, and nothing is taken."""
    history = History()
    history.finish()
    async with open_sqlite(store) as journal:
        reported = Reported()
        failures = []

        async def run() -> None:
            with pytest.raises(StoreFailed) as caught:
                await journal.run(reported)
            failures.append(caught.value)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            for entry in history.entries:
                journal.put(entry)
            await reported.reaches(3)
            history.submit()
            impossible(history)
            for entry in history.entries[3:]:
                journal.put(entry)
        assert isinstance(failures[0].__cause__, apsw.ConstraintError)
        assert failures[0].path == store
        calls: list[Callable[[], None]] = [
            lambda: journal.put(history.submit()),
            lambda: journal.sample(history.rows[1]),
            lambda: journal.reserve_ids(10**9),
            lambda: journal.announce("/run/creche.sock"),
        ]
        for refused in calls:
            with pytest.raises(StoreFailed):
                refused()
        journal.close(1)
    assert reported.revisions == [3]
    reader = open_reader(store)
    assert reader.cursor() == "1.3"
    reader.close()
    assert broken(store) == []


async def failing(journal: SqliteJournal, history: History) -> StoreFailed:
    """The failure that the journal's run ends with when it writes this history."""
    for entry in history.entries:
        journal.put(entry)
    with pytest.raises(StoreFailed) as caught:
        await journal.run(Reported())
    return caught.value


async def test_a_full_disk_stops_it_with_a_word(store: Path) -> None:
    """SQLITE_FULL is rolled back whole, and the failure says what is missing."""
    history = History()
    history.submit(arguments="1" * 1_000_000)
    async with open_sqlite(store) as journal:
        journal._writer._db.execute("PRAGMA max_page_count = 20")
        failure = await failing(journal, history)
    assert "no space is left" in failure.problem
    assert isinstance(failure.__cause__, apsw.FullError)
    reader = open_reader(store)
    assert reader.cursor() == ""
    reader.close()
    assert broken(store) == []


async def test_a_foreign_write_lock_is_waited_for(store: Path) -> None:
    """Another program's short transaction delays a commit, and harms nothing."""
    history = History()
    other = None
    async with open_sqlite(store) as journal:
        other = apsw.Connection(str(store))
        other.execute("BEGIN IMMEDIATE")
        async with running(journal) as reported:
            journal.put(history.submit())
            await trio.testing.wait_all_tasks_blocked()
            other.execute("COMMIT")
            with trio.fail_after(10):
                await reported.reaches(1)
        other.close()
    assert reported.revisions == [1]


async def test_a_foreign_write_lock_is_not_waited_for_for_ever(store: Path) -> None:
    """After the patience given, the failure says who is in the way."""
    history = History()
    history.submit()
    async with open_sqlite(store, patience=0) as journal:
        other = apsw.Connection(str(store))
        other.execute("BEGIN IMMEDIATE")
        failure = await failing(journal, history)
        other.close()
    assert "another program holds its write lock" in failure.problem


@pytest.mark.parametrize("ending", ["", "-wal"])
@pytest.mark.parametrize("replaced", [True, False])
async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    store: Path, ending: str, replaced: bool
) -> None:
    """When the file or its log is removed or replaced, commits are not reported any more."""
    history = History()
    history.submit()
    async with open_sqlite(store) as journal:
        file = store.with_name(store.name + ending)
        file.rename(store.with_name("elsewhere"))
        if replaced:
            file.touch()
        failure = await failing(journal, history)
    assert isinstance(failure.__cause__, FileNotFoundError)


async def test_a_cancellation_does_not_break_a_flush(store: Path) -> None:
    """A flush that is out is waited for and reported; then the cancellation goes through."""
    history, gate = History(), Gate()
    reported = Reported()
    async with open_sqlite(store, threads=gate) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, reported)
        gate.shut()
        journal.put(history.submit())
        await trio.testing.wait_all_tasks_blocked()
        journal.put(history.submit())
        nursery.cancel_scope.cancel()
        gate.open()
    assert reported.revisions == [1, 2]


async def test_closing_is_not_cut_short_by_a_cancellation(store: Path) -> None:
    """After `close` the end is marked clean, even when a cancellation comes at the same time."""
    history = History()
    async with open_sqlite(store) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, Reported())
        journal.put(history.submit())
        journal.close(2)
        nursery.cancel_scope.cancel()
    async with open_sqlite(store) as journal:
        assert (journal.recovered.clean, journal.recovered.next_id) == (True, 2)


async def test_the_end_is_marked_clean_with_the_last_batch(store: Path, small_batches: int) -> None:
    """An engine that dies while it closes, with moves still to write, has not ended cleanly."""
    history = History()
    flushes = 0

    async def second_flush_fails(
        sync_fn: Callable[..., T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> T:
        nonlocal flushes
        flushes += 1
        if flushes == 2:
            raise OSError("the disk is gone")
        return sync_fn(*args)

    async with open_sqlite(store) as journal:
        journal._run_sync = second_flush_fails
        for _ in range(small_batches + 1):
            journal.put(history.submit())
        journal.close(history.next_id)
        with pytest.raises(StoreFailed, match="the disk is gone"):
            await journal.run(Reported())
    async with open_sqlite(store) as journal:
        assert not journal.recovered.clean
        assert journal.recovered.next_id > 1_000_000
        assert sum(journal.recovered.counts.values()) == small_batches


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1), ("none", 0)])
async def test_durability_is_the_disks_setting(
    store: Path, durability: str, synchronous: int
) -> None:
    """Each level of durability is a level of SQLite's `synchronous`, on a write-ahead log."""
    async with open_sqlite(store, durability=durability) as journal:
        db = journal._writer._db
        assert db.execute("PRAGMA synchronous").get == synchronous
        assert db.execute("PRAGMA journal_mode").get == "wal"


async def test_moves_between_equal_states_keep_the_counts(store: Path) -> None:
    """A move that stays in its state (T15) is an event, and changes no count."""
    history = History()
    task_id = history.submit().snapshot.id
    history.move(task_id, Cause.ADMITTED)
    history.move(task_id, Cause.STARTED)
    history.move(task_id, Cause.CRASHED, Facts(recoverable=True, has_handle=True))
    await write(store, history)
    assert broken(store) == []
    reader = open_reader(store)
    assert reader.counts()[State.POLLING] == 1
    reader.close()
