"""The table of moves, over the whole product of states, causes and facts.

`expected` below is the same contract written a second time, as prose turned into branches, from
the page that promises it and without a look at the table.
"""

from __future__ import annotations

import itertools
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import IllegalMove
from engine.history import LEGAL, is_path
from engine.model import FINAL, LIVE, State, Why
from engine.moves import Cause, Facts, Step
from engine.transitions import RULES, decide

W, Q, R, P, C = State.WAITING, State.QUEUED, State.RUNNING, State.POLLING, State.CANCELLING
OK, BAD, OUT, LATE, GONE = (
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
    State.TIMED_OUT,
    State.LOST,
)
STATES: Final[tuple[State | None, ...]] = (None, *State)

MOVES: Final[dict[str, set[tuple[State | None, State]]]] = {
    "T1": {(None, Q), (None, W)},
    "T2": {(W, Q)},
    "T3": {(Q, R)},
    "T4": {(R, P)},
    "T6": {(R, OK), (P, OK)},
    "T7": {(R, W), (P, W)},
    "T8": {(R, BAD), (R, LATE), (R, OUT), (P, BAD), (P, LATE), (P, OUT)},
    # Only a waiting task waits on another one, whose failure can end it.
    "T9": {(W, OUT), (W, LATE), (W, BAD), (Q, OUT), (Q, LATE)},
    # The third is no new state but a new reason: more is over than the attempt.
    "T10": {(R, C), (P, C), (C, C)},
    "T11": {(C, OUT), (C, LATE), (C, W)},
    "T12": {(C, OK)},
    # What must end has ended with its process: T16 tells how, and it is not lost.
    "T13": {(W, GONE), (Q, GONE), (R, GONE), (P, GONE)},
    "T14": {(R, Q), (P, Q)},
    "T15": {(R, P), (P, P)},
    "T16": {(C, OUT), (C, LATE)},
    "T17": {(W, BAD), (Q, BAD), (R, BAD), (P, BAD), (C, BAD)},
}
TRIPLES: Final = {(move, *pair) for move, pairs in MOVES.items() for pair in pairs}

ALL_FACTS: Final = [
    Facts(
        body_alive=alive,
        attempts_left=left,
        why=why,
        stopping_for=stopping_for,
        deferred=deferred,
        recoverable=recoverable,
        may_run_again=again,
        has_handle=handle,
    )
    for alive, left, deferred, recoverable, again, handle in itertools.product(
        (False, True), repeat=6
    )
    for why in (None, *Why)
    for stopping_for in (None, *Why)
]


def expected(state: State | None, cause: Cause, facts: Facts) -> tuple[str, State] | None:  # noqa: PLR0911  a promise a line
    """The move that the page promises; None where it promises that nothing happens."""
    if state is None:
        if cause is Cause.SUBMITTED:
            return ("T1", W if facts.deferred else Q)
        return None
    if state in FINAL:
        return None
    if cause is Cause.QUARANTINED:
        return ("T17", BAD)
    if state in {W, Q}:
        return unstarted(state, cause, facts)
    if state in {R, P}:
        return started(state, cause, facts)
    return cancelling(cause, facts)


def unstarted(state: State, cause: Cause, facts: Facts) -> tuple[str, State] | None:  # noqa: PLR0911  a promise a line
    if cause is Cause.CRASHED:
        return None if facts.recoverable else ("T13", GONE)
    if cause is Cause.STOPPED:
        if facts.why is Why.ASKED:
            return ("T9", OUT)
        # An attempt's timeout runs from its start: there is none yet.
        return ("T9", LATE) if facts.why in {Why.START_BY, Why.DEADLINE} else None
    if state is W and cause is Cause.DUE:
        return ("T2", Q)
    if state is W and cause is Cause.BLOCKED:
        return ("T9", BAD)
    if state is Q and cause is Cause.ADMITTED:
        return ("T3", R)
    return None


def started(state: State, cause: Cause, facts: Facts) -> tuple[str, State] | None:  # noqa: PLR0911  a promise a line
    if cause is Cause.STARTED and state is R:
        return ("T4", P)
    if cause is Cause.OUTPUT:
        return ("T6", OK)
    if cause is Cause.RAISED:
        return ("T7", W) if facts.attempts_left else ("T8", BAD)
    if cause is Cause.CRASHED:
        if not facts.recoverable:
            return ("T13", GONE)
        if facts.has_handle:
            return ("T15", P)
        return ("T14", Q) if facts.may_run_again else ("T13", GONE)
    if cause is not Cause.STOPPED or facts.why in {None, Why.START_BY}:
        return None  # what has started, has started by any time
    if facts.body_alive:
        return ("T10", C)
    if facts.why is Why.ASKED:
        return ("T8", OUT)
    again = facts.why is Why.ATTEMPT_TIMEOUT and facts.attempts_left
    return ("T7", W) if again else ("T8", LATE)


