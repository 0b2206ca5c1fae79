"""Lines of a listing: columns of tasks, aligned, cut to a screen only where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from rich.cells import cell_len

from engine import State

from ..text import LOOKS, age, clip, duration, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Task: TypeAlias = Mapping[str, Any]
"""One task in the shape of docs/json.md."""

_GAP: Final = "  "
_LINE: Final = 20_000
"""Characters of one cell looked at where lines are not cut: more is never read on a line."""


class Column(NamedTuple):
    """One column: its heading, how to fill it, its least width, and whether numbers align."""

    heading: str
    cell: Callable[[Task], str]
    least: int
    right: bool = False


def _took(task: Task) -> str:
    """Seconds in the last attempt: final when it has ended, so far while it goes on."""
    if task["duration_ms"] is not None:
        return duration(task["duration_ms"] / 1000)
    if task["started_at"] is None or State(task["state"]).final:
        return "-"
    waited = datetime.fromisoformat(task["started_at"]) - datetime.fromisoformat(
        task["submitted_at"]
    )
    return duration(task["age_ms"] / 1000 - waited.total_seconds())


def _remark(task: Task) -> str:
    """The last column: what a person wants to know next, which may be long."""
    error = task["error"]
    if error is not None:
        return f"{error['type']}: {error['message']}" if error["message"] else str(error["type"])
    return task["reason"] or task["late"] or ""


COLUMNS: Final[Sequence[Column]] = (
    Column("ID", lambda task: str(task["id"]), 5, right=True),
    Column("STATE", lambda task: task["state"], 10),
    Column("MODE", lambda task: task["shown_mode"], 8),
    Column("AGE", lambda task: age(task["age_ms"] / 1000), 6, right=True),
    Column("TOOK", _took, 6, right=True),
    Column("POLLS", lambda task: str(task["polls"]), 5, right=True),
    Column("KIND", lambda task: task["kind"] or "-", 8),
    Column("NAME", lambda task: task["name"] or task["kind"] or "-", 12),
    Column("REMARK", _remark, 0),
)
"""The listing, in this order for good: a script may count on the first columns."""


def listing(
    tasks: Iterable[Task],
    *,
    cells: int | None = None,
    paint: Callable[[str, str], str] = lambda text, _style: text,
) -> Iterator[str]:
    """Lay tasks out as lines, the heading first.

    Args:
        tasks: What to show; read in chunks, so that a long listing starts at once.
        cells: Width of the screen; None: nothing is cut.
        paint: Colours a cell's text with a style of `tui.text.LOOKS`.

    Yields:
        Lines without their line break and without one character that a terminal would act on.
    """
    widths = [max(column.least, len(column.heading)) for column in COLUMNS]
    heading_done = False
    for chunk in _chunks(tasks, 200):
        table = [[_cell(column, task) for column in COLUMNS] for task in chunk]
        for row in table:
            widths = [max(old, cell_len(cell)) for old, cell in zip(widths, row, strict=True)]
        if not heading_done:
            heading_done = True
            yield paint(_line([column.heading for column in COLUMNS], widths, cells), "bold")
        for task, row in zip(chunk, table, strict=True):
            line = _line(row, widths, cells)
            word = task["state"]
            start = line.find(word)
            if start >= 0:
                end = start + len(word)
                line = line[:start] + paint(word, LOOKS[State(word)].ansi) + line[end:]
            yield line


def _cell(column: Column, task: Task) -> str:
    return safe_text(column.cell(task)[:_LINE])


def _line(row: Sequence[str], widths: Sequence[int], cells: int | None) -> str:
    parts = []
    for column, cell, width in zip(COLUMNS, row, widths, strict=True):
        space = " " * (width - cell_len(cell))
        parts.append(space + cell if column.right else cell + space)
    line = _GAP.join(parts).rstrip()
    return line if cells is None else clip(line, cells)


def _chunks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    chunk: list[Task] = []
    for task in tasks:
        chunk.append(task)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
