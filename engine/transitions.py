"""The only legal moves of a task: one pure table, and the function that reads it.

* Every rule about which state may follow which stands in this file and in no other.
* A move has a *cause* (what happened) and *facts* (what is true at that moment). For a state, a
  cause and facts there is at most one move; where there is none, nothing changes.
* A task is never `cancelled` or `timed_out` while a body of it is alive. While one is, it is
  `cancelling`, and the end of the body decides (T10 to T12).
* Final states have no way out. A retry is a new task.

The move's name (T1 … T17) goes into the event, so that a history can be checked against this table
(`engine.history`). Deleting a final row (T18) is retention's business and no move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .errors import IllegalMove
from .model import LIVE, State, Why
from .moves import Cause, Facts, Step

_S, _C = State, Cause


class Rule(NamedTuple):
    """One row: from these states, for this cause, when these facts hold, to that state."""

    move: str
    sources: frozenset[State | None]
    cause: Cause
    target: State
    when: Callable[[Facts], bool]


def _always(_: Facts) -> bool:
    return True


def _asked(facts: Facts) -> bool:
    return facts.why is Why.ASKED


def _retried(facts: Facts) -> bool:
    return facts.why is Why.ATTEMPT_TIMEOUT and facts.attempts_left


def _overstayed(facts: Facts) -> bool:
    return facts.why in {Why.ATTEMPT_TIMEOUT, Why.DEADLINE}


def _timed_out(facts: Facts) -> bool:
    return _overstayed(facts) and not _retried(facts)


def _too_late_to_start(facts: Facts) -> bool:
    return facts.why in {Why.START_BY, Why.DEADLINE}


def _must_end(facts: Facts) -> bool:
    return facts.body_alive and facts.why in {Why.ASKED, Why.ATTEMPT_TIMEOUT, Why.DEADLINE}


def _must_end_for_more(facts: Facts) -> bool:
    # A body that only overstayed its attempt must not get another one once more is over than that.
    pending = facts.stopping_for is Why.ATTEMPT_TIMEOUT and facts.attempts_left
    return pending and facts.why in {Why.ASKED, Why.DEADLINE}


def _no_body(when: Callable[[Facts], bool]) -> Callable[[Facts], bool]:
    return lambda facts: not facts.body_alive and when(facts)


def _made_again(*, may_run: bool) -> Callable[[Facts], bool]:
    return lambda f: f.recoverable and not f.has_handle and f.may_run_again is may_run


def _from(*sources: State | None) -> frozenset[State | None]:
    return frozenset(sources)


_NEW: Final = _from(None)
_UNSTARTED: Final = _from(_S.WAITING, _S.QUEUED)
_STARTED: Final = _from(_S.RUNNING, _S.POLLING)
_CANCELLING: Final = _from(_S.CANCELLING)

RULES: Final[tuple[Rule, ...]] = (
    Rule("T1", _NEW, _C.SUBMITTED, _S.QUEUED, lambda f: not f.deferred),
    Rule("T1", _NEW, _C.SUBMITTED, _S.WAITING, lambda f: f.deferred),
    Rule("T2", _from(_S.WAITING), _C.DUE, _S.QUEUED, _always),
    Rule("T3", _from(_S.QUEUED), _C.ADMITTED, _S.RUNNING, _always),
    Rule("T4", _from(_S.RUNNING), _C.STARTED, _S.POLLING, _always),
    Rule("T6", _STARTED, _C.OUTPUT, _S.SUCCEEDED, _always),
    Rule("T7", _STARTED, _C.RAISED, _S.WAITING, lambda f: f.attempts_left),
    Rule("T7", _STARTED, _C.STOPPED, _S.WAITING, _no_body(_retried)),
    Rule("T8", _STARTED, _C.RAISED, _S.FAILED, lambda f: not f.attempts_left),
    Rule("T8", _STARTED, _C.STOPPED, _S.TIMED_OUT, _no_body(_timed_out)),
    Rule("T8", _STARTED, _C.STOPPED, _S.CANCELLED, _no_body(_asked)),
    Rule("T9", _UNSTARTED, _C.STOPPED, _S.CANCELLED, _asked),
    Rule("T9", _UNSTARTED, _C.STOPPED, _S.TIMED_OUT, _too_late_to_start),
    Rule("T9", _from(_S.WAITING), _C.BLOCKED, _S.FAILED, _always),
    Rule("T10", _STARTED, _C.STOPPED, _S.CANCELLING, _must_end),
    Rule("T10", _CANCELLING, _C.STOPPED, _S.CANCELLING, _must_end_for_more),
    Rule("T11", _CANCELLING, _C.BODY_ENDED, _S.CANCELLED, _asked),
    Rule("T11", _CANCELLING, _C.BODY_ENDED, _S.TIMED_OUT, _timed_out),
    Rule("T11", _CANCELLING, _C.BODY_ENDED, _S.WAITING, _retried),
    Rule("T12", _CANCELLING, _C.OUTPUT, _S.SUCCEEDED, _asked),
    Rule("T13", _UNSTARTED | _STARTED, _C.CRASHED, _S.LOST, lambda f: not f.recoverable),
    Rule("T13", _STARTED, _C.CRASHED, _S.LOST, _made_again(may_run=False)),
    Rule("T14", _STARTED, _C.CRASHED, _S.QUEUED, _made_again(may_run=True)),
    Rule("T15", _STARTED, _C.CRASHED, _S.POLLING, lambda f: f.recoverable and f.has_handle),
    Rule("T16", _CANCELLING, _C.CRASHED, _S.CANCELLED, _asked),
    Rule("T16", _CANCELLING, _C.CRASHED, _S.TIMED_OUT, _overstayed),
    Rule("T17", frozenset(LIVE), _C.QUARANTINED, _S.FAILED, _always),
)


def _by_state_and_cause() -> dict[tuple[State | None, Cause], tuple[Rule, ...]]:
    table: dict[tuple[State | None, Cause], tuple[Rule, ...]] = {}
    for rule in RULES:
        for source in rule.sources:
            table[source, rule.cause] = (*table.get((source, rule.cause), ()), rule)
    return table


_TABLE: Final = _by_state_and_cause()


def decide(state: State | None, cause: Cause, facts: Facts) -> Step:
    """The one move from ``state`` (None: not submitted yet) for ``cause`` and ``facts``.

    Raises IllegalMove where the table has none.
    """
    for rule in _TABLE.get((state, cause), ()):
        if rule.when(facts):
            return Step(rule.move, rule.target)
    raise IllegalMove(state, cause, facts)
