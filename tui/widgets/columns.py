"""The table's columns: which fit into a width, and what stands in them for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine import State

from ..text import LOOKS, age, clip, duration, short_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine import TaskSnapshot

GUTTER: Final = 2
"""Cells before the first column: the cursor's bar and the mark."""


class Cell(NamedTuple):
    """Harmless text of exactly the column's width, and the theme role of its colour."""

    text: str
    role: str


class Column(NamedTuple):
    """One column of a laid-out table."""

    title: str
    width: int
    right: bool
    cell: Callable[[TaskSnapshot, float], tuple[str, str]]
    """Text and role for a task at a wall time; the text is made harmless when it is cut."""

    def draw(self, task: TaskSnapshot, now: float) -> Cell:
        """The cell of a task."""
        text, role = self.cell(task, now)
        return Cell(self.fit(text), role)

    def fit(self, text: str) -> str:
        """Text cut or filled up to the column's width."""
        if self.right:
            shown = clip(text, self.width)
            return " " * (self.width - len(shown)) + shown if shown.isascii() else shown
        return clip(text, self.width, pad=True)


class _Plan(NamedTuple):
    """A column before its width is known."""

    title: str
    width: int
    needs: int
    """It is shown from this width of the table on."""
    share: int
    """Parts of the room that is left over; 0 for a column of fixed width."""
    cell: Callable[[TaskSnapshot, float], tuple[str, str]]
    right: bool = False


def _id(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    return str(task.id), "muted"


def _state(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    look = LOOKS[task.state]
    return f"{look.glyph} {look.word}", look.role


def _name(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    return task.name or task.kind or "–", "text"


def _kind(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    return task.kind if task.kind != task.name else "", "muted"


def _mode(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    return task.shown_mode, "muted"


def _age(task: TaskSnapshot, now: float) -> tuple[str, str]:
    return age(task.age(now)), "muted"


def _time(task: TaskSnapshot, now: float) -> tuple[str, str]:
    """How long the attempt took, or has taken so far."""
    if task.duration is not None:
        return duration(task.duration), "text"
    if task.started_at is None or task.state in {State.WAITING, State.QUEUED}:
        return "", "muted"
    if task.finished_at is not None:
        return duration(task.finished_at - task.started_at), "text"
    return age(now - task.started_at), LOOKS[task.state].role


def _polls(task: TaskSnapshot, _now: float) -> tuple[str, str]:
    return short_count(task.polls) if task.polls else "", "muted"


def _note(task: TaskSnapshot, now: float) -> tuple[str, str]:
    """The one thing worth knowing next: what went wrong, or what it waits for."""
    if task.error is not None:
        role = "error" if task.state.final or task.state is State.WAITING else "warning"
        return f"{task.error.type}: {task.error.message}", role
    if task.reason:
        return task.reason, "muted"
    if task.state is State.WAITING and task.not_before is not None:
        return f"starts in {age(task.not_before - now)}", "muted"
    if task.state is State.POLLING and (task.next_poll_at or 0.0) >= now + 1:
        return f"next look in {age((task.next_poll_at or 0.0) - now)}", "muted"
    if task.attempts > 1:
        return f"attempt {task.attempts} of {task.attempts_allowed}", "muted"
    parts = [f"key {task.key}"] if task.key else []
    return " ".join([*parts, *(f"#{tag}" for tag in task.tags)]), "muted"


def _plans(id_width: int) -> Sequence[_Plan]:
    return (
        _Plan("id", id_width, 0, 0, _id, right=True),
        _Plan("state", 12, 26, 0, _state),
        _Plan("name", 8, 0, 3, _name),
        _Plan("kind", 8, 130, 2, _kind),
        _Plan("mode", 8, 64, 0, _mode),
        _Plan("age", 6, 44, 0, _age, right=True),
        _Plan("time", 6, 52, 0, _time, right=True),
        _Plan("polls", 5, 72, 0, _polls, right=True),
        _Plan("note", 10, 88, 4, _note),
    )


def layout(width: int, top_id: int) -> list[Column]:
    """The columns that fit, each with its width; between two of them is one blank cell.

    Args:
        width: Cells of the table without the gutter.
        top_id: The largest id, which the first column must hold.
    """
    id_width = max(5, len(str(top_id)))
    if width < 26:
        id_width = min(id_width, max(1, width // 3))
    plans = [plan for plan in _plans(id_width) if width >= plan.needs]
    room = width - sum(plan.width + 1 for plan in plans) + 1
    shares = sum(plan.share for plan in plans)
    columns, spent, parts = [], 0, 0
    for plan in plans:
        parts += plan.share
        extra = room * parts // shares - spent if plan.share else 0
        spent += extra
        columns.append(Column(plan.title, max(0, plan.width + extra), plan.right, plan.cell))
    return columns
