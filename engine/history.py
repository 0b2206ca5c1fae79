"""Checks what was recorded of tasks against the table of transitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .transitions import RULES

if TYPE_CHECKING:
    from .model import State

LEGAL: Final[frozenset[tuple[State | None, State]]] = frozenset(
    (source, rule.target) for rule in RULES for source in rule.sources
)
"""Every pair of states that some move connects."""

_MOVES: Final = frozenset(
    (rule.move, source, rule.target) for rule in RULES for source in rule.sources
)


def is_path(moves: Iterable[tuple[str, State | None, State]]) -> bool:
    """True when the moves (name, from, to) of one task, in order, are a walk over this table
    that begins with T1."""
    at: State | None = None
    for move, source, target in moves:
        if source is not at or (move, source, target) not in _MOVES:
            return False
        at = target
    return at is not None
