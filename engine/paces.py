"""How long the run() of each kind of task takes, as far as it was seen."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_SHORT_SECONDS: Final = 0.002
_WEIGHT: Final = 0.3
_FIRST_GUESS: Final = 0.01
"""Nothing is known: taken for long, so that the first calls of a kind get a hop of their own."""
_KINDS: Final = 10_000


class Paces:
    """An exponentially weighted mean of run() by kind; the kinds seen last are remembered."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, float] = OrderedDict()

    def is_short(self, kind: str) -> bool:
        """True when a run() of this kind is over before a thread hop of its own would pay."""
        return self._seconds.get(kind, _FIRST_GUESS) < _SHORT_SECONDS

    def took(self, kind: str, seconds: float) -> None:
        """A run() of this kind has taken so long, without any waiting for a thread."""
        mean = self._seconds.pop(kind, _FIRST_GUESS)
        self._seconds[kind] = mean + _WEIGHT * (seconds - mean)
        if len(self._seconds) > _KINDS:
            self._seconds.popitem(last=False)
