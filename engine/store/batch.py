"""What goes to the disk in one transaction, and its form as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ..api import Entry
    from ..model import ErrorInfo, Event, TaskSnapshot

FULL: Final = 5000
"""Weight at which a batch takes no more: about 30 ms of the writer, and some MB of text."""


class Batch:
    """Rows by id, of which the last wins; events and outputs, of which every one counts."""

    __slots__ = ("events", "outputs", "rows", "weight")

    def __init__(self) -> None:
        self.rows: dict[int, TaskSnapshot] = {}
        self.events: list[Event] = []
        self.outputs: list[tuple[int, str]] = []
        self.weight = 0

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def full(self) -> bool:
        """True when the next entry belongs into another batch."""
        return self.weight >= FULL

    def add(self, entry: Entry) -> None:
        """Take a recorded move."""
        snapshot, event, output = entry
        self.rows[snapshot.id] = snapshot
        self.events.append(event)
        # A row weighs 1, and 1 for each KiB of the texts that can be long.
        weight = 1
        if output is not None:
            self.outputs.append((snapshot.id, output))
            weight += len(output) >> 10
        for text in (snapshot.arguments, snapshot.handle, snapshot.reason, snapshot.late):
            if text is not None:
                weight += len(text) >> 10
        if snapshot.tags:
            weight += sum(map(len, snapshot.tags)) >> 10
        if snapshot.error is not None:
            weight += 4 + (_length(snapshot.error) >> 10)
        self.weight += weight

    def add_sample(self, snapshot: TaskSnapshot) -> None:
        """Take a row without a move, unless a newer one of its task is here already."""
        present = self.rows.get(snapshot.id)
        if present is not None and (present.epoch, present.revision) > (
            snapshot.epoch,
            snapshot.revision,
        ):
            return
        self.rows[snapshot.id] = snapshot
        self.weight += 1

    def counts(self) -> dict[str, int]:
        """By how much the number of rows in each state changes."""
        delta = Counter[str](event.state for event in self.events)
        delta.subtract(event.previous for event in self.events if event.previous is not None)
        return {state: by for state, by in delta.items() if by}


def _length(error: ErrorInfo) -> int:
    """Characters of an exception's description and of all that hangs on it."""
    inner = sum(map(_length, (*error.causes, *error.members)))
    return len(error.message) + len(error.traceback) + sum(map(len, error.notes)) + inner


def as_text(rows: Sequence[object] | dict[str, int]) -> str:
    """The rows as one JSON array of arrays (counts: as an object).

    Text that UTF-8 cannot hold (a lone surrogate in somebody's file name) is escaped, so that one
    strange name cannot stop the journal.
    """
    try:
        return msgspec.json.encode(rows).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_escaped(msgspec.to_builtins(rows))).decode()


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return value
