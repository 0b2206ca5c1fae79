"""When to look at a polling task: the ready-made cadences.

A cadence hands out one `Track` a task. All delays are seconds from the moment of asking, counted
from the return of run(), and never below `SHORTEST`. A hint ``retry_after`` is a lower bound.

Why `Quadratic` is the one to use where nothing is known of a task: a look costs some price c (in
seconds of lag that it is worth), and looks at c·k² cost at most √2 times what the best fixed
interval *for that very task* would have cost, however long it takes. No schedule that does not know
the duration can promise less. A fixed interval pays for long tasks, an exponential one for late
answers.
"""
# ruff: noqa: ARG002  each cadence has the whole signature and uses what it needs

from __future__ import annotations

import math
import random
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Final, Literal

from .api import Ended, Track
from .bounds import number_within

SHORTEST: Final = 0.001
"""No delay is shorter, whatever was asked for."""
LONGEST_HINT: Final = 86_400.0
"""A task may put off its next look by a day at most."""
KINDS_REMEMBERED: Final = 1_000

_LONGEST: Final = 366 * 86_400.0
_PRICE_OF_A_SECOND: Final = 100.0
_CHEAPEST: Final = 0.01
_DEAREST: Final = 1.0
_CHECKS_REMEMBERED: Final = 16


class Fixed:
    """Looks every so many seconds, counted from the end of the look before.

    Args:
        seconds: Time between looks, from 1 ms to a year.
        jitter: Part of a delay, 0 to 1, that is added to it at random at most.
        rng: Where the jitter comes from; a fresh generator when left out.

    Raises:
        BadOption: An argument is out of range.
    """

    def __init__(
        self, seconds: float, *, jitter: float = 0.0, rng: random.Random | None = None
    ) -> None:
        self.seconds = number_within("seconds", seconds, SHORTEST, _LONGEST)
        self._jitter = number_within("jitter", jitter, 0.0, 1.0)
        self._rng = rng or random.Random()

    def __repr__(self) -> str:
        return f"Fixed({self.seconds:g})"

    def started(self, kind: str, now: float) -> Track:
        """A task has had its run() return at ``now``."""
        return _Growing(self.seconds, 1.0, self.seconds, self._jitter, self._rng)


class Exponential:
    """Looks after ``first`` seconds, then each time ``factor`` times as long, up to ``cap``.

    Args:
        first: The first delay in seconds, from 1 ms to a year.
        factor: What a delay grows by, 1 to 1,000.
        cap: The longest delay in seconds, at least ``first``, at most a year.
        jitter: Part of a delay, 0 to 1, that is added to it at random at most.
        rng: Where the jitter comes from; a fresh generator when left out.

    Raises:
        BadOption: An argument is out of range.
    """

    def __init__(
        self,
        first: float = 0.1,
        factor: float = 2.0,
        cap: float = 60.0,
        *,
        jitter: float = 0.1,
        rng: random.Random | None = None,
    ) -> None:
        self.first = number_within("first", first, SHORTEST, _LONGEST)
        self.factor = number_within("factor", factor, 1.0, 1_000.0)
        self.cap = number_within("cap", cap, self.first, _LONGEST)
        self._jitter = number_within("jitter", jitter, 0.0, 1.0)
        self._rng = rng or random.Random()

    def __repr__(self) -> str:
        return f"Exponential({self.first:g}, {self.factor:g}, {self.cap:g})"

    def started(self, kind: str, now: float) -> Track:
        """A task has had its run() return at ``now``."""
        return _Growing(self.first, self.factor, self.cap, self._jitter, self._rng)


