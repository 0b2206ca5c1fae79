"""The pause between two attempts of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .model import Mode

if TYPE_CHECKING:
    from .clock import Clock
    from .model import ErrorInfo, TaskSnapshot
    from .moves import Cause, Facts
    from .retry import Backoff
    from .store.state import StateStore


class Pauses(NamedTuple):
    """Sends tasks back to wait for their next attempt."""

    store: StateStore
    clock: Clock
    backoff: Backoff
    queue: Callable[[TaskSnapshot], None]
    """Called with the row of the task that now waits."""

    def pause(
        self,
        row: TaskSnapshot,
        cause: Cause,
        facts: Facts,
        *,
        polls: int,
        error: ErrorInfo | None = None,
        reason: str | None = None,
    ) -> None:
        """Record that the attempt is over and another follows (T7, T11), after its backoff.

        ``polls`` are the looks made so far, over all attempts.
        """
        due = self.clock.wall() + self.backoff.delay(row.attempts)
        waiting = self.store.move(
            row.id,
            cause,
            facts,
            polls=polls,
            not_before=due,
            error=error,
            reason=reason,
            why=None,
            rung=None,
            mode=Mode.AUTO if row.mode_guessed else row.mode,
            mode_guessed=False,
        )
        self.queue(waiting)
