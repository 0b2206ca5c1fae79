"""A line to type into: the filter, and the place to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.highlighter import Highlighter
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from ..text import safe_text

if TYPE_CHECKING:
    from rich.text import Text
    from textual.app import ComposeResult
    from textual.binding import BindingType


class _BadPart(Highlighter):
    """Underlines the part of what was typed that is wrong."""

    def __init__(self) -> None:
        self.span: tuple[int, int] | None = None

    def highlight(self, text: Text) -> None:
        if self.span is not None:
            # At the end of the line there is nothing to underline but the blank after it.
            text.stylize("underline bold red", *self.span)


class _Line(Input):
    """An input whose text is harmless, whatever was pasted into it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Done"),
        Binding("escape", "screen.back", "Clear"),
        Binding("down,tab", "screen.to_rows", "To the rows", show=False),
    ]

    def validate_value(self, value: str) -> str:
        """Let no control character in."""
        return safe_text(value)


class Prompt(Horizontal):
    """A sign, an input, and a note to the right; hidden until it is opened.

    Args:
        sign: What stands before the input; it tells the prompts apart.
        placeholder: Shown while nothing is typed.
    """

    class Typed(Message):
        """The text is another one."""

        def __init__(self, prompt: Prompt, text: str) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text

        @property
        def control(self) -> Prompt:
            """The prompt."""
            return self.prompt

    class Entered(Typed):
        """Enter was pressed."""

    def __init__(self, sign: str, placeholder: str, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._bad = _BadPart()
        self._said = ""
        self._sign = Static(Content(sign), classes="sign")
        self._note = Static(Content(""), classes="note")
        self._input = _Line(
            placeholder=placeholder, compact=True, highlighter=self._bad, select_on_focus=False
        )

    def compose(self) -> ComposeResult:
        """The three parts."""
        yield self._sign
        yield self._input
        yield self._note

    @property
    def text(self) -> str:
        """What was typed."""
        return self._input.value

    @property
    def typing(self) -> bool:
        """True while keys go here."""
        return self._input.has_focus

    def open(self) -> None:
        """Show it, and let keys go here."""
        self.display = True
        self.screen.set_focus(self._input)  # at once: the next key is for it

    def clear(self) -> None:
        """Empty and hide it."""
        self._input.value = ""
        self.display = False

    @property
    def good(self) -> bool:
        """False while a part of the text is underlined as wrong."""
        return self._bad.span is None

    def say(self, note: str) -> None:
        """Put a note to the right.

        Args:
            note: Harmless text.
        """
        self._tell(note, None)

    def complain(self, note: str, start: int, end: int) -> None:
        """Say what is wrong, and underline that part of what was typed."""
        self._tell(note, (start, end))

    def _tell(self, note: str, bad: tuple[int, int] | None) -> None:
        if note != self._said:
            self._said = note
            self._note.update(Content(note))
        self._note.set_class(bad is not None, "wrong")
        if bad != self._bad.span:
            self._bad.span = bad
            self._input.refresh()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass it on."""
        event.stop()
        self.post_message(self.Typed(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Pass it on."""
        event.stop()
        self.post_message(self.Entered(self, event.value))
