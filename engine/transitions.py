"""The only legal moves of a task: one pure table, and the function that reads it.

Rules

* Every rule about which state may follow which stands in this file and in no other.
* A move has a *cause* (what happened) and *facts* (what is true at that moment). For a state, a
  cause and facts there is at most one move; where there is none, `decide` raises `IllegalMove` and
  nothing has changed.
* A task is never given the final state `cancelled` or `timed_out` while a body of it is alive.
  While one is, it is `cancelling`, and the end of the body decides (T10 to T12).
* Final states have no way out. A retry is a new task.

Theory of operation

The store asks ``decide(state, cause, facts)`` before it applies anything, and writes the move's
name (T1 … T17) into the event, so that a history can be checked against this table afterwards
(`is_path`). Deleting a final row (T18) is retention's business and no move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from .errors import IllegalMove
from .model import LIVE, State, Why

_S = State


class Cause(StrEnum):
    """What happened to a task."""

    SUBMITTED = "submitted"
    DUE = "due"
    """Its not-before time, its pause or what it waited on is over."""
    ADMITTED = "admitted"
    """It got a slot; an attempt begins."""
    STARTED = "started"
    """run() has returned without an output."""
    OUTPUT = "output"
    """The output is in hand."""
    RAISED = "raised"
    """The attempt ended with an error."""
    STOPPED = "stopped"
    """It has to end: asked, or a time has passed; `Facts.why` says which."""
    BODY_ENDED = "body_ended"
    """The body that kept it `cancelling` has ended without an output."""
    BLOCKED = "blocked"
    """What it waited on did not succeed."""
    CRASHED = "crashed"
    """Its process died; seen at the next opening of the store."""
    QUARANTINED = "quarantined"
    """It is taken for the cause of crashes, or its row cannot be read."""


class Facts(NamedTuple):
    """What is true at the moment of a move."""

    body_alive: bool = False
    attempts_left: bool = False
    """For RAISED: also that the error may be retried."""
    why: Why | None = None
    """Why it has to end."""
    stopping_for: Why | None = None
    """Why a `cancelling` task already has to end."""
    deferred: bool = False
    """For SUBMITTED: it may not start yet."""
    recoverable: bool = False
    """The body can be made again from the row."""
    may_run_again: bool = True
    """False for at-most-once work that had started."""
    has_handle: bool = False
    """The running work can be found again."""


class Step(NamedTuple):
    """One row of the table, taken."""

    move: str
    target: State


class _Rule(NamedTuple):
    move: str
    sources: frozenset[State | None]
    cause: Cause
    target: State
    when: Callable[[Facts], bool]


def _always(_: Facts) -> bool:
    return True


def _timed_out(facts: Facts) -> bool:
    return facts.why in {Why.ATTEMPT_TIMEOUT, Why.DEADLINE, Why.START_BY}


def _retried(facts: Facts) -> bool:
    return facts.why is Why.ATTEMPT_TIMEOUT and facts.attempts_left


def _from(*sources: State | None) -> frozenset[State | None]:
    return frozenset(sources)


_UNSTARTED: Final = _from(_S.WAITING, _S.QUEUED)
_STARTED: Final = _from(_S.RUNNING, _S.POLLING)
_CANCELLING: Final = _from(_S.CANCELLING)
_RECOVERABLE: Final = _UNSTARTED | _STARTED

_RULES: Final[tuple[_Rule, ...]] = (
    _Rule("T1", _from(None), Cause.SUBMITTED, _S.QUEUED, lambda f: not f.deferred),
    _Rule("T1", _from(None), Cause.SUBMITTED, _S.WAITING, lambda f: f.deferred),
    _Rule("T2", _from(_S.WAITING), Cause.DUE, _S.QUEUED, _always),
    _Rule("T3", _from(_S.QUEUED), Cause.ADMITTED, _S.RUNNING, _always),
    _Rule("T4", _from(_S.RUNNING), Cause.STARTED, _S.POLLING, _always),
    _Rule("T6", _STARTED, Cause.OUTPUT, _S.SUCCEEDED, _always),
    _Rule("T7", _STARTED, Cause.RAISED, _S.WAITING, lambda f: f.attempts_left),
    _Rule("T8", _STARTED, Cause.RAISED, _S.FAILED, lambda f: not f.attempts_left),
    _Rule("T7", _STARTED, Cause.STOPPED, _S.WAITING, lambda f: not f.body_alive and _retried(f)),
    _Rule(
        "T8",
        _STARTED,
        Cause.STOPPED,
        _S.TIMED_OUT,
        lambda f: not f.body_alive and _timed_out(f) and not _retried(f),
    ),
    _Rule(
        "T8",
        _STARTED,
        Cause.STOPPED,
        _S.CANCELLED,
        lambda f: not f.body_alive and f.why is Why.ASKED,
    ),
    _Rule("T9", _UNSTARTED, Cause.STOPPED, _S.CANCELLED, lambda f: f.why is Why.ASKED),
    _Rule(
        "T9",
        _UNSTARTED,
        Cause.STOPPED,
        _S.TIMED_OUT,
        lambda f: f.why in {Why.START_BY, Why.DEADLINE},
    ),
    _Rule("T9", _from(_S.WAITING), Cause.BLOCKED, _S.FAILED, _always),
    _Rule(
        "T10",
        _STARTED,
        Cause.STOPPED,
        _S.CANCELLING,
        lambda f: f.body_alive and f.why is not None and f.why is not Why.START_BY,
    ),
    # A body that only overstayed its attempt must not get another one once more is over than that.
    _Rule(
        "T10",
        _CANCELLING,
        Cause.STOPPED,
        _S.CANCELLING,
        lambda f: f.stopping_for is Why.ATTEMPT_TIMEOUT and f.why in {Why.ASKED, Why.DEADLINE},
    ),
    _Rule("T11", _CANCELLING, Cause.BODY_ENDED, _S.CANCELLED, lambda f: f.why is Why.ASKED),
    _Rule("T11", _CANCELLING, Cause.BODY_ENDED, _S.WAITING, _retried),
    _Rule(
        "T11",
        _CANCELLING,
        Cause.BODY_ENDED,
        _S.TIMED_OUT,
        lambda f: _timed_out(f) and not _retried(f),
    ),
    _Rule("T12", _CANCELLING, Cause.OUTPUT, _S.SUCCEEDED, lambda f: f.why is Why.ASKED),
    _Rule("T13", _RECOVERABLE, Cause.CRASHED, _S.LOST, lambda f: not f.recoverable),
    _Rule(
        "T13",
        _STARTED,
        Cause.CRASHED,
        _S.LOST,
        lambda f: f.recoverable and not f.has_handle and not f.may_run_again,
    ),
    _Rule(
        "T14",
        _STARTED,
        Cause.CRASHED,
        _S.QUEUED,
        lambda f: f.recoverable and not f.has_handle and f.may_run_again,
    ),
    _Rule("T15", _STARTED, Cause.CRASHED, _S.POLLING, lambda f: f.recoverable and f.has_handle),
    _Rule("T16", _CANCELLING, Cause.CRASHED, _S.CANCELLED, lambda f: f.why is Why.ASKED),
    _Rule("T16", _CANCELLING, Cause.CRASHED, _S.TIMED_OUT, _timed_out),
    _Rule("T17", frozenset(LIVE), Cause.QUARANTINED, _S.FAILED, _always),
)


def _by_state_and_cause() -> dict[tuple[State | None, Cause], tuple[_Rule, ...]]:
    table: dict[tuple[State | None, Cause], tuple[_Rule, ...]] = {}
    for rule in _RULES:
        for source in rule.sources:
            table[source, rule.cause] = (*table.get((source, rule.cause), ()), rule)
    return table


_TABLE: Final = _by_state_and_cause()

LEGAL: Final[frozenset[tuple[State | None, State]]] = frozenset(
    (source, rule.target) for rule in _RULES for source in rule.sources
)
"""Every pair of states that some move connects."""

_MOVES: Final[frozenset[tuple[str, State | None, State]]] = frozenset(
    (rule.move, source, rule.target) for rule in _RULES for source in rule.sources
)


def decide(state: State | None, cause: Cause, facts: Facts) -> Step:
    """The one move from ``state`` (None: not submitted yet) for ``cause`` and ``facts``.

    Raises IllegalMove where the table has none.
    """
    for rule in _TABLE.get((state, cause), ()):
        if rule.when(facts):
            return Step(rule.move, rule.target)
    raise IllegalMove(state, cause, facts)


def is_path(moves: Iterable[tuple[str, State | None, State]]) -> bool:
    """True when the moves (name, from, to) of one task, in order, are a walk over this table
    that begins with T1."""
    at: State | None = None
    for move, source, target in moves:
        if source is not at or (move, source, target) not in _MOVES:
            return False
        at = target
    return at is not None