def cancelling(cause: Cause, facts: Facts) -> tuple[str, State] | None:  # noqa: PLR0911  a promise a line
    if cause is Cause.STOPPED:
        pending = facts.stopping_for is Why.ATTEMPT_TIMEOUT and facts.attempts_left
        return ("T10", C) if pending and facts.why in {Why.ASKED, Why.DEADLINE} else None
    if facts.why in {None, Why.START_BY}:
        return None
    if cause is Cause.OUTPUT:
        return ("T12", OK) if facts.why is Why.ASKED else None
    again = facts.why is Why.ATTEMPT_TIMEOUT and facts.attempts_left
    if cause is Cause.BODY_ENDED:
        if facts.why is Why.ASKED:
            return ("T11", OUT)
        return ("T11", W) if again else ("T11", LATE)
    if cause is Cause.CRASHED:
        return ("T16", OUT if facts.why is Why.ASKED else LATE)
    return None


def decided(state: State | None, cause: Cause, facts: Facts) -> Step | None:
    try:
        return decide(state, cause, facts)
    except IllegalMove:
        return None


# -- the whole product ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_the_table_is_what_the_page_promises(state: State | None) -> None:
    """For each cause and all 1,600 combinations of facts: the promised move, or IllegalMove."""
    different = [
        (cause, facts)
        for cause in Cause
        for facts in ALL_FACTS
        if expected(state, cause, facts) != decided(state, cause, facts)
    ]
    assert different == []


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_at_most_one_rule_applies(state: State | None) -> None:
    """The order of the table does not matter: no two of its rows answer the same question."""
    for cause in Cause:
        rules = [rule for rule in RULES if state in rule.sources and rule.cause is cause]
        assert [] == [f for f in ALL_FACTS if sum(rule.when(f) for rule in rules) > 1]


@pytest.mark.slow
def test_every_promised_move_can_happen_and_no_other() -> None:
    """Name, from and to: each one of the page's is reached by some facts, and nothing else is."""
    reached = {
        (step.move, state, step.target)
        for state in STATES
        for cause in Cause
        for facts in ALL_FACTS
        if (step := decided(state, cause, facts))
    }
    assert reached == TRIPLES
    assert {(source, target) for _, source, target in TRIPLES} == LEGAL


def test_the_pairs_of_states_part_into_legal_and_illegal() -> None:
    """Of 110 pairs of states 36 are connected; the others are not, whatever happens."""
    pairs = set(itertools.product(STATES, State))
    assert len(pairs) == 110
    assert len(LEGAL) == 36
    assert {pair for pair in pairs if pair[0] in FINAL} & LEGAL == set()
    assert {source for source, _ in LEGAL} == {None, *LIVE}
    assert {target for _, target in LEGAL} == set(State)


@pytest.mark.slow
@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_has_no_way_out(state: State) -> None:
    """Whatever the cause and the facts, a task that has ended stays as it is."""
    moves = [decided(state, cause, facts) for cause in Cause for facts in ALL_FACTS]
    assert {None} == set(moves)


def test_an_illegal_move_says_what_it_was() -> None:
    """The error carries state, cause and facts, for the report of the defect that it is."""
    facts = Facts(why=Why.DEADLINE)
    with pytest.raises(IllegalMove, match="no move from succeeded when admitted") as caught:
        decide(State.SUCCEEDED, Cause.ADMITTED, facts)
    assert (caught.value.state, caught.value.cause) == (State.SUCCEEDED, Cause.ADMITTED)
    assert caught.value.facts == facts
    with pytest.raises(IllegalMove, match="no move from nothing when due"):
        decide(None, Cause.DUE, facts)


# -- single promises, in words -------------------------------------------------------------------


def test_nothing_ends_cancelled_or_timed_out_while_a_body_is_alive() -> None:
    """A stop of a started task with a body alive leads to cancelling, for any reason."""
    for state, facts in itertools.product((R, P), ALL_FACTS):
        if facts.body_alive and (step := decided(state, Cause.STOPPED, facts)):
            assert step == Step("T10", C)


