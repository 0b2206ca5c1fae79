"""Task ids: they grow in order of submission, may have gaps, and are never given out twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..api import Journal

ID_BLOCK: Final = 2_000_000
"""Ids are reserved in blocks of at least this many: twice the live limit, so that the next block
is durable long before the first is used up, and no submission ever waits for one."""


class Ids:
    """Gives ids out of durably reserved blocks."""

    def __init__(self, journal: Journal, first: int, block: int = ID_BLOCK) -> None:
        self.next = first
        """The first id that was not given out."""
        self._journal = journal
        self._block = block
        self._asked = 0
        self._reserve()

    def take(self) -> int:
        """The next id."""
        task_id = self.next
        self.next += 1
        if self.next + self._block // 2 > self._asked:
            self._reserve()
        return task_id

    def _reserve(self) -> None:
        self._asked = self.next + self._block
        self._journal.reserve_ids(self._asked)
