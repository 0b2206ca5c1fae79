"""What must hold of every store's file, whatever happened to its engine."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import apsw
import msgspec

from engine.history import is_path
from engine.model import Event, State
from engine.store.schema import SELECT_EVENTS, event_of


def broken(path: Path) -> list[str]:
    """The invariants that do not hold, in words; to be called when no engine runs."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        events = [event_of(row) for row in db.execute(f"{SELECT_EVENTS} ORDER BY epoch, revision")]
        states = {
            int(row[0]): State(str(row[1])) for row in db.execute("SELECT id, state FROM tasks")
        }
        found += _unreal_histories(events, states)
        found += _gaps(events)
        counted = _pairs(db, "SELECT state, count(*) FROM tasks GROUP BY state")
        noted = _pairs(db, "SELECT state, rows FROM counts")
        if noted != {str(state): counted.get(str(state), 0) for state in State}:
            found.append(f"I9: {noted} noted, {counted} counted")
        late = db.execute(
            "SELECT id FROM tasks, owner WHERE (tasks.epoch, tasks.revision) <> "
            "(SELECT epoch, revision FROM events WHERE task_id = id"
            " ORDER BY epoch DESC, revision DESC LIMIT 1) OR id >= next_id"
        ).fetchall()
        found += [f"task {row[0]} is past its events, or past the ids given out" for row in late]
        kept = db.execute(
            "SELECT id FROM tasks LEFT JOIN outputs ON task_id = id"
            " WHERE (checksum IS NULL) <> (text IS NULL)"
        ).fetchall()
        found += [f"the output of task {row[0]} is not what its row says" for row in kept]
    finally:
        db.close()
    return found


def _pairs(db: apsw.Connection, question: str) -> dict[str, int]:
    return dict(msgspec.convert(db.execute(question).fetchall(), list[tuple[str, int]]))


def _unreal_histories(events: list[Event], states: dict[int, State]) -> list[str]:
    moves: defaultdict[int, list[tuple[str, State | None, State]]] = defaultdict(list)
    for event in events:
        moves[event.task_id].append((event.move, event.previous, event.state))
    found = [f"I2: task {task}: {path}" for task, path in moves.items() if not is_path(path)]
    ends = {task: path[-1][2] for task, path in moves.items()}
    if ends != states:
        found.append(f"rows and histories differ: {ends.items() ^ states.items()}")
    for task, path in moves.items():
        if any(previous is not None and previous.final for _, previous, _ in path):
            found.append(f"I4: task {task} moved after its end: {path}")
    return found


def _gaps(events: list[Event]) -> list[str]:
    seen: defaultdict[int, list[int]] = defaultdict(list)
    for event in events:
        seen[event.epoch].append(event.revision)
    return [
        f"I8: epoch {epoch} has revisions {revisions}"
        for epoch, revisions in seen.items()
        if revisions != list(range(1, len(revisions) + 1))
    ]
