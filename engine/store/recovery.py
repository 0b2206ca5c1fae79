"""What becomes of the tasks that were live when the last engine ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..model import Effect, Mode, State
from ..moves import Cause, Facts
from ..transitions import decide

if TYPE_CHECKING:
    from ..model import TaskSnapshot
    from .state import StateStore

_STARTED = frozenset({State.RUNNING, State.POLLING})


def recover(
    store: StateStore, rows: Iterable[TaskSnapshot], *, clean: bool, now: float
) -> list[TaskSnapshot]:
    """Make the moves that the end of the last engine asks for (T13 to T16).

    Returns the rows that can go on: waiting or queued, of kinds that can be made again. ``clean``
    says that the last engine closed in good order, which is nobody's crash; ``now`` is wall time.
    """
    recovered = (_recover(store, row, clean=clean, now=now) for row in rows)
    return [row for row in recovered if row.state in {State.WAITING, State.QUEUED}]


def _recover(store: StateStore, row: TaskSnapshot, *, clean: bool, now: float) -> TaskSnapshot:
    started = row.state in _STARTED
    if row.recoverable and not started and row.state is not State.CANCELLING:
        return row
    facts = Facts(
        why=row.why,
        recoverable=row.recoverable,
        may_run_again=row.effect is Effect.AT_LEAST_ONCE,
    )
    ends = decide(row.state, Cause.CRASHED, facts).target.final
    return store.move(
        row.id,
        Cause.CRASHED,
        facts,
        reason=_reason(row),
        crashes=row.crashes if clean or not started else row.crashes + 1,
        finished_at=now if ends else None,
        mode=Mode.AUTO if row.mode_guessed and not ends else row.mode,
        mode_guessed=row.mode_guessed and ends,
    )


def _reason(row: TaskSnapshot) -> str:
    if row.state is State.CANCELLING:
        return "its body ended with the process that ran it"
    if not row.recoverable:
        return "its object lived in a process that has ended"
    if row.effect is Effect.AT_MOST_ONCE:
        return "it had started in a process that has ended, and must not run twice"
    return "it had started in a process that has ended, and runs again"
