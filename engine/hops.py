"""One hop to a thread and back, also at a moment when there is no thread to be had."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

if TYPE_CHECKING:
    from .api import RunSync

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_RETRY_SECONDS: Final = 0.1


async def hop(
    threads: RunSync,
    function: Callable[..., _T],
    *args: Any,
    limiter: trio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> _T:
    """As `trio.to_thread.run_sync`; while the system gives no further thread, it waits and tries
    again. ``function`` must not raise that very RuntimeError itself."""
    while True:
        try:
            return await threads(
                function, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel
            )
        except RuntimeError as error:
            # Thread.start() says so, before anything of the function has run.
            if "start new thread" not in str(error):
                raise
            _log.warning("no thread to be had (%s): trying again", error)
            await trio.sleep(_RETRY_SECONDS)
