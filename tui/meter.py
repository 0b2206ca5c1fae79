"""How many tasks end a second, from the counters alone: it works on any store, engine or not."""

from __future__ import annotations

from collections import deque
from typing import Final

SPAN: Final = 5.0
"""Seconds that a rate is taken over."""


class Meter:
    """The slope of a counter over the last seconds.

    Args:
        span: Seconds to look back.
    """

    def __init__(self, span: float = SPAN) -> None:
        self._span = span
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, total: int) -> None:
        """Take the counter's value at the monotonic time ``now``. When it fell (retention, or
        another store in its place) counting starts afresh."""
        seen = self._seen
        if seen and total < seen[-1][1]:
            seen.clear()
        if len(seen) >= 2 and now - seen[-2][0] < 0.2:
            seen[-1] = (now, total)
        else:
            seen.append((now, total))
        while len(seen) > 2 and seen[1][0] <= now - self._span:
            seen.popleft()

    def rate(self) -> float:
        """Per second; 0 until there are two values."""
        if len(self._seen) < 2:
            return 0.0
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0
