"""Lets the journal's thread run beside a busy loop.

A thread that waits for the GIL asks for it only after a whole switch interval without a wake-up,
and Trio lets go of it at each look at the selector for about a microsecond: too short to win, but
a wake-up, which starts that wait again. With ticks shorter than the interval a writer waits for
ever. So while a flush is out, a loop that never idles gives way for a moment now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

EVERY: Final = 1e-3
"""Seconds between two pauses, and from the start of a flush to the first: most are over by then."""

PAUSE: Final = 50e-6
"""Seconds; what counts is that the GIL is let go of until another thread has it."""


class GiveWay(trio.abc.Instrument):
    """Pauses the loop while a flush is out."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._last: float | None = None

    def flush_began(self) -> None:
        """From now on a thread needs the GIL."""
        self._last = self._clock()

    def flush_ended(self) -> None:
        """No thread needs it any more."""
        self._last = None

    def before_io_wait(self, timeout: float) -> None:
        """Called by Trio in each tick; ``timeout`` is 0 when tasks are ready to run."""
        if timeout <= 0 and self._last is not None and self._clock() - self._last > EVERY:
            self._sleep(PAUSE)
            self._last = self._clock()
