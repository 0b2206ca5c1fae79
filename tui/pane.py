"""How large the detail pane is: closed, beside or below the table, or instead of it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

BESIDE_FROM: Final = 110
"""Cells of width from which on the pane stands beside the table, else below it."""

ROOMY_FROM: Final = 34
"""Lines from which on the pane is open below the table without being asked for."""


class Extent(IntEnum):
    """Sizes, from the smallest."""

    CLOSED = 0
    HALF = 1
    FULL = 2


class Pane:
    """Knows what the user wants, and what fits.

    Until the user says otherwise it is open where there is room for it.
    """

    def __init__(self) -> None:
        self._wanted: Extent | None = None
        self._width = 0
        self._height = 0

    def fit(self, width: int, height: int) -> None:
        """Take the size of the screen."""
        self._width, self._height = width, height

    @property
    def beside(self) -> bool:
        """True when it stands beside the table."""
        return self._width >= BESIDE_FROM

    @property
    def extent(self) -> Extent:
        """How large it is."""
        if self._wanted is not None:
            return self._wanted
        return Extent.HALF if self.beside or self._height >= ROOMY_FROM else Extent.CLOSED

    def resize(self, steps: int) -> None:
        """Some steps larger, or smaller."""
        self._wanted = Extent(max(Extent.CLOSED, min(self.extent + steps, Extent.FULL)))

    def back(self) -> bool:
        """Undo what was asked for last; False when nothing was."""
        if self._wanted is Extent.FULL:
            self._wanted = Extent.HALF
        elif self._wanted is Extent.HALF:
            self._wanted = None
            return self.extent is Extent.CLOSED
        else:
            return False
        return True
