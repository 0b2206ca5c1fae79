"""Brings a row from the file up to the second with what the engine's memory says.

Looks at a polling task are no recorded moves: the file has a sample of them, some seconds old.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine import TaskSnapshot


def freshened(task: TaskSnapshot, answer: Mapping[str, object]) -> TaskSnapshot:
    """The task with the engine's own figures, where they belong to the same recorded move.

    Args:
        task: The row.
        answer: The engine's JSON of the task; what is missing or odd in it changes nothing.
    """
    if answer.get("id") != task.id or answer.get("revision") != task.cursor:
        return task
    polls, failed = answer.get("polls"), answer.get("failed_looks")
    return replace(
        task,
        polls=max(task.polls, polls) if isinstance(polls, int) else task.polls,
        failed_looks=failed if isinstance(failed, int) else task.failed_looks,
        next_poll_at=_moment(answer.get("next_poll_at"), task.next_poll_at),
    )


def is_older(new: TaskSnapshot, old: TaskSnapshot) -> bool:
    """True when a row is an earlier sample of the same recorded move."""
    return new.cursor == old.cursor and new.polls < old.polls


def _moment(text: object, otherwise: float | None) -> float | None:
    if not isinstance(text, str):
        return otherwise
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise
