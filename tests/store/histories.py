"""Makes legal histories of tasks: entries for a journal, and the rows they must leave behind."""

from __future__ import annotations

import zlib
from typing import Any

from msgspec.structs import replace

from engine.api import Entry
from engine.model import Event, OutputMark, State, TaskSnapshot
from engine.moves import Cause, Facts
from engine.transitions import decide


class History:
    """Numbers moves as the state store does; `rows` holds the last row of each task."""

    def __init__(self, epoch: int = 1, next_id: int = 1) -> None:
        self.epoch = epoch
        self.next_id = next_id
        self.revision = 0
        self.rows: dict[int, TaskSnapshot] = {}
        self.outputs: dict[int, str] = {}
        self.entries: list[Entry] = []

    def submit(self, name: str = "", *, deferred: bool = False, **fields: Any) -> Entry:
        """T1 of a new task."""
        task_id = self.next_id
        self.next_id += 1
        draft = TaskSnapshot(id=task_id, state=State.QUEUED, name=name or f"task {task_id}")
        draft = replace(draft, submitted_at=self._now(), **fields)
        return self._record(draft, None, Cause.SUBMITTED, Facts(deferred=deferred))

    def move(
        self,
        task_id: int,
        cause: Cause,
        facts: Facts = Facts(),  # noqa: B008 - immutable
        output: str | None = None,
        **changes: Any,
    ) -> Entry:
        """A later move; raises IllegalMove, having changed nothing, where the table has none."""
        row = self.rows[task_id]
        if output is not None:
            changes |= {"output_mark": OutputMark.KEPT, "checksum": zlib.crc32(output.encode())}
        return self._record(replace(row, **changes), row.state, cause, facts, output)

    def finish(self, name: str = "", output: str = "42", **fields: Any) -> int:
        """The whole life of a task that succeeds; gives its id."""
        task_id = self.submit(name, **fields).snapshot.id
        self.move(task_id, Cause.ADMITTED, attempts=1)
        self.move(task_id, Cause.OUTPUT, output=output)
        return task_id

    def _record(
        self,
        row: TaskSnapshot,
        previous: State | None,
        cause: Cause,
        facts: Facts,
        output: str | None = None,
    ) -> Entry:
        step = decide(previous, cause, facts)
        self.revision += 1
        row = replace(
            row,
            state=step.target,
            epoch=self.epoch,
            revision=self.revision,
            changed_at=self._now(),
        )
        event = Event(
            *(self.epoch, self.revision, row.id, step.move, previous, step.target),
            *(row.changed_at, row.attempts, row.reason),
        )
        self.rows[row.id] = row
        entry = Entry(row, event, output)
        if output is not None:
            self.outputs[row.id] = output
        self.entries.append(entry)
        return entry

    def _now(self) -> float:
        return 1_700_000_000.0 + self.epoch * 1000 + self.revision / 8
