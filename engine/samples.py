"""Sample tasks: black boxes of both kinds, to try the engine with.

They stand for what a user brings along: plain objects that declare nothing and know nothing of
creche. Which kind a box is, and how long it takes, shows only in what it does.
"""

from __future__ import annotations

import math
import numbers
import random
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from .bounds import number_within
from .errors import BadOption

if TYPE_CHECKING:
    from decimal import Decimal

LONGEST: Final = 99
"""The longest nominal duration, in seconds before scaling; the shortest is 1."""
LARGEST_SCALE: Final = 1_000_000.0


class SampleTask(Protocol):
    """What can be done with a sample task."""

    def run(self) -> object:
        """Do the work, or only start it."""
        ...

    def check_output(self) -> Any:
        """The output, None while there is none."""
        ...


def gen_task(
    val: complex | Decimal | numbers.Number,
    *,
    scale: float = 1.0,
    rng: random.Random | None = None,
) -> SampleTask:
    """Make a task that gives ``2 * val``: with equal chance a blocking or a polling one.

    It takes a whole number of seconds from 1 to 99, every one as likely, times ``scale``. A
    blocking box spends them in ``run()``; after it, ``check_output()`` gives the output. The
    ``run()`` of a polling box returns at once, and ``check_output()`` gives None until the time
    has passed. Before ``run()`` the output of either is None. Running a box again begins anew.

    Args:
        val: Any number.
        scale: Factor on the duration, from 0 (nothing takes time) to 1,000,000.
        rng: Where kind and duration are drawn from, at once and in this order; a generator
            seeded by the operating system when left out.

    Raises:
        BadOption: ``val`` is no number, or ``scale`` is none or out of range.
    """
    if not isinstance(val, numbers.Number):
        raise BadOption("val", val, "a number")
    factor = number_within("scale", scale, 0.0, LARGEST_SCALE)
    # Ten thousand boxes a moment are asked for: seeding a Random for each would cost more than all
    # the rest of it.
    source = random.SystemRandom() if rng is None else rng
    box = _Polling if source.random() < 0.5 else _Blocking
    return box(val, source.randint(1, LONGEST) * factor)


class _Blocking:
    """Blocks in run() until its work is done."""

    def __init__(self, val: Any, seconds: float) -> None:
        self._val = val
        self._seconds = seconds
        self._output: Any = None

    def run(self) -> None:
        """Work, and return when it is done."""
        self._output = None
        time.sleep(self._seconds)
        self._output = 2 * self._val

    def check_output(self) -> Any:
        """The output; None before run() has ended."""
        return self._output


class _Polling:
    """Starts its work in run(), to be asked for it later."""

    def __init__(self, val: Any, seconds: float) -> None:
        self._val = val
        self._seconds = seconds
        self._due = math.inf

    def run(self) -> None:
        """Start the work."""
        self._due = time.monotonic() + self._seconds

    def check_output(self) -> Any:
        """The output; None while the work is under way."""
        return 2 * self._val if time.monotonic() >= self._due else None
