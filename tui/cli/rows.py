"""Lines of a listing: columns from snapshots, aligned, cut to a screen only where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len

from ..text import LOOKS, age, clip, duration, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine import TaskSnapshot

_GAP: Final = "  "
_LINE: Final = 20_000
"""Characters of one cell looked at where lines are not cut: more is never read on a line."""


class Column(NamedTuple):
    """One column: its heading, how to fill it, its least width, and whether numbers align."""

    heading: str
    cell: Callable[[TaskSnapshot, float], str]
    least: int
    right: bool = False


def _took(task: TaskSnapshot, now: float) -> str:
    """Seconds in the last attempt: final when it has ended, so far while it goes on."""
    if task.duration is not None:
        return duration(task.duration)
    if task.started_at is None or task.state.final:
        return "-"
    return duration(now - task.started_at)


def _remark(task: TaskSnapshot, _now: float) -> str:
    """The last column: what a person wants to know next, which may be long."""
    if task.error is not None:
        message = f": {task.error.message}" if task.error.message else ""
        return f"{task.error.type}{message}"
    return task.reason or task.late or ""


def _name(task: TaskSnapshot, _now: float) -> str:
    return task.name or task.kind or "-"


COLUMNS: Final[Sequence[Column]] = (
    Column("ID", lambda task, _now: str(task.id), 5, right=True),
    Column("STATE", lambda task, _now: str(task.state), 10),
    Column("MODE", lambda task, _now: task.shown_mode, 8),
    Column("AGE", lambda task, now: age(task.age(now)), 6, right=True),
    Column("TOOK", _took, 6, right=True),
    Column("POLLS", lambda task, _now: str(task.polls), 5, right=True),
    Column("KIND", lambda task, _now: task.kind or "-", 8),
    Column("NAME", _name, 12),
    Column("REMARK", _remark, 0),
)
"""The listing, in this order for good: a script may count on the first columns."""


def listing(
    tasks: Iterable[TaskSnapshot],
    now: float,
    *,
    cells: int | None = None,
    paint: Callable[[str, str], str] = lambda text, _style: text,
) -> Iterator[str]:
    """Lay tasks out as lines, the heading first.

    Args:
        tasks: What to show; read in chunks, so that a long listing starts at once.
        now: The wall time that ages are counted from.
        cells: Width of the screen; None: nothing is cut.
        paint: Colours a cell's text with a style of `tui.text.LOOKS`.

    Yields:
        Lines without their line break and without one character that a terminal would act on.
    """
    widths = [max(column.least, len(column.heading)) for column in COLUMNS]
    heading_done = False
    for chunk in _chunks(tasks, 200):
        table = [[_cell(column, task, now) for column in COLUMNS] for task in chunk]
        for row in table:
            widths = [max(old, cell_len(cell)) for old, cell in zip(widths, row, strict=True)]
        if not heading_done:
            heading_done = True
            yield paint(_line([column.heading for column in COLUMNS], widths, cells), "bold")
        for task, row in zip(chunk, table, strict=True):
            line = _line(row, widths, cells)
            word = str(task.state)
            start = line.find(word)
            if start >= 0:
                end = start + len(word)
                line = line[:start] + paint(word, LOOKS[task.state].ansi) + line[end:]
            yield line


def _cell(column: Column, task: TaskSnapshot, now: float) -> str:
    return safe_text(column.cell(task, now)[:_LINE])


def _line(row: Sequence[str], widths: Sequence[int], cells: int | None) -> str:
    parts = []
    for column, cell, width in zip(COLUMNS, row, widths, strict=True):
        space = " " * (width - cell_len(cell))
        parts.append(space + cell if column.right else cell + space)
    line = _GAP.join(parts).rstrip()
    return line if cells is None else clip(line, cells)


def _chunks(tasks: Iterable[TaskSnapshot], size: int) -> Iterator[list[TaskSnapshot]]:
    chunk: list[TaskSnapshot] = []
    for task in tasks:
        chunk.append(task)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
