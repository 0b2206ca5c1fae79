"""What an engine says of itself: one frozen record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .model import Rung, State, TaskSnapshot

if TYPE_CHECKING:
    from .running import Parts


class EngineStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one moment. Making it costs O(states), whatever the number of tasks."""

    epoch: int
    started_at: float
    """Wall time."""
    uptime: float
    """Seconds."""
    counts: dict[State, int]
    live: int
    live_limit: int
    capacity: int
    """Slots for run() calls."""
    slots_taken: int
    threads_busy: int
    """Threads that execute a run() call at this moment."""
    poll_capacity: int
    """Threads that may look at once."""
    looks_busy: int
    coroutines: int
    """Async functions under way."""
    attempts: int
    """Started tasks: in a thread, in the nursery, or asleep between looks."""
    polls: int
    """Looks made since the start."""
    submitted: int
    finished: int
    """Since the start."""
    stranded: int
    """Live tasks whose kind is not registered here."""
    zombies: int
    """Tasks that must end and whose code is still executing."""
    revision: int
    durable_revision: int
    backlog: int
    """Moves that are not durable yet."""
    ids_reserved: int
    draining: bool


class CancelAnswer(msgspec.Struct, frozen=True):
    """What a cancel really did."""

    task_id: int
    rung: Rung
    snapshot: TaskSnapshot
    """As it is after the cancel."""


def statistics_of(
    parts: Parts, *, started_at: float, uptime: float, live_limit: int, draining: bool
) -> EngineStatistics:
    """The figures of an engine's parts at this moment."""
    store, supervisor, lanes = parts.store, parts.supervisor, parts.lanes
    counts = store.index.counts()
    return EngineStatistics(
        epoch=store.epoch,
        started_at=started_at,
        uptime=uptime,
        counts=counts,
        live=store.index.live,
        live_limit=live_limit,
        capacity=supervisor.threads.capacity,
        slots_taken=supervisor.threads.taken,
        threads_busy=lanes.long.limiter.borrowed_tokens,
        poll_capacity=int(lanes.looks.limiter.total_tokens),
        looks_busy=lanes.looks.limiter.borrowed_tokens,
        coroutines=supervisor.coroutines.taken,
        attempts=len(supervisor.attempts),
        polls=store.polls,
        submitted=store.submitted,
        finished=store.finished,
        stranded=len(supervisor.stranded),
        zombies=counts[State.CANCELLING],
        revision=store.revision,
        durable_revision=store.feed.revision,
        backlog=store.revision - store.feed.revision,
        ids_reserved=parts.journal.ids_reserved,
        draining=draining,
    )
