"""The second line: how many tasks are in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from engine import State

from ..text import LOOKS, count, short_count

if TYPE_CHECKING:
    from collections.abc import Mapping


USUAL: Final = frozenset(
    {State.QUEUED, State.RUNNING, State.POLLING, State.SUCCEEDED, State.FAILED}
)
"""States that are named also when nothing is in them, where there is no room for all."""


def wordings(counts: Mapping[State, int]) -> list[list[tuple[State, str]]]:
    """The counters from the widest wording to the narrowest."""
    full = [(s, f"{look.glyph} {look.word} {count(counts[s])}") for s, look in LOOKS.items()]
    words = [(state, text) for state, text in full if counts[state] or state in USUAL]
    brief = [(s, f"{look.glyph} {short_count(counts[s])}") for s, look in LOOKS.items()]
    some = [(s, f"{LOOKS[s].glyph}{short_count(n)}") for s, n in counts.items() if n]
    return [full, words, brief, some]


class Counters(Widget):
    """One counter a state; those at zero are dim."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[State, int] = dict.fromkeys(State, 0)

    def show(self, counts: Mapping[State, int]) -> None:
        """Show new counters; the same again cost nothing."""
        fresh = {state: counts.get(state, 0) for state in State}
        if fresh != self._counts:
            self._counts = fresh
            self.refresh()

    def render(self) -> Content:
        """Draw the widest wording that fits."""
        width = self.content_size.width
        shown = wordings(self._counts)
        fitting = (
            wording
            for wording in shown
            if sum(cell_len(text) + 3 for _, text in wording) - 3 <= width
        )
        chosen = next(fitting, shown[-1])
        line: list[str | tuple[str, str]] = []
        for state, text in chosen:
            role = LOOKS[state].role
            colour = "$foreground-muted" if role == "muted" else f"$text-{role}"
            style = colour if self._counts[state] else "$foreground-disabled"
            line += ["   " if line else "", (text, style)]
        return Content.assemble(*line)
