"""Which keys do what: made from the bindings that are active, so that it is never wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual.app import ComposeResult
    from textual.binding import ActiveBinding, BindingType


class Entry(NamedTuple):
    """One line of the help."""

    keys: str
    words: str


def entries(active: Iterable[ActiveBinding], display: Callable[[Binding], str]) -> list[Entry]:
    """The active bindings, those that do the same in one line, in their own order.

    Args:
        active: The bindings of the focused widget, its parents, the screen and the app.
        display: Makes a key readable.
    """
    keys: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], list[str]] = {}
    for node, binding, enabled, _ in active:
        if binding.system or not binding.description or not enabled:
            continue
        # One action in several measures (up and down, the tabs) is one line.
        what = (type(node).__name__, binding.action.partition("(")[0])
        shown = display(binding)
        if shown not in keys.setdefault(what, []):
            keys[what].append(shown)
        said.setdefault(what, []).append(binding.tooltip or binding.description)
    return [Entry(" ".join(keys[what]), _joined(said[what])) for what in keys]


def _joined(words: Sequence[str]) -> str:
    """The same words once; words with a common beginning as one list."""
    different = list(dict.fromkeys(words))
    first = different[0].partition(" ")[0] + " "
    if len(different) > 1 and all(word.startswith(first) for word in different):
        return first + ", ".join(word.removeprefix(first) for word in different)
    return ", ".join(different)


class Help(ModalScreen[None]):
    """The help of one screen.

    Args:
        lines: What to say; made before this screen covers the other.
        notes: Lines below them, on what no key tells.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss(None)", "Close"),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, lines: Sequence[Entry], notes: Sequence[Entry]) -> None:
        super().__init__()
        self._lines = lines
        self._notes = notes

    def compose(self) -> ComposeResult:
        """A scrolled list."""
        with VerticalScroll(id="box"):
            yield Static(_table("Keys", self._lines))
            yield Static(_table("Filter", self._notes), classes="notes")

    def on_mount(self) -> None:
        """The list takes the keys for scrolling."""
        self.query_one("#box").border_title = "Help"
        self.query_one("#box").border_subtitle = "Esc closes"

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#box").scroll_relative(y=lines, animate=False)


def _table(title: str, lines: Sequence[Entry]) -> Content:
    width = max((len(entry.keys) for entry in lines), default=0) + 2
    parts: list[str | tuple[str, str]] = [(title, "$text-primary bold")]
    for entry in lines:
        parts += ["\n", (entry.keys.ljust(width), "$text-accent bold"), entry.words]
    return Content.assemble(*parts)
