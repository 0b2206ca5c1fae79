"""For tests of programs that use an engine: real threads under virtual time.

A mock clock that jumps ahead when nothing is left to do does not know that a thread is out, and
would let hours pass while it works. `VirtualThreads` holds the clock meanwhile::

    clock = trio.testing.MockClock(autojump_threshold=0)
    threads = VirtualThreads(clock)
    async with Engine(threads=threads) as engine: ...
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

import trio
import trio.testing

_T = TypeVar("_T")


class VirtualThreads:
    """`trio.to_thread.run_sync` for a mock clock: time stands still while a thread is out."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        self._out = 0

    async def run_sync(
        self,
        sync_fn: Callable[..., _T],
        *args: object,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> _T:
        """As `trio.to_thread.run_sync`."""
        self._out += 1
        self._clock.autojump_threshold = math.inf
        try:
            return await trio.to_thread.run_sync(
                sync_fn, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel
            )
        finally:
            self._out -= 1
            if not self._out:
                self._clock.autojump_threshold = 0

    async def stall(self, seconds: float) -> None:
        """Let real time pass: whether a thread is stuck does not show in virtual time."""
        await self.run_sync(time.sleep, seconds)

    __call__ = run_sync
