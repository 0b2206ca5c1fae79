"""How an engine lets go of its tasks before they have ended by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .model import Rung, State, Why

if TYPE_CHECKING:
    from .store.state import StateStore
    from .supervisor import Supervisor

LEFT: Final = "the engine was left"
_STOPS_PER_TICK: Final = 200


async def cancel_all(supervisor: Supervisor, store: StateStore, grace: float) -> None:
    """Cancel every task, and give what only ends by itself ``grace`` seconds.

    What is still executing afterwards is marked as abandoned.
    """
    supervisor.admission.open = False
    until = trio.current_time() + grace
    for number, task_id in enumerate(store.index.live_ids(), start=1):
        if store.broken:
            return
        if task_id not in supervisor.stranded:
            supervisor.cancellation.stop(task_id, Why.ASKED, LEFT)
        if number % _STOPS_PER_TICK == 0:
            await trio.lowlevel.checkpoint()
    with trio.move_on_at(until):
        await supervisor.no_attempts()
    for attempt in supervisor.attempts.values():
        if attempt.alive and not store.broken:
            store.sample(attempt.task_id, rung=Rung.ABANDONED)


async def leave_all(supervisor: Supervisor, store: StateStore, grace: float) -> None:
    """Start nothing more and look no more; give calls that are executing ``grace`` seconds.

    Rows stay as they are: on a store of their own, the next engine takes them over.
    """
    supervisor.admission.open = False
    for attempt in list(supervisor.attempts.values()):
        attempt.leaving = True
        if store.head(attempt.task_id).state is State.POLLING:
            attempt.stop()
    with trio.move_on_after(grace):
        await supervisor.no_attempts()
