"""What the reader of files promises beyond the common contract."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import trio

from engine.errors import (
    StoreError,
    StoreNotFound,
    StoreUnreadable,
    StoreUnsafe,
    TaskNotFound,
)
from engine.model import Reset
from engine.store import SqliteReader, open_reader, open_sqlite
from tests.contract.journals import running
from tests.store.histories import History


async def write(store: Path, history: History) -> None:
    async with open_sqlite(store) as journal, running(journal, history) as reported:
        for entry in history.entries:
            journal.put(entry)
        await reported.reaches(history.revision)


@pytest.fixture
def history() -> History:
    history = History()
    for _ in range(20):
        history.finish(output="[1, 2]")
    return history


@pytest.fixture
def store(tmp_path: Path, history: History) -> Path:
    trio.run(write, tmp_path / "tasks.db", history)
    return tmp_path / "tasks.db"


@pytest.fixture
def reader(store: Path) -> Iterator[SqliteReader]:
    reader = open_reader(store)
    yield reader
    reader.close()


def change(store: Path, statement: str) -> None:
    db = apsw.Connection(str(store))
    db.execute(statement)
    db.close()


def test_no_file_is_no_store(tmp_path: Path) -> None:
    """A place without a file has no store yet; none is made by looking."""
    with pytest.raises(StoreNotFound, match="no store here yet"):
        open_reader(tmp_path / "tasks.db")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    """A file that no engine has made a store yet is not found either."""
    (tmp_path / "tasks.db").touch()
    with pytest.raises(StoreNotFound, match="empty"):
        open_reader(tmp_path / "tasks.db")


def test_a_link_is_refused(store: Path) -> None:
    """Behind a link the lock would be looked for in the wrong folder."""
    link = store.parent / "link.db"
    link.symlink_to(store)
    with pytest.raises(StoreUnsafe, match="symbolic link"):
        open_reader(link)


def test_a_name_with_special_characters_is_a_name(store: Path) -> None:
    """Nothing in a file's name is taken for an option of SQLite."""
    odd = store.rename(store.parent / "a?mode=rw%20#&b.db")
    reader = open_reader(odd)
    assert reader.cursor() == "1.60"
    reader.close()


def test_reading_changes_nothing(store: Path, reader: SqliteReader) -> None:
    """The connection cannot write, and the file's bytes stay as they are."""
    before = store.read_bytes()
    reader.changes("")
    reader.counts()
    with pytest.raises(apsw.ReadOnlyError):
        reader._db.execute("UPDATE counts SET rows = 9")
    assert store.read_bytes() == before


async def test_a_reader_sees_each_commit(tmp_path: Path) -> None:
    """A reader opened early follows the engine's commits without being opened again."""
    store = tmp_path / "tasks.db"
    history = History()
    async with open_sqlite(store) as journal, running(journal, history) as reported:
        reader = open_reader(store)
        cursor = reader.cursor()
        for number in range(1, 20):
            journal.put(history.submit())
            await reported.reaches(number)
            changes = reader.changes(cursor)
            assert [task.id for task in changes.tasks] == [number]
            cursor = changes.cursor
    assert reader.owner() is not None
    assert cursor == "1.19"
    reader.close()


async def test_changes_go_on_over_an_engines_end(store: Path, reader: SqliteReader) -> None:
    """A cursor of an earlier epoch goes on with the moves of the next one, without a reset."""
    cursor = reader.changes("").cursor
    async with open_sqlite(store) as journal, running(journal) as reported:
        # The new epoch's beginning is a cursor too, before its first move.
        for at in (cursor, "2.0"):
            waiting = reader.changes(at)
            assert (waiting.tasks, waiting.cursor, waiting.reset) == ((), at, False)
            assert list(reader.events(at)) == []
        following = History(2, journal.recovered.next_id)
        journal.put(following.submit())
        await reported.reaches(1)
        for at in (cursor, "2.0"):
            changes = reader.changes(at)
            assert [task.id for task in changes.tasks] == [21]
            assert (changes.cursor, changes.reset) == ("2.1", False)
            assert [event.cursor for event in reader.events(at)] == ["2.1"]


