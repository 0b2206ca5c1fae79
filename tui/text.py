"""Text for a terminal: what comes from a task made harmless, and numbers made readable.

A task's name, error or output is whatever its author, or an attacker, put there. Nothing of it
reaches a terminal but through `safe_text` or `safe_block`, and never as markup: a string with
``[@click=…]`` in it is only text when it is put into a `rich.text.Text` or a segment.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len, get_character_cell_size

from engine import State

if TYPE_CHECKING:
    from collections.abc import Mapping

STAND_IN: Final = "\N{REPLACEMENT CHARACTER}"
"""Shown for what is invisible or would steer the terminal and has no picture of its own."""

MAX_COMBINING: Final = 3
"""Marks kept on one character; more of them climb over the lines above and below."""

_ELLIPSIS: Final = "…"
_INVISIBLE_LETTERS: Final = "\u115f\u1160\u3164\uffa0"
_VARIATION: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_PICTURES: Final = 0x2400
_COMBINING: Final = re.compile(
    rf"[{_VARIATION}{_INVISIBLE_LETTERS}\u034f]"
    r"|[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


class Look(NamedTuple):
    """How a state is shown: glyph and word carry the meaning, the colour only helps the eye."""

    glyph: str
    word: str
    ansi: str
    """A style of the terminal's own palette, for plain command-line output."""
    role: str
    """The theme colour of the dashboard: primary, secondary, accent, success, warning, error."""


LOOKS: Final[Mapping[State, Look]] = {
    State.WAITING: Look("◦", "waiting", "bright_black", "muted"),
    State.QUEUED: Look("○", "queued", "blue", "muted"),
    State.RUNNING: Look("▶", "running", "cyan", "primary"),
    State.POLLING: Look("◐", "polling", "magenta", "secondary"),
    State.CANCELLING: Look("◌", "cancelling", "yellow", "warning"),
    State.SUCCEEDED: Look("✓", "succeeded", "green", "success"),
    State.FAILED: Look("✗", "failed", "red", "error"),
    State.CANCELLED: Look("⊘", "cancelled", "bright_black", "muted"),
    State.TIMED_OUT: Look("◷", "timed out", "yellow", "warning"),
    State.LOST: Look("?", "lost", "red", "error"),
}
"""Every state's look, in the order of a task's life."""


def _stand_in(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if unicodedata.category(character) == "Zs":
        return character
    return character if character.isprintable() or _is_visible(code, character) else STAND_IN


def _is_visible(code: int, character: str) -> bool:
    """Private and not yet assigned characters steer nothing, and newer fonts show them; not so
    the noncharacters and the blocks set aside for invisible ones."""
    if unicodedata.category(character) not in {"Co", "Cn"} or code & 0xFFFE == 0xFFFE:
        return False
    hidden = code == 0x2065 or 0xFDD0 <= code <= 0xFDEF or 0xFFF0 <= code <= 0xFFF8
    return not hidden and not 0xE0000 <= code < 0xE1000


def _tame_marks(match: re.Match[str]) -> str:
    marks = match.group()
    first = ord(marks[0])
    if 0xFE00 <= first <= 0xFE0F or first >= 0xE0100:
        return ""  # only asks for another form of the character before it
    if marks in _INVISIBLE_LETTERS or marks == "\u034f":
        return STAND_IN
    return marks[:MAX_COMBINING]


def safe_text(text: str) -> str:
    """Make a task's text harmless on one line of a terminal.

    Control characters become their pictures (ESC is shown as ␛, a line break as ␊); C1 controls,
    bidirectional and zero-width format controls, line separators, surrogates and invisible
    letters become �; runs of combining marks are cut short. What is printable stays as it is.

    Args:
        text: Anything at all; it is not shortened, so cut long text before.

    Returns:
        Text without one character that a terminal would act on.
    """
    if text.isascii():
        return text if text.isprintable() else "".join(map(_stand_in, text))
    if not text.isprintable():
        text = "".join(map(_stand_in, text))
    return _COMBINING.sub(_tame_marks, text)


def safe_block(text: str, *, tab: int = 4) -> str:
    r"""As `safe_text`, for text of several lines: line breaks stay, tabs become spaces.

    Args:
        text: Anything at all; ``\r\n`` counts as one line break.
        tab: Cells from one tab stop to the next.

    Returns:
        Lines joined by ``\n``, each of them harmless.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(safe_text(line.expandtabs(tab)) for line in lines)


def clip(text: str, cells: int, *, pad: bool = False) -> str:
    """Make a task's text harmless and cut it to a width, with … where something is missing.

    Args:
        text: Anything at all, of any length: only what can be seen is looked at.
        cells: The width in cells of the terminal; below one nothing is left.
        pad: Fill up with spaces to exactly this width.

    Returns:
        `safe_text` of the beginning, at most ``cells`` wide, never half of a wide character.
    """
    if cells < 1:
        return ""
    # A character has at most MAX_COMBINING marks left; a longer run of them is cut off below.
    window = cells * (MAX_COMBINING + 1) + 32
    shown = safe_text(text[:window])
    width = cell_len(shown)
    if width > cells or len(text) > window:
        shown, width = _cut(shown, cells - 1)
        shown, width = shown + _ELLIPSIS, width + 1
    return shown + " " * (cells - width) if pad else shown


def clip_path(path: str, cells: int) -> str:
    """As `clip`, but it is the end that stays: the name of a file says more than its folders."""
    shown = safe_text(path)
    if cells < 1 or cell_len(shown) <= cells:
        return clip(shown, cells)
    while shown and cell_len(shown) >= cells:
        shown = shown[1:]
    return _ELLIPSIS + shown


def _cut(text: str, cells: int) -> tuple[str, int]:
    width = 0
    for index, character in enumerate(text):
        size = get_character_cell_size(character)
        if width + size > cells:
            return text[:index], width
        width += size
    return text, width


# -- numbers ------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A length of time in at most six cells: ``38ms``, ``1.24s``, ``12.3s``, ``2m05s``, ``3h07m``,
    ``4d05h``; a negative one is shown as none."""
    if seconds < 0.0005:
        return "0ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    return _coarse(max(60.0, seconds))


def age(seconds: float) -> str:
    """How long ago, in whole seconds so that it does not flicker: ``0s``, ``47s``, ``2m05s``."""
    return f"{max(0, int(seconds))}s" if seconds < 60 else _coarse(seconds)


def _coarse(seconds: float) -> str:
    whole = int(seconds + 1e-6)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    if whole < 86_400 * 1000:
        return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"
    return f"{whole // 86_400}d"


def count(number: int) -> str:
    """A count with its thousands set apart: ``1,234,567``."""
    return f"{number:,}"


def short_count(number: int) -> str:
    """A count in at most five cells: ``9999``, ``12.3k``, ``123k``, ``4.56M``."""
    if number < 10_000:
        return str(number)
    unit, scaled = "k", number / 1e3
    if scaled >= 999.5:
        unit, scaled = "M", number / 1e6
    if scaled >= 999.5:
        unit, scaled = "G", number / 1e9
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits}f}{unit}"


def rate(per_second: float) -> str:
    """A rate in at most seven cells: ``0/s``, ``0.4/s``, ``12/s``, ``12.3k/s``."""
    if 0 < per_second < 9.95:
        return f"{per_second:.1f}/s"
    return f"{short_count(round(per_second))}/s"