class Quadratic:
    """Looks at c·k² seconds after run(), k = 1, 2, 3 …, where c is the price of a look.

    After a look that came late, or when the price has changed, the schedule goes on from the
    moment of that look, as if it had been the one due then.

    Args:
        poll_price: Seconds of lag that a look is worth, from 1 ms to a day; or "auto": for each
            kind 100 times the median of its last 16 check times, kept within 10 ms and 1 s, and
            10 ms until `checked` was told one.
        jitter: Part of the smaller of price and delay, 0 to 1, that is added at random at most: it
            parts tasks that were started together.
        rng: Where the jitter comes from; a fresh generator when left out.

    Raises:
        BadOption: An argument is out of range.
    """

    def __init__(
        self,
        poll_price: float | Literal["auto"] = "auto",
        *,
        jitter: float = 0.1,
        rng: random.Random | None = None,
    ) -> None:
        self.poll_price: float | Literal["auto"] = "auto"
        self._one_price: _Price | None = None
        if poll_price != "auto":
            self.poll_price = number_within("poll_price", poll_price, SHORTEST, LONGEST_HINT)
            self._one_price = _Price(self.poll_price)
        self._jitter = number_within("jitter", jitter, 0.0, 1.0)
        self._rng = rng or random.Random()
        self._prices: OrderedDict[str, _MeasuredPrice] = OrderedDict()

    def __repr__(self) -> str:
        return f"Quadratic({self.poll_price!r})"

    def started(self, kind: str, now: float) -> Track:
        """A task of this kind has had its run() return at ``now``."""
        return _Quadratic(now, self._one_price or self._measured(kind), self._jitter, self._rng)

    def checked(self, kind: str, seconds: float) -> None:
        """One look at a task of this kind took so many seconds; what is no duration is ignored."""
        if self._one_price is None and 0.0 <= seconds < math.inf:
            self._measured(kind).add(seconds)

    def price(self, kind: str) -> float:
        """What a look at a task of this kind is worth at present, in seconds."""
        if self._one_price is not None:
            return self._one_price.seconds
        known = self._prices.get(kind)
        return _CHEAPEST if known is None else known.seconds

    def _measured(self, kind: str) -> _MeasuredPrice:
        price = self._prices.get(kind)
        if price is None:
            price = self._prices[kind] = _MeasuredPrice()
            if len(self._prices) > KINDS_REMEMBERED:
                # The tracks of a forgotten kind keep the price they have.
                self._prices.popitem(last=False)
        else:
            self._prices.move_to_end(kind)
        return price


class _Price:
    """The price of a look, shared by all tracks of a kind."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class _MeasuredPrice(_Price):
    """The price of a look that follows what looks have taken of late."""

    __slots__ = ("_checks",)

    def __init__(self) -> None:
        super().__init__(_CHEAPEST)
        self._checks: deque[float] = deque(maxlen=_CHECKS_REMEMBERED)

    def add(self, seconds: float) -> None:
        checks = self._checks
        checks.append(seconds)
        ordered = sorted(checks)
        half = len(ordered) // 2
        median = (ordered[half] + ordered[-half - 1]) / 2
        self.seconds = min(_DEAREST, max(_CHEAPEST, _PRICE_OF_A_SECOND * median))


class _Growing:
    """The track of `Fixed` and `Exponential`."""

    __slots__ = ("_cap", "_delay", "_factor", "_jitter", "_rng")

    def __init__(
        self, first: float, factor: float, cap: float, jitter: float, rng: random.Random
    ) -> None:
        self._delay = first
        self._factor = factor
        self._cap = cap
        self._jitter = jitter
        self._rng = rng

    def next_delay(self, now: float, hints: Mapping[str, float] | None = None) -> float:
        """Seconds from ``now`` to the next look."""
        delay = self._delay
        self._delay = min(self._cap, delay * self._factor)
        if self._jitter:
            delay += delay * self._jitter * self._rng.random()
        return delay if hints is None else max(delay, _retry_after(hints))

    def ended(self, now: float, how: Ended | str) -> None:
        """Nothing is learnt here; raises ValueError when ``how`` is none of `Ended`."""
        Ended(how)


class _Quadratic:
    """The track of `Quadratic`: with the schedule at c·k², the gap at time t is 2·√(c·t) + c."""

    __slots__ = ("_began", "_jitter", "_price", "_rng")

    def __init__(self, began: float, price: _Price, jitter: float, rng: random.Random) -> None:
        self._began = began
        self._price = price
        self._jitter = jitter
        self._rng = rng

    def next_delay(self, now: float, hints: Mapping[str, float] | None = None) -> float:
        """Seconds from ``now`` to the next look."""
        price = self._price.seconds
        elapsed = now - self._began
        delay = price + 2.0 * math.sqrt(price * elapsed) if elapsed > 0.0 else price
        if self._jitter:
            # The price is the smaller one of the two, always.
            delay += price * self._jitter * self._rng.random()
        return delay if hints is None else max(delay, _retry_after(hints))

    def ended(self, now: float, how: Ended | str) -> None:
        """Nothing is learnt here; raises ValueError when ``how`` is none of `Ended`."""
        Ended(how)


def _retry_after(hints: Mapping[str, float]) -> float:
    """The hint, as far as it can be one: it comes from a task's own code."""
    seconds = hints.get("retry_after")
    if isinstance(seconds, (int, float)) and seconds > 0:  # false for NaN
        return float(min(seconds, LONGEST_HINT))
    return 0.0
