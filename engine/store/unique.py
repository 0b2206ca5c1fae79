"""Idempotency keys: one task a key, however often it is submitted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..errors import KeyReused

if TYPE_CHECKING:
    from ..api import Journal
    from ..model import TaskSnapshot

_KEPT: Final = 250_000
"""Keys in memory; older ones are looked up on disk, where there is one."""


def said(row: TaskSnapshot) -> tuple[object, ...]:
    """What a submission says of its task: two that say the same are the same.

    Times are left out: they count from the moment of the submission, so a second one has others.
    What is in here never changes in a task's life.
    """
    return (
        row.kind,
        row.arguments,
        row.name,
        row.key,
        row.priority,
        frozenset(row.tags),
        row.timeout,
        row.attempts_allowed,
        row.parent,
        row.retry_of,
    )


class UniqueKeys:
    """Which task an idempotency key belongs to."""

    def __init__(self, journal: Journal, known: Callable[[int], TaskSnapshot | None]) -> None:
        self._journal = journal
        self._known = known
        # Rows, not ids: a task may leave memory before its key does.
        self._first: OrderedDict[str, TaskSnapshot] = OrderedDict()

    def add(self, row: TaskSnapshot) -> None:
        """Take note of a row's key, if it has one."""
        if row.unique_key is not None:
            self._first[row.unique_key] = row
            if len(self._first) > _KEPT:
                self._first.popitem(last=False)

    def check(self, drafts: Iterable[TaskSnapshot]) -> None:
        """Raise KeyReused where `find` would, or where two of these drafts would collide."""
        for error in self.reused(drafts).values():
            raise error

    def reused(self, drafts: Iterable[TaskSnapshot]) -> dict[int, KeyReused]:
        """The drafts that `check` objects to, by their place, and what it says of each."""
        found: dict[int, KeyReused] = {}
        together: dict[str, TaskSnapshot] = {}
        for place, draft in enumerate(drafts):
            if draft.unique_key is None:
                continue
            try:
                self.find(draft)
            except KeyReused as error:
                found[place] = error
            else:
                first = together.setdefault(draft.unique_key, draft)
                if said(first) != said(draft):
                    found[place] = KeyReused(draft.unique_key, None)
        return found

    def find(self, draft: TaskSnapshot) -> TaskSnapshot | None:
        """The task that was submitted under the draft's key, if there is one.

        Raises KeyReused when that was another kind of task, had other arguments, or other options
        that a row keeps (see `said`).
        """
        if draft.unique_key is None:
            return None
        first = self._first.get(draft.unique_key)
        if first is None:
            row = self._journal.find_unique(draft.unique_key)
        else:
            row = self._known(first.id) or first
        if row is not None and said(row) != said(draft):
            raise KeyReused(draft.unique_key, row.id)
        return row
