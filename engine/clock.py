"""One clock for the engine: monotonic for arithmetic, wall time for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio

_log = logging.getLogger(__name__)

_JUMP_SECONDS: Final = 5.0


class Clock:
    """Trio's clock, and wall times derived from it.

    Wall times go forward evenly with Trio's clock from the moment of the last `check`, so that the
    difference of two of them is a duration even while somebody sets the system's clock. Under a
    mock clock they follow the virtual time.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._offset = wall() - trio.current_time()

    def now(self) -> float:
        """Monotonic seconds, for differences only."""
        return trio.current_time()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return trio.current_time() + self._offset

    def wall_of(self, moment: float) -> float:
        """The wall time of a moment of `now`."""
        return moment + self._offset

    def moment_of(self, wall: float) -> float:
        """The moment of `now` at a wall time."""
        return wall - self._offset

    def check(self) -> float:
        """Follow the system's clock if it was set; returns the jump in seconds (0.0 for none)."""
        offset = self._wall() - trio.current_time()
        jump = offset - self._offset
        if abs(jump) <= _JUMP_SECONDS:
            return 0.0
        _log.warning("the system's clock has jumped by %+.1f s", jump)
        self._offset = offset
        return jump
