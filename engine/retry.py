"""Which errors end an attempt for good, and how long to wait before the next attempt."""

from __future__ import annotations

import math
import random
from typing import Final

from .bounds import number_within

_DEFECTS: Final = (TypeError, AttributeError, NameError, NotImplementedError, RecursionError)
_mro: Final = type.__dict__["__mro__"].__get__
_LONGEST: Final = 366 * 86_400.0


def is_fatal(error: BaseException, more: tuple[type[BaseException], ...] = ()) -> bool:
    """True when doing the same again cannot help.

    That is whatever is not an Exception (SystemExit and the like), the errors of a program that is
    wrong (TypeError, AttributeError, NameError, NotImplementedError, RecursionError), and the
    classes in ``more``.
    """
    # By identity, and by what `type` itself knows: a class of the task's may have a metaclass that
    # answers for it in whatever way.
    kinds = {id(cls) for cls in _mro(type(error))}
    return id(Exception) not in kinds or any(id(cls) in kinds for cls in (*_DEFECTS, *more))


class Backoff:
    """Full jitter: a wait drawn evenly from 0 to ``first · factor**(attempt-1)``, at most ``cap``.

    Drawing from the whole range, rather than around its end, parts tasks that failed together.

    Args:
        first: The longest wait after the first attempt, in seconds, above 0 and up to a year.
        factor: What it grows by with each attempt, 1 to 1,000.
        cap: What it never exceeds, in seconds, from ``first`` to a year.
        rng: Where the draw comes from; a fresh generator when left out.

    Raises:
        BadOption: An argument is out of range.
    """

    def __init__(
        self,
        first: float = 1.0,
        factor: float = 2.0,
        cap: float = 300.0,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.first = number_within("first", first, 1e-3, _LONGEST)
        self.factor = number_within("factor", factor, 1.0, 1_000.0)
        self.cap = number_within("cap", cap, self.first, _LONGEST)
        self._rng = rng or random.Random()

    def __repr__(self) -> str:
        return f"Backoff({self.first:g}, {self.factor:g}, {self.cap:g})"

    def longest(self, attempt: int) -> float:
        """The longest wait after the attempt of this number, counted from 1, in seconds."""
        # By logarithms first: factor**9999 is no float.
        growth = (max(attempt, 1) - 1) * math.log(self.factor)
        if growth >= math.log(self.cap / self.first):
            return self.cap
        return min(self.cap, self.first * math.exp(growth))

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the attempt of this number, counted from 1."""
        return self._rng.uniform(0.0, self.longest(attempt))
