"""Asks before something is done to many tasks. No is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class Confirm(ModalScreen[bool]):
    """A question with two answers; its result is True only for a clear yes.

    Args:
        question: Harmless text.
        consequence: What will happen, harmless text.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,escape", "dismiss(False)", "No"),
        Binding("y", "dismiss(True)", "Yes"),
        Binding("left,h", "app.focus_previous", "Other answer", show=False),
        Binding("right,l", "app.focus_next", "Other answer", show=False),
    ]

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def compose(self) -> ComposeResult:
        """The question above the answers; No has the focus."""
        with Vertical(id="box"):
            yield Static(Content.styled(self._question, "bold"))
            yield Static(
                Content.styled(self._consequence, "$foreground-muted"), classes="consequence"
            )
            with Horizontal(id="answers"):
                yield Button(Content("No"), id="no", compact=True)
                yield Button(Content("Yes"), id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """Enter alone must do no harm."""
        self.set_focus(self.query_one("#no"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer."""
        self.dismiss(event.button.id == "yes")
