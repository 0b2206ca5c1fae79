"""The main screen's keys, one table; and what the filter understands, for the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.binding import Binding

from ..views import VIEWS
from .help import Entry

if TYPE_CHECKING:
    from textual.binding import BindingType


def _key(
    key: str,
    action: str,
    words: str,
    tip: str = "",
    *,
    shown: str | None = None,
    foot: bool = False,
    first: bool = False,
) -> Binding:
    return Binding(key, action, words, foot, shown, first, tip)


# Keys travel to the focused widget and back before they act. The two that open a line to type into
# act before the next key is sent on its way: of a burst "/K…" no K must ever reach the table.
KEYS: Final[list[BindingType]] = [
    _key("enter", "open", "Open", "Open the task in the pane, then larger", foot=True),
    _key("slash", "filter", "Filter", "Filter as you type", shown="/", foot=True, first=True),
    _key("K", "cancel", "Cancel", "Cancel the task, or the marked ones", shown="K", foot=True),
    _key("space", "mark", "Mark", "Mark the task and go to the next", foot=True),
    _key("asterisk", "mark_all", "Mark all", "Mark all that match, or none", shown="*"),
    _key("p", "freeze", "Freeze", "Freeze the view, or let it go on", foot=True),
    _key("x", "errors", "Errors", "Only what failed, timed out or was lost; again: all"),
    _key("f", "follow", "Follow", "Keep the cursor's row on the screen"),
    _key("S", "reverse", "Reverse", "Oldest first, or newest first", shown="S"),
    _key("c", "copy", "Copy id", "Copy the task's id"),
    _key("colon", "goto", "Go to", "Go to a task, a tab, an order", shown=":", first=True),
    _key("plus", "pane(1)", "Larger pane", shown="+"),
    _key("minus", "pane(-1)", "Smaller pane", shown="-"),
    *(_key(str(n), f"view({n - 1})", f"Tab {view.word}") for n, view in enumerate(VIEWS, 1)),
    _key("tab", "app.focus_next", "Next pane"),
    _key("shift+tab", "app.focus_previous", "Pane before"),
    _key("escape", "back", "Back", "Back out one step; never quits"),
    _key("question_mark", "help", "Help", shown="?", foot=True),
    _key("q", "app.quit", "Quit", foot=True),
]

TYPING: Final = frozenset({"filter", "goto"})
"""Actions that are there only while nothing is typed into a line."""

MUTATING: Final = frozenset({"cancel", "mark", "mark_all"})
"""Actions that are there only while an engine answers."""

FILTER_NOTES: Final = (
    Entry("word", "is a part of the name, the key, a tag or the error"),
    Entry("state:failed,lost", "one of these states; also live and final"),
    Entry("-state:succeeded", "a minus turns a term round"),
    Entry("age>5m polls>=10", "compares; also duration, attempts, with ms s m h d"),
    Entry("kind: key: tag: name:", "the other fields; also error: id: mode:"),
)
