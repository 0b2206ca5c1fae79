"""The documented JSON of tasks, events and figures: one shape for ``--json``, HTTP and the feed.

docs/json.md describes every field. Names are in snake case; a moment is RFC 3339 in UTC with
milliseconds, a duration is a number of milliseconds (``…_ms``), what is not known is null. Every
number is finite and every time representable, whatever the row holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .model import Event, Mode, Reset, State
from .sealed import shown_arguments

if TYPE_CHECKING:
    from .model import ErrorInfo, TaskSnapshot
    from .statistics import EngineStatistics

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_LATEST: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds()


def task_json(task: TaskSnapshot, now: float) -> dict[str, object]:
    """A task as JSON values; ``now`` is the present wall time in seconds since the epoch."""
    return {
        "id": task.id,
        "state": str(task.state),
        "mode": str(task.mode),
        "mode_guessed": task.mode_guessed,
        "shown_mode": task.shown_mode,
        "kind": task.kind,
        "name": task.name,
        "key": task.key,
        "priority": task.priority,
        "tags": list(task.tags),
        "unique_key": task.unique_key,
        "parent": task.parent,
        "retry_of": task.retry_of,
        "held": task.held,
        "not_before": time_json(task.not_before),
        "start_by": time_json(task.start_by),
        "timeout_ms": milliseconds(task.timeout),
        "deadline": time_json(task.deadline),
        "attempts": task.attempts,
        "attempts_allowed": task.attempts_allowed,
        "crashes": task.crashes,
        "effect": str(task.effect),
        "recoverable": task.recoverable,
        "arguments": _embedded(shown_arguments(task.arguments)),
        "handle": _embedded(task.handle),
        "revision": task.cursor,
        "submitted_at": time_json(task.submitted_at),
        "changed_at": time_json(task.changed_at),
        "started_at": time_json(task.started_at),
        "polling_at": time_json(task.polling_at),
        "finished_at": time_json(task.finished_at),
        "age_ms": milliseconds(task.age(now)),
        "duration_ms": milliseconds(task.duration),
        "polls": task.polls,
        "next_poll_at": time_json(task.next_poll_at),
        "unready_for_ms": milliseconds(task.unready_for),
        "lag_ms": _lag(task),
        "failed_looks": task.failed_looks,
        "why": _text(task.why),
        "rung": _text(task.rung),
        "reason": task.reason,
        "error": None if task.error is None else error_json(task.error),
        "late": task.late,
        "output_mark": _text(task.output_mark),
        "checksum": task.checksum,
        "schema_version": task.schema_version,
    }


def error_json(error: ErrorInfo) -> dict[str, object]:
    """An error with its causes and members as JSON values."""
    return {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "notes": list(error.notes),
        "causes": [error_json(cause) for cause in error.causes],
        "members": [error_json(member) for member in error.members],
    }


def event_json(event: Event | Reset) -> dict[str, object]:
    """One recorded move, or the word that some are missing, as JSON values."""
    if isinstance(event, Reset):
        return {"type": "reset", "id": event.cursor}
    return {
        "type": "task.state",
        "id": event.cursor,
        "task_id": event.task_id,
        "move": event.move,
        "previous": _text(event.previous),
        "state": str(event.state),
        "at": time_json(event.at),
        "attempt": event.attempt,
        "reason": event.reason,
    }


def counts_json(counts: Mapping[State, int]) -> dict[str, int]:
    """Tasks a state, every state present, in the order of a task's life."""
    return {str(state): counts.get(state, 0) for state in State}


def statistics_json(statistics: EngineStatistics) -> dict[str, object]:
    """An engine's figures as JSON values."""
    return {
        "epoch": statistics.epoch,
        "started_at": time_json(statistics.started_at),
        "uptime_ms": milliseconds(statistics.uptime),
        "counts": counts_json(statistics.counts),
        "live": statistics.live,
        "live_limit": statistics.live_limit,
        "capacity": statistics.capacity,
        "slots_taken": statistics.slots_taken,
        "threads_busy": statistics.threads_busy,
        "poll_capacity": statistics.poll_capacity,
        "looks_busy": statistics.looks_busy,
        "coroutines": statistics.coroutines,
        "attempts": statistics.attempts,
        "polls": statistics.polls,
        "submitted": statistics.submitted,
        "finished": statistics.finished,
        "stranded": statistics.stranded,
        "zombies": statistics.zombies,
        "revision": f"{statistics.epoch}.{statistics.revision}",
        "durable_revision": f"{statistics.epoch}.{statistics.durable_revision}",
        "backlog": statistics.backlog,
        "ids_reserved": statistics.ids_reserved,
        "draining": statistics.draining,
    }


def time_json(wall: float | None) -> str | None:
    """A wall time as RFC 3339 in UTC, ``2026-03-01T12:00:00.250Z``.

    Times outside the years 1 to 9999 become the nearest that is inside; NaN is null.
    """
    if wall is None or math.isnan(wall):
        return None
    # timedelta, unlike fromtimestamp(), rounds and reaches alike on every platform.
    moment = _EPOCH + timedelta(seconds=min(max(wall, _EARLIEST), _LATEST))
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds, to the microsecond; null for what is no finite time."""
    if seconds is None or not math.isfinite(seconds * 1000.0):
        return None
    return round(seconds * 1000.0, 3)


def _lag(task: TaskSnapshot) -> list[float] | None:
    """Between which bounds lies the time from the output's being there to its being found.

    A task that was polled had its output between the last look that found nothing and the one
    that found it; nothing more is known.
    """
    if task.state is not State.SUCCEEDED or task.mode is not Mode.POLLING or task.duration is None:
        return None
    longest = milliseconds(max(0.0, task.duration - (task.unready_for or 0.0)))
    return None if longest is None else [0.0, longest]


def _embedded(text: str | None) -> Any:
    """The value of JSON text in a row; the text itself, should it be none."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text


def _text(member: object) -> str | None:
    return None if member is None else str(member)
