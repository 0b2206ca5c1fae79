"""The line that says what is not as it should be, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widget import Widget

from ..link import Contact
from ..text import age, clip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..feed import Pulse


_SAID: Final[Mapping[Contact, str]] = {
    Contact.SILENT: "the engine does not answer",
    Contact.NO_SOCKET: "this engine offers no control socket",
    Contact.ENDED: "no engine runs, the last one has stopped",
    Contact.DIED: "the engine died",
    Contact.NEVER: "no engine runs on this store",
}


def warning(pulse: Pulse, contact: Contact, wall: float) -> str | None:
    """What must be said in words; None when all is well.

    Args:
        pulse: How the store stands.
        contact: How the engine stands.
        wall: Seconds since the epoch, now.
    """
    if pulse.missing:
        return None if pulse.read_at is None else "the store's file is gone; waiting for it"
    if pulse.trouble is not None:
        return f"the store cannot be read, trying again: {pulse.trouble}"
    stale = "" if pulse.written_at is None else f"; data from {age(wall - pulse.written_at)} ago"
    said = _SAID.get(contact)
    return None if said is None else f"read-only: {said}{stale}"


class Banner(Widget):
    """Hidden while all is well."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._text: str | None = None
        self.display = False

    def show(self, text: str | None) -> None:
        """Say something, or nothing."""
        if text != self._text:
            self._text = text
            self.display = text is not None
            self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        return Content(clip(f" {self._text or ''}", self.content_size.width))
