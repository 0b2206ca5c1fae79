"""The line above the table: the names of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from ..text import clip
from .columns import GUTTER

if TYPE_CHECKING:
    from .table import TaskTable


class Heads(Widget):
    """Names the columns of a table, and marks the one that it is sorted by.

    Args:
        table: The table below.
    """

    ALLOW_SELECT = False

    def __init__(self, table: TaskTable) -> None:
        super().__init__()
        self._table = table

    def render(self) -> Text:
        """Draw the line."""
        listing = self._table.listing
        line = Text(" " * GUTTER, no_wrap=True)
        for column in self._table.columns():
            title = column.title
            if title == "id":
                title += "▾" if listing.newest_first else "▴"
            title = clip(title, column.width)
            pad = " " * (column.width - len(title))
            line.append((pad + title if column.right else title + pad) + " ")
        return line
