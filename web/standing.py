"""Requests that wait for what comes: they are counted, and told when the server ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import trio

from .problems import RETRY_AFTER, Problem

STREAMS: Final = 1_000
"""How many streams may be open at once."""


class Standing:
    """Every wait of a request goes through here, so that the end of the server ends it.

    Args:
        limit: How many streams may be open at once.
    """

    def __init__(self, limit: int = STREAMS) -> None:
        self.limit = limit
        self.streams = 0
        """How many are open."""
        self.closed = False
        self._scopes: set[trio.CancelScope] = set()

    def claim(self, cleanup: ExitStack) -> None:
        """Take a stream's slot; ``cleanup`` gives it back, however the request ends.

        Raises:
            Problem: 503; all are taken, or the server ends.
        """
        later = {"Retry-After": str(RETRY_AFTER)}
        if self.closed:
            raise Problem(503, "draining", detail="this server is about to end", headers=later)
        if self.streams >= self.limit:
            raise Problem(
                503,
                "too_many_streams",
                detail=f"{self.limit} streams are open here already",
                headers=later,
            )
        self.streams += 1
        cleanup.callback(self._release)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Wait inside for at most so many seconds, and not beyond `close`; raises nothing then."""
        with trio.move_on_after(0.0 if self.closed else seconds) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def close(self) -> None:
        """Whoever waits goes on, and nobody waits any more."""
        self.closed = True
        for scope in self._scopes:
            scope.cancel()

    def _release(self) -> None:
        self.streams -= 1
