"""What stands in the place of the table when it has no rows: why, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from ..text import safe_text

if TYPE_CHECKING:
    from pathlib import Path

    from ..feed import Pulse


def advice(path: Path, pulse: Pulse, *, filter_text: str, view: str) -> tuple[str, str]:
    """A headline, and what to do next.

    Args:
        path: The store.
        pulse: How it stands.
        filter_text: What the filter holds, "" for none.
        view: The tab's word, "" for all.
    """
    place = safe_text(str(path))
    if pulse.missing:
        start = f"Start an engine on it:\n\ncreche serve --store {place}"
        return "There is no store here yet", f"{place}\n\n{start}\n\nThis screen fills by itself."
    if pulse.trouble is not None:
        return "The store cannot be read", safe_text(pulse.trouble)
    if pulse.read_at is None:
        return "Opening the store…", place
    if not pulse.total:
        how = "In Python: engine.submit_nowait(task)\nOr try: creche demo 100 --scale 0.05"
        return "No tasks yet", f"They appear here as soon as they are submitted.\n\n{how}"
    if filter_text:
        return f"No task matches {safe_text(filter_text)}", "Esc clears the filter, / changes it."
    return f"No task is {view} now" if view else "No tasks", "1 shows all tasks."


class Empty(Static):
    """Centred words."""

    def show(self, headline: str, advice_text: str) -> None:
        """Show a headline and what to do next."""
        self.update(
            Content.assemble(
                (headline, "$text-primary bold"), "\n\n", (advice_text, "$foreground-muted")
            )
        )
