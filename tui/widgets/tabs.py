"""The third line: the seven tabs, and to the right what is special about the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ..text import short_count
from ..views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events

    from engine import State


class TabBar(Widget):
    """Shows which states are listed; a click on a tab asks for it."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, view: int) -> None:
            super().__init__()
            self.view = view

    def __init__(self) -> None:
        super().__init__()
        self._view = 0
        self._counts: Mapping[State, int] = {}
        self._notes: tuple[tuple[str, str], ...] = ()
        self._ends: list[int] = []

    def show(
        self, view: int, counts: Mapping[State, int], notes: Sequence[tuple[str, str]]
    ) -> None:
        """Show which tab is on, how much is in each, and notes (text and style) on the view."""
        fresh = (view, dict(counts), tuple(notes))
        if fresh != (self._view, self._counts, self._notes):
            self._view, self._counts, self._notes = fresh
            self.refresh()

    def render(self) -> Content:
        """Draw the tabs with counts, with words, or with numbers alone, as there is room."""
        width = self.content_size.width
        notes = sum(cell_len(text) + 2 for text, _ in self._notes)
        for labels in self._wordings():
            if sum(map(len, labels)) + notes <= width:
                break
        line: list[str | tuple[str, str]] = []
        self._ends = []
        for number, label in enumerate(labels):
            style = "$primary reverse bold" if number == self._view else "$foreground-muted"
            line.append((label, style))
            self._ends.append(sum(map(len, labels[: number + 1])))
        if self._notes:
            line.append(" " * max(1, width - sum(map(len, labels)) - notes))
            for text, style in self._notes:
                line += ["  ", (text, style)] if len(line) > len(labels) + 1 else [(text, style)]
        return Content.assemble(*line)

    def _wordings(self) -> list[list[str]]:
        counted = [
            f" {number} {view.word} {short_count(view.count(self._counts))} "
            for number, view in enumerate(VIEWS, 1)
        ]
        words = [f" {number} {view.word} " for number, view in enumerate(VIEWS, 1)]
        active = [
            f" {number} {view.word} " if number == self._view + 1 else f" {number} "
            for number, view in enumerate(VIEWS, 1)
        ]
        return [counted, words, active, [f"{number} " for number in range(1, len(VIEWS) + 1)]]

    def on_click(self, event: events.Click) -> None:
        """Ask for the tab under the mouse."""
        for number, end in enumerate(self._ends):
            if event.x < end:
                self.post_message(self.Chosen(number))
                return
