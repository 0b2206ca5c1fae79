"""What stands in a store's file: its tables, its public views, and how a row becomes a snapshot.

The tables are private and change with `USER_VERSION`; the views ``v_tasks`` and ``v_events`` are
the shape that other programs may rely on. A column of ``tasks`` is a field of `TaskSnapshot`, in
the same order, so one JSON array is one row; tags and errors are JSON text in their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ..model import LIVE, ErrorInfo, Event, State, TaskSnapshot

APPLICATION_ID: Final = 0x63726368
"""Marks the file as a store of ours ("crch"), for us and for `file(1)`."""

USER_VERSION: Final = 1
"""Version of the tables; raised by each migration."""

COLUMNS: Final[tuple[str, ...]] = TaskSnapshot.__struct_fields__
EVENT_COLUMNS: Final[tuple[str, ...]] = Event.__struct_fields__

_LIVE_STATES: Final = ", ".join(f"'{state}'" for state in State if state in LIVE)

IS_LIVE: Final = f"state IN ({_LIVE_STATES})"
"""Written like the condition of the partial index, which SQLite uses only for this very text."""

_NO_ROWS: Final = ", ".join(f"('{state}', 0)" for state in State)
_PRIVATE: Final = frozenset({"checksum", "schema_version"})
_PUBLIC_COLUMNS: Final = ", ".join(name for name in COLUMNS if name not in _PRIVATE)

# Few indexes: each more of them costs a move 0.3 us where tasks end in order and 2 to 4 us (of 17)
# where they end at random, and a task 15 to 40 bytes (bench/journal_rows.py). What has moved since
# a cursor is asked of the events' own key.
SCHEMA: Final[tuple[str, ...]] = (
    """CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        mode TEXT NOT NULL,
        mode_guessed INTEGER NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        key TEXT,
        priority INTEGER NOT NULL,
        tags TEXT NOT NULL,
        unique_key TEXT,
        parent INTEGER,
        retry_of INTEGER,
        held INTEGER NOT NULL,
        not_before REAL,
        start_by REAL,
        timeout REAL,
        deadline REAL,
        attempts INTEGER NOT NULL,
        attempts_allowed INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        effect TEXT NOT NULL,
        recoverable INTEGER NOT NULL,
        arguments TEXT,
        handle TEXT,
        epoch INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        submitted_at REAL NOT NULL,
        changed_at REAL NOT NULL,
        started_at REAL,
        polling_at REAL,
        finished_at REAL,
        duration REAL,
        polls INTEGER NOT NULL,
        next_poll_at REAL,
        unready_for REAL,
        failed_looks INTEGER NOT NULL,
        why TEXT,
        rung TEXT,
        reason TEXT,
        error TEXT,
        late TEXT,
        output_mark TEXT,
        checksum INTEGER,
        schema_version INTEGER NOT NULL
    ) STRICT""",
    f"CREATE INDEX tasks_live ON tasks (id) WHERE {IS_LIVE}",
    "CREATE UNIQUE INDEX tasks_unique_key ON tasks (unique_key) WHERE unique_key IS NOT NULL",
    """CREATE TABLE events (
        epoch INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        task_id INTEGER NOT NULL,
        move TEXT NOT NULL,
        previous TEXT,
        state TEXT NOT NULL,
        at REAL NOT NULL,
        attempt INTEGER NOT NULL,
        reason TEXT,
        PRIMARY KEY (epoch, revision)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE outputs (task_id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    # Other processes count in O(states); kept true by the transaction of each batch.
    """CREATE TABLE counts (
        state TEXT PRIMARY KEY,
        rows INTEGER NOT NULL CHECK (rows >= 0)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE owner (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        endpoint TEXT,
        started_at REAL NOT NULL,
        clean INTEGER NOT NULL,
        version TEXT NOT NULL,
        next_id INTEGER NOT NULL
    ) STRICT""",
    f"CREATE VIEW v_tasks AS SELECT {_PUBLIC_COLUMNS} FROM tasks",  # noqa: S608 - names from the struct
    """CREATE VIEW v_events AS
        SELECT epoch || '.' || revision AS cursor, epoch, revision, task_id, move, previous, state,
            at, attempt, reason
        FROM events""",
    f"INSERT INTO counts (state, rows) VALUES {_NO_ROWS}",  # noqa: S608 - names from the enum
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {USER_VERSION}",
)
"""Makes an empty file a store; to be run in one transaction."""


def _elements(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in range(count))


# One statement a batch, whatever its size: each statement gives the GIL away and has to win it
# back beside a busy loop. jsonb_each hands rows over in binary, 3.5 times quicker than json_each.
UPSERT_TASKS: Final = (
    f"INSERT INTO tasks ({', '.join(COLUMNS)}) SELECT {_elements(len(COLUMNS))}"  # noqa: S608 - names from the struct
    " FROM jsonb_each(?) WHERE true ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    + " WHERE (excluded.epoch, excluded.revision) >= (tasks.epoch, tasks.revision)"
)
INSERT_EVENTS: Final = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) SELECT {_elements(len(EVENT_COLUMNS))}"  # noqa: S608 - names from the struct
    " FROM jsonb_each(?)"
)
INSERT_OUTPUTS: Final = (
    f"INSERT INTO outputs (task_id, text) SELECT {_elements(2)} FROM jsonb_each(?)"  # noqa: S608 - a constant
)
ADD_COUNTS: Final = (
    "UPDATE counts SET rows = rows + delta.value FROM json_each(?) AS delta"
    " WHERE counts.state = delta.key"
)

SELECT_TASKS: Final = f"SELECT {', '.join(COLUMNS)} FROM tasks"  # noqa: S608 - names from the struct
SELECT_EVENTS: Final = f"SELECT {', '.join(EVENT_COLUMNS)} FROM events"  # noqa: S608 - names from the struct

_FLAGS: Final = tuple(COLUMNS.index(name) for name in ("mode_guessed", "held", "recoverable"))
_TAGS: Final = COLUMNS.index("tags")
_ERROR: Final = COLUMNS.index("error")


def task_of(row: Sequence[object]) -> TaskSnapshot:
    """The snapshot of a row of `SELECT_TASKS`.

    Raises ValueError (msgspec.ValidationError is one) when the row cannot be one of ours.
    """
    values = list(row)
    for index in _FLAGS:
        values[index] = values[index] == 1
    tags, error = values[_TAGS], values[_ERROR]
    if tags != "[]":
        values[_TAGS] = msgspec.json.decode(_text(tags), type=tuple[str, ...])
    else:
        values[_TAGS] = ()
    if error is not None:
        values[_ERROR] = msgspec.json.decode(_text(error), type=ErrorInfo)
    return msgspec.convert(values, TaskSnapshot)


def event_of(row: Sequence[object]) -> Event:
    """The event of a row of `SELECT_EVENTS`; raises ValueError when it cannot be one of ours."""
    return msgspec.convert(row, Event)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected JSON text, found {type(value).__name__}")
