"""What a command writes: lines for people, one JSON document for programs.

Every character that comes from a task is made harmless here or by the caller's `safe_text`: on a
pipe as on a terminal, because what is piped today is shown by a pager tomorrow.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Final, TextIO

from ..text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_SGR: Final[Mapping[str, str]] = {
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bright_black": "90",
}
_NOT_PLAIN: Final = re.compile(r"[^\x00-\x7e]")


def say(line: str = "") -> None:
    """Write one line for people to stdout; the caller has made the task's parts harmless."""
    sys.stdout.write(line + "\n")


def complain(verb: str, message: str) -> None:
    """Write one line to stderr: what went wrong, and what to do."""
    name = f"creche {verb}" if verb else "creche"
    sys.stderr.write(f"{name}: {safe_text(message)}\n")


def say_json(document: Mapping[str, object], **members: str) -> None:
    """Write one JSON document to stdout.

    It is ASCII: any other character, and DEL, is escaped, so that no name of a task reaches a
    terminal as itself.

    Args:
        document: The document, an object with at least one member.
        members: More of its members, as JSON text: an output may hold numbers and depths that
            Python would not read.
    """
    text = json.dumps(document, allow_nan=False, indent=2)
    for name, value in members.items():
        text = text.removesuffix("\n}") + f',\n  "{name}": {value}\n}}'
    sys.stdout.write(_NOT_PLAIN.sub(_escaped, text) + "\n")


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def is_terminal(stream: TextIO | None = None) -> bool:
    """True when the stream (stdout) is a terminal that understands escape sequences."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


def width() -> int | None:
    """Cells of a line, None where lines are never cut because nobody looks at a screen."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def paint(text: str, style: str) -> str:
    """Colour ``text`` where that is wanted: on a terminal, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or not is_terminal():
        return text
    return f"\x1b[{_SGR[style]}m{text}\x1b[0m"


def mute() -> None:
    """Let what is still buffered for stdout vanish: its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
