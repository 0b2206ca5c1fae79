"""Stand-ins for the thread seam, with which a test decides when a flush happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import trio

_T = TypeVar("_T")


class Gate:
    """Runs each call on the loop's thread; while it is shut, calls wait in front of it."""

    def __init__(self) -> None:
        self.waiting = 0
        self._opened = trio.Event()
        self._opened.set()

    def shut(self) -> None:
        """Let calls wait."""
        self._opened = trio.Event()

    def open(self) -> None:
        """Let them through."""
        self._opened.set()

    async def __call__(
        self,
        sync_fn: Callable[..., _T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> _T:
        await trio.lowlevel.checkpoint_if_cancelled()
        self.waiting += 1
        with trio.CancelScope(shield=True):
            await self._opened.wait()
        self.waiting -= 1
        return sync_fn(*args)
