"""The first line: whose store, how it stands, how fast it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from ..link import Contact
from ..text import age, clip, clip_path, count, duration, rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..feed import Pulse
    from ..link import Facts

SIGNS: Final[Mapping[Contact, tuple[str, str]]] = {
    Contact.UNKNOWN: ("◌ connecting", "$foreground-muted"),
    Contact.ANSWERS: ("● live", "$text-success"),
    Contact.SILENT: ("✗ no answer", "$text-error"),
    Contact.NO_SOCKET: ("◌ read-only", "$text-warning"),
    Contact.ENDED: ("■ stopped", "$foreground-muted"),
    Contact.DIED: ("✗ died", "$text-error"),
    Contact.NEVER: ("◌ no engine", "$foreground-muted"),
}
"""Glyph, word and colour of each contact."""


class Part(NamedTuple):
    """One thing that the line may say; the least important ones go first when it is narrow."""

    text: str
    style: str
    rank: int
    """0 always stays."""


def parts(pulse: Pulse, contact: Contact, facts: Facts | None, clock: float) -> list[Part]:
    """What there is to say, in order.

    Args:
        pulse: How the store stands.
        contact: How the engine stands.
        facts: What the engine said last, if it did.
        clock: The monotonic time of now, for the age of the data.
    """
    said: list[Part] = []
    if facts is not None and facts.zombies:
        zombies = "1 zombie" if facts.zombies == 1 else f"{count(facts.zombies)} zombies"
        said.append(Part(zombies, "$text-warning bold", 1))
    if facts is not None and facts.draining:
        said.append(Part("draining", "$text-warning", 1))
    if contact not in {Contact.ENDED, Contact.DIED, Contact.NEVER}:
        said.append(Part(rate(pulse.rate), "$foreground", 2))
    if facts is not None and facts.slots_taken is not None and facts.capacity is not None:
        slots = f"slots {count(facts.slots_taken)}/{count(facts.capacity)}"
        said.append(Part(slots, "$foreground-muted", 3))
    if facts is not None and facts.uptime is not None:
        said.append(Part(f"up {age(facts.uptime)}", "$foreground-muted", 5))
    if pulse.read_at is not None:
        said.append(Part(f"data {_stale(clock - pulse.read_at)} old", "$foreground-muted", 4))
    sign, style = SIGNS[contact] if pulse.trouble is None else ("✗ no data", "$text-error")
    said.append(Part(sign, f"{style} bold", 0))
    return said


def _stale(seconds: float) -> str:
    return f"{max(0.0, seconds):.1f}s" if seconds < 10 else duration(seconds)


def fit(said: Sequence[Part], width: int) -> list[Part]:
    """Leave out the least important parts until the rest fits into a width."""
    kept = list(said)
    while len(kept) > 1 and sum(cell_len(part.text) + 2 for part in kept) > width:
        kept.remove(max(kept, key=lambda part: part.rank))
    return kept


class StatusLine(Widget):
    """The line itself.

    Args:
        store: The store's name, as it is shown.
    """

    ALLOW_SELECT = False

    def __init__(self, store: str) -> None:
        super().__init__()
        self._store = store
        self._parts: list[Part] = []

    def show(self, said: list[Part]) -> None:
        """Say something new; the same again costs nothing."""
        if said != self._parts:
            self._parts = said
            self.refresh()

    def render(self) -> Content:
        """Draw the line: the store to the left, the rest to the right."""
        width = self.content_size.width
        badge = " creche "
        kept = fit(self._parts, width - len(badge) - 9)
        right = sum(cell_len(part.text) + 2 for part in kept)
        room = width - len(badge) - right - 1
        line: list[str | tuple[str, str]] = [
            (badge, "$primary reverse bold"),
            " ",
            (clip(clip_path(self._store, room), room, pad=True), "bold"),
        ]
        for part in kept:
            line += ["  ", (part.text, part.style)]
        return Content.assemble(*line)
