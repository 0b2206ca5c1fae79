"""A task told in words for the detail pane: overview, timeline, error, output."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from textual.content import Content

from ..facts import facts
from ..text import LOOKS, clip, count, duration, safe_block, safe_text
from ..timeline import stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine import ErrorInfo, TaskSnapshot

Piece: TypeAlias = "str | tuple[str, str]"

LABEL: Final = 11
"""Cells of the names on the left."""

BLOCK_LIMIT: Final = 16_384
"""Characters shown of an output or a traceback; the rest is only counted."""

_HEAD: Final = "$text-primary bold"
_QUIET: Final = "$foreground-muted"


def tell(task: TaskSnapshot, output: str | None, now: float, width: int) -> Content:
    """All that is known of a task, for a pane of a width, at the wall time ``now``.

    ``output`` is its JSON text, or why there is none; None leaves it out.
    """
    pieces: list[Piece] = [*_title(task), "\n"]
    pieces += _facts(task, now)
    pieces += ["\n", ("Timeline", _HEAD), "\n", *_timeline(task, now, width)]
    if task.error is not None:
        word = "Error" if task.state.final else "Last error"
        pieces += ["\n", (word, _HEAD), "\n", *_error(task.error)]
    if task.late:
        pieces += ["\n", ("What came too late", _HEAD), "\n", _block(task.late), "\n"]
    if output is not None:
        pieces += ["\n", ("Output", _HEAD), "\n", _block(_pretty(output)), "\n"]
    return Content.assemble(*pieces)


def _title(task: TaskSnapshot) -> Iterator[Piece]:
    look = LOOKS[task.state]
    colour = _QUIET if look.role == "muted" else f"$text-{look.role}"
    yield (f"{look.glyph} {look.word}", f"{colour} bold")
    yield (f"  #{task.id}", _QUIET)
    yield "\n"
    yield (safe_text(task.name or task.kind or "–"), "bold")
    yield "\n"


def _facts(task: TaskSnapshot, now: float) -> Iterator[Piece]:
    for label, value in facts(task, now):
        yield (label.ljust(LABEL), _QUIET)
        yield f"{safe_text(value)}\n"


def _timeline(task: TaskSnapshot, now: float, width: int) -> Iterator[Piece]:
    parts = stretches(task, now)
    whole = sum(part.seconds for part in parts) or 1.0
    room = max(4, min(40, width - LABEL - 10))
    yield ("submitted".ljust(LABEL), _QUIET)
    yield f"{_clock(task.submitted_at)}\n"
    for part in parts:
        role = LOOKS[part.state].role
        colour = _QUIET if role == "muted" else f"$text-{role}"
        bar = "━" * max(1, round(room * part.seconds / whole)) if part.seconds else "╸"
        yield (part.word.ljust(LABEL), _QUIET)
        yield f"{duration(part.seconds):>7} "
        yield (bar + ("╸" if part.open else ""), colour)
        yield "\n"
    if task.finished_at is not None:
        yield (LOOKS[task.state].word.ljust(LABEL), _QUIET)
        yield f"{_clock(task.finished_at)}\n"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def _error(error: ErrorInfo, indent: str = "") -> Iterator[Piece]:
    yield (f"{indent}{safe_text(error.type)}", "$text-error bold")
    message = safe_block(error.message[:BLOCK_LIMIT])
    yield f": {message}\n" if message else "\n"
    for note in error.notes:
        yield (f"{indent}{safe_block(note)}\n", _QUIET)
    if error.traceback:
        yield (f"{_block(error.traceback)}\n", _QUIET)
    for word, others in (("caused by", error.causes), ("holds", error.members)):
        for other in others:
            yield (f"{indent}{word} ", _QUIET)
            yield f"{clip(other.type, 60)}: {safe_text(other.message[:500])}\n"


def _pretty(text: str) -> str:
    if len(text) > BLOCK_LIMIT:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _block(text: str) -> str:
    shown = safe_block(text[:BLOCK_LIMIT].rstrip("\n"))
    left = len(text) - BLOCK_LIMIT
    return f"{shown}\n… {count(left)} more characters" if left > 0 else shown
