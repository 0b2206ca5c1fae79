"""The file's shape: what others may rely on, and what our own statements rely on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from engine.model import Event, TaskSnapshot
from engine.store import schema

ROOT = Path(__file__).parents[2]


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    db = apsw.Connection(":memory:")
    for statement in schema.SCHEMA:
        db.execute(statement)
    yield db
    db.close()


def columns(db: apsw.Connection, table: str) -> list[object]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def plan(db: apsw.Connection, question: str) -> str:
    """How SQLite will answer, in its own words."""
    values = [1] * question.count("?")
    return "; ".join(str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {question}", values))


def test_columns_are_the_fields_in_their_order(db: apsw.Connection) -> None:
    """A row of a table is a record's array: same names, same order."""
    assert columns(db, "tasks") == list(TaskSnapshot.__struct_fields__)
    assert columns(db, "events") == list(Event.__struct_fields__)


def test_nullable_columns_are_the_optional_fields(db: apsw.Connection) -> None:
    """A column may be null where the field may be None, and nowhere else."""
    required = {row[1] for row in db.execute("PRAGMA table_info(tasks)") if row[3] or row[5]}
    hints = TaskSnapshot.__annotations__
    assert required == {name for name in hints if "None" not in str(hints[name])}


def test_the_public_views_keep_their_shape(db: apsw.Connection) -> None:
    """Other programs read these columns: one that goes, or is renamed, breaks them."""
    assert columns(db, "v_tasks") == [
        *("id", "state", "mode", "mode_guessed", "kind", "name", "key", "priority", "tags"),
        *("unique_key", "parent", "retry_of", "held", "not_before", "start_by", "timeout"),
        *("deadline", "attempts", "attempts_allowed", "crashes", "effect", "recoverable"),
        *("arguments", "handle", "epoch", "revision", "submitted_at", "changed_at", "started_at"),
        *("polling_at", "finished_at", "duration", "polls", "next_poll_at", "unready_for"),
        *("failed_looks", "why", "rung", "reason", "error", "late", "output_mark"),
    ]
    assert columns(db, "v_events") == [
        *("cursor", "epoch", "revision", "task_id", "move", "previous", "state", "at"),
        *("attempt", "reason"),
    ]


def test_the_file_is_marked(db: apsw.Connection) -> None:
    """The file says what it is, and of which format."""
    assert db.execute("PRAGMA application_id").get == int.from_bytes(b"crch")
    assert db.execute("PRAGMA user_version").get == 1


@pytest.mark.parametrize(
    ("question", "way"),
    [
        (f"{schema.SELECT_TASKS} WHERE {schema.IS_LIVE} ORDER BY id", "USING INDEX tasks_live"),
        (f"{schema.SELECT_TASKS} WHERE unique_key = ?", "USING INDEX tasks_unique_key"),
        (f"{schema.SELECT_TASKS} WHERE id < ? AND id >= ? ORDER BY id DESC", "PRIMARY KEY"),
        (
            f"{schema.SELECT_EVENTS} WHERE (epoch, revision) > (?, ?) ORDER BY epoch, revision",
            "USING PRIMARY KEY ((epoch,revision)>(?,?))",
        ),
    ],
)
def test_frequent_questions_use_an_index(db: apsw.Connection, question: str, way: str) -> None:
    """What is asked often is answered by an index, and sorted by nothing else."""
    assert way in plan(db, question)
    assert "B-TREE" not in plan(db, question)


def test_a_row_that_is_not_ours_is_refused() -> None:
    """A damaged row raises, it does not become a wrong snapshot."""
    good: list[object] = [
        *(7, "queued", "auto", 0, "", "", None, 0, "[]", None, None, None, 0, None, None, None),
        *(None, 0, 1, 0, "at_least_once", 0, None, None, 1, 1, 1.0, 1.0, None, None, None, None),
        *(0, None, None, 0, None, None, None, None, None, None, None, 1),
    ]
    assert schema.task_of(good).id == 7
    for name, value in (
        ("state", "asleep"),
        ("tags", "[1]"),
        ("tags", "["),
        ("tags", None),
        ("tags", b"[]"),
        ("error", "{}"),
        ("id", "7"),
        ("attempts", None),
        ("submitted_at", "yesterday"),
    ):
        bad = list(good)
        bad[schema.COLUMNS.index(name)] = value
        with pytest.raises(ValueError, match=r".+"):
            schema.task_of(bad)


@pytest.mark.slow
def test_reading_a_store_needs_no_event_loop() -> None:
    """The reader's own modules import no Trio: a dashboard opens a store without one."""
    code = (
        "import sys, types; package = types.ModuleType('engine'); package.__path__ = ['engine']\n"
        "sys.modules['engine'] = package; import engine.store\n"
        "engine.store.open_reader; print('trio' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert answer.stdout == "False\n"


def test_the_store_offers_what_it_says() -> None:
    """The package's late names can be had, and others cannot."""
    import engine.store

    assert engine.store.SqliteJournal.__name__ == "SqliteJournal"
    assert not hasattr(engine.store, "Sqlite3Journal")