@pytest.mark.parametrize("why", [Why.ASKED, Why.DEADLINE])
def test_a_body_that_overstayed_gets_no_further_attempt_once_more_is_over(why: Why) -> None:
    """The move cancelling → cancelling (T10) changes the reason, which then decides the end."""
    more = Facts(attempts_left=True, why=why, stopping_for=Why.ATTEMPT_TIMEOUT)
    assert decide(C, Cause.STOPPED, more) == Step("T10", C)
    end = decide(C, Cause.BODY_ENDED, Facts(attempts_left=True, why=why))
    assert end == Step("T11", OUT if why is Why.ASKED else LATE)
    before = Facts(attempts_left=True, why=Why.ATTEMPT_TIMEOUT)
    assert decide(C, Cause.BODY_ENDED, before) == Step("T11", W)


def test_a_reason_is_not_changed_where_it_would_change_nothing() -> None:
    """A second cancel, or a deadline after a cancel, is no move."""
    for why, stopping_for in itertools.product(Why, (Why.ASKED, Why.DEADLINE)):
        facts = Facts(attempts_left=True, why=why, stopping_for=stopping_for)
        assert decided(C, Cause.STOPPED, facts) is None


def test_an_output_that_comes_too_late_does_not_succeed() -> None:
    """After a timeout only the body's end counts; after a cancel its output wins."""
    assert decide(C, Cause.OUTPUT, Facts(why=Why.ASKED)) == Step("T12", OK)
    for why in (Why.ATTEMPT_TIMEOUT, Why.DEADLINE):
        assert decided(C, Cause.OUTPUT, Facts(why=why)) is None


# -- histories -----------------------------------------------------------------------------------

steps = st.tuples(st.sampled_from(Cause), st.sampled_from(ALL_FACTS))


@st.composite
def walks(draw: st.DrawFn) -> list[tuple[str, State | None, State]]:
    """What a task may live through: legal moves from its submission on."""
    path: list[tuple[str, State | None, State]] = []
    at: State | None = None
    for _ in range(draw(st.integers(1, 12))):
        options = sorted(triple for triple in TRIPLES if triple[1] is at)
        if not options:
            break
        path.append(draw(st.sampled_from(options)))
        at = path[-1][2]
    return path


def is_walk(path: list[tuple[str, State | None, State]]) -> bool:
    """Whether it is a history, by the table written out above."""
    sources = [None, *(target for _, _, target in path[:-1])]
    return bool(path) and all(
        move in TRIPLES and move[1] is source for move, source in zip(path, sources, strict=True)
    )


@given(walks())
def test_a_walk_over_the_table_is_a_history(path: list[tuple[str, State | None, State]]) -> None:
    """Any sequence of legal moves from the submission on is recognised, and so is its beginning."""
    for length in range(1, len(path) + 1):
        assert is_path(path[:length])
    assert not is_path([])


@given(st.lists(steps, max_size=60))
def test_what_decide_allows_is_a_history(moves: list[tuple[Cause, Facts]]) -> None:
    """Whatever happens to a task, in any order: the moves that were allowed form a history."""
    path: list[tuple[str, State | None, State]] = []
    at: State | None = None
    for cause, facts in [(Cause.SUBMITTED, Facts()), *moves]:
        if step := decided(at, cause, facts):
            path.append((step.move, at, step.target))
            at = step.target
    assert is_path(path)


@given(walks(), st.data())
def test_a_history_with_one_thing_changed_is_told(
    path: list[tuple[str, State | None, State]], data: st.DataObject
) -> None:
    """A move left out, doubled, exchanged or changed in a part is noticed, unless that happens to
    give a history again."""
    at = data.draw(st.integers(0, len(path) - 1))
    move, source, target = path[at]
    instead = data.draw(
        st.sampled_from(
            [
                [],
                [path[at], path[at]],
                [data.draw(st.sampled_from(sorted(TRIPLES, key=str)))],
                [(data.draw(st.sampled_from(sorted(MOVES))), source, target)],
                [(move, data.draw(st.sampled_from(STATES)), target)],
                [(move, source, data.draw(st.sampled_from(State)))],
                [("T5", source, source or target)],
                [("T18", source, target)],
            ]
        )
    )
    changed = [*path[:at], *instead, *path[at + 1 :]]
    assert is_walk(changed) is is_path(changed)


def test_a_history_begins_with_a_submission() -> None:
    """What was never submitted has no history, and nothing is submitted twice."""
    assert is_path([("T1", None, Q), ("T3", Q, R), ("T6", R, OK)])
    assert not is_path([("T3", Q, R)])
    assert not is_path([("T1", None, Q), ("T1", None, Q)])
    assert not is_path([("T1", None, Q), ("T6", R, OK)])
    assert not is_path([("T1", None, Q), ("T3", Q, R), ("T6", R, OK), ("T17", R, BAD)])
