"""Where a task's time went: the stretches between submission and end, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine import State

if TYPE_CHECKING:
    from engine import TaskSnapshot


class Stretch(NamedTuple):
    """One part of a task's life."""

    word: str
    state: State
    """The state it was in, for the colour."""
    began: float
    """Wall time."""
    seconds: float
    open: bool
    """True while it goes on."""


def stretches(task: TaskSnapshot, now: float) -> list[Stretch]:
    """Split a task's life up to ``now`` (wall time), in order.

    Of a task with several attempts only the last one is told apart; what came before its start is
    one stretch. Clocks may have been turned: no stretch is negative.
    """
    end = now if task.finished_at is None else task.finished_at
    live = task.finished_at is None
    marks: list[tuple[str, State, float]] = [(*_before_start(task), task.submitted_at)]
    if task.started_at is not None and (task.state not in _NOT_STARTED):
        marks.append(
            ("ran" if task.polling_at or not live else "runs", State.RUNNING, task.started_at)
        )
        if task.polling_at is not None and task.polling_at >= task.started_at:
            marks.append(("polled" if not live else "polls", State.POLLING, task.polling_at))
    ends = [mark[2] for mark in marks[1:]] + [end]
    last = len(marks) - 1
    return [
        Stretch(word, state, began, max(0.0, until - began), live and at == last)
        for at, ((word, state, began), until) in enumerate(zip(marks, ends, strict=True))
    ]


_NOT_STARTED = frozenset({State.WAITING, State.QUEUED})


def _before_start(task: TaskSnapshot) -> tuple[str, State]:
    if task.state is State.WAITING:
        return "waits", State.WAITING
    if task.attempts > 1:
        return "earlier", State.WAITING
    return "queued", State.QUEUED