def test_events_that_are_no_longer_kept_reset(store: Path) -> None:
    """Where the oldest events are gone, a reader is told to read the state, then goes on."""
    change(store, "DELETE FROM events WHERE revision <= 10")
    reader = open_reader(store)
    for since in ("", "1.3", "1.9"):
        first, *rest = reader.events(since)
        assert first == Reset("1.10")
        assert [event.cursor for event in rest] == [f"1.{number}" for number in range(11, 61)]
        assert reader.changes(since).reset
    assert not any(isinstance(event, Reset) for event in reader.events("1.10"))
    assert not reader.changes("1.10").reset
    reader.close()


def test_a_damaged_output_is_not_given_out(store: Path) -> None:
    """An output that does not fit its checksum is refused, and its task named."""
    change(store, "UPDATE outputs SET text = '[1, 3]' WHERE task_id = 7")
    reader = open_reader(store)
    with pytest.raises(StoreUnreadable, match="output of task 7 is damaged"):
        reader.output(7)
    assert reader.output(8) == "[1, 2]"
    reader.close()


def test_a_damaged_row_is_named(store: Path) -> None:
    """A row that cannot be read says which one it is, and the others stay readable."""
    change(store, "UPDATE tasks SET effect = 'at_leisure' WHERE id = 7")
    reader = open_reader(store)
    with pytest.raises(StoreUnreadable, match=r"\(7…\): .*at_leisure"):
        reader.get(7)
    assert reader.get(8).id == 8
    reader.close()


def test_a_closed_reader_says_so(store: Path) -> None:
    """After `close` every call raises; closing twice is harmless."""
    reader = open_reader(store)
    reader.close()
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.counts()


def test_threads_may_share_a_reader(reader: SqliteReader, history: History) -> None:
    """One reader serves several threads at once, each with its own answers."""
    found: dict[int, bool] = {}

    def read(task_id: int) -> None:
        found[task_id] = all(
            reader.get(task_id) == history.rows[task_id] and len(reader.changes("").tasks) == 20
            for _ in range(20)
        )

    threads = [threading.Thread(target=read, args=[task_id]) for task_id in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(1, 9), True)


def test_a_limit_below_one_is_one(reader: SqliteReader) -> None:
    """However small a limit, each answer goes forward."""
    assert len(reader.events("", limit=0)) == 1
    assert reader.changes("", limit=-5).cursor == "1.1"


def test_nobody_is_found_by_an_unknown_key(reader: SqliteReader) -> None:
    """A key that no task has finds none."""
    assert reader.find_unique("order-1") is None
    with pytest.raises(TaskNotFound):
        reader.get(21)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that the user of `as_nobody` can see, outside pytest's private ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def as_nobody(store: Path) -> str:
    """What opening a reader says to a user who may read the file, but not write beside it."""
    answer, tell = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and later warn of the worker threads that other tests have left idle.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        words = "opened"
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            open_reader(store).close()
        except Exception as error:  # noqa: BLE001 - told to the parent
            words = f"{type(error).__name__}: {error}"
        os.write(tell, words.encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(answer) as told:
        return told.read()


def test_a_folder_that_cannot_be_written_is_explained(
    read_only_folder: Path, history: History
) -> None:
    """Where the log's files can be neither found nor made, the refusal says what they need."""
    store = read_only_folder / "tasks.db"
    trio.run(write, store, history)
    store.chmod(0o644)
    read_only_folder.chmod(0o555)
    said = as_nobody(store)
    assert said.startswith("StoreUnreadable")
    assert "its folder must be writable" in said


def test_a_file_that_may_not_be_read_is_explained(read_only_folder: Path, history: History) -> None:
    """Another user's private store is refused as such, not as damaged or missing."""
    store = read_only_folder / "tasks.db"
    trio.run(write, store, history)
    if os.geteuid() != 0:
        store.chmod(0)
    assert stat.S_IMODE(store.stat().st_mode) & 0o077 == 0
    assert as_nobody(store).startswith("StoreUnreadable")
