"""The dashboard's small tables: places, panes, tabs, rates, timelines, columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine import BadQuery, ErrorInfo, State, Why
from tests.tui.stores import NOW, task
from tui.facts import facts
from tui.goto import GoTo, NoSuchPlace, parse_goto
from tui.live import freshened, is_older
from tui.meter import Meter
from tui.pane import Extent, Pane
from tui.timeline import stretches
from tui.views import VIEWS, read_query
from tui.widgets.columns import layout


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("42", GoTo(task_id=42)),
        (" task 42 ", GoTo(task_id=42)),
        ("#7", GoTo(task_id=7)),
        ("9" * 40, GoTo(task_id=2**63 - 1)),
        ("failed", GoTo(view=5)),
        ("RUN", GoTo(view=2)),
        ("lost", GoTo(view=5)),
        ("sort age", GoTo(newest_first=True)),
        ("sort -id", GoTo(newest_first=False)),
        ("q", GoTo(action="app.quit")),
        ("help", GoTo(action="help")),
    ],
)
def test_places(text: str, place: GoTo) -> None:
    """What can be typed after the colon."""
    assert parse_goto(text) == place


@pytest.mark.parametrize("text", ["", "nowhere", "sort name", "1 2", "٣", "task", "-1"])
def test_no_such_place(text: str) -> None:
    """Anything else is refused with what could be typed."""
    with pytest.raises(NoSuchPlace, match="type a task's number"):
        parse_goto(text)


@pytest.mark.parametrize(
    ("size", "extent", "beside"),
    [
        ((80, 24), Extent.CLOSED, False),
        ((120, 24), Extent.HALF, True),
        ((80, 40), Extent.HALF, False),
    ],
)
def test_the_pane_is_open_where_there_is_room(
    size: tuple[int, int], extent: Extent, beside: bool
) -> None:
    """Until somebody says otherwise the size of the screen decides."""
    pane = Pane()
    pane.fit(*size)
    assert (pane.extent, pane.beside, pane.back()) == (extent, beside, False)


def test_the_pane_goes_back_one_step_at_a_time() -> None:
    """Esc undoes one enlargement, down to how it was."""
    pane = Pane()
    pane.fit(80, 24)
    for _ in range(3):
        pane.resize(1)
    assert pane.extent is Extent.FULL
    assert [(pane.back(), pane.extent) for _ in range(3)] == [
        (True, Extent.HALF),
        (True, Extent.CLOSED),
        (False, Extent.CLOSED),
    ]


def test_a_pane_can_be_closed_where_there_is_room() -> None:
    """The user's word counts more than the size of the screen."""
    pane = Pane()
    pane.fit(120, 40)
    pane.resize(-1)
    assert (pane.extent, pane.back()) == (Extent.CLOSED, False)


def test_the_tabs_hold_every_state_once() -> None:
    """The tabs after the first split all tasks without gap or overlap."""
    states = [state for view in VIEWS[1:] for state in view.states]
    assert sorted(states) == sorted(State)
    counts = dict.fromkeys(State, 2)
    assert VIEWS[0].count(counts) == sum(view.count(counts) for view in VIEWS[1:])


def test_tab_and_filter_make_one_query() -> None:
    """What is typed narrows the tab; an unfinished last term does not count yet."""
    assert read_query(VIEWS[3], " disk age>").text == "state:polling disk"
    assert read_query(VIEWS[0], "").text == ""


def test_a_bad_filter_marks_its_bad_part() -> None:
    """The marks are places in what was typed, whatever the tab."""
    with pytest.raises(BadQuery) as bad:
        read_query(VIEWS[3], "ok nofield:1 more")
    assert (bad.value.start, bad.value.end) == (3, 10)


def test_a_rate_is_the_slope_of_the_last_seconds() -> None:
    """Ten a second over five seconds; what lies further back does not count."""
    meter = Meter(span=5.0)
    assert meter.rate() == 0.0
    for second in range(20):
        meter.note(float(second), 0 if second < 10 else (second - 10) * 10)
    assert meter.rate() == 10.0


def test_a_counter_that_falls_starts_the_rate_afresh() -> None:
    """Retention deletes rows: that is not negative work."""
    meter = Meter()
    meter.note(0.0, 100)
    meter.note(1.0, 40)
    assert meter.rate() == 0.0
    meter.note(2.0, 45)
    assert meter.rate() == 5.0


def words(task_state: State, **more: object) -> list[tuple[str, float, bool]]:
    row = task(60, task_state, submitted_at=NOW - 10, **more)
    return [(part.word, part.seconds, part.open) for part in stretches(row, NOW)]


def test_timelines_tell_the_waits() -> None:
    """Queued, ran, polled: each stretch with its length, the last one open while it lasts."""
    assert words(State.QUEUED) == [("queued", 10.0, True)]
    assert words(State.RUNNING, started_at=NOW - 4) == [("queued", 6.0, False), ("runs", 4.0, True)]
    assert words(State.SUCCEEDED, started_at=NOW - 8, polling_at=NOW - 7, finished_at=NOW - 2) == [
        ("queued", 2.0, False),
        ("ran", 1.0, False),
        ("polled", 5.0, False),
    ]
    assert words(State.WAITING, attempts=2, started_at=NOW - 9) == [("waits", 10.0, True)]
    assert words(State.RUNNING, attempts=2, started_at=NOW - 1)[0] == ("earlier", 9.0, False)
    assert words(State.CANCELLED, attempts=0, started_at=None, polling_at=None) == [
        ("queued", 5.0, False)
    ]


def test_a_clock_that_was_turned_back_makes_no_negative_stretch() -> None:
    """Wall times may jump; lengths do not go below nothing."""
    assert words(State.RUNNING, started_at=NOW + 5) == [
        ("queued", 15.0, False),
        ("runs", 0.0, True),
    ]


def test_facts_name_only_what_there_is() -> None:
    """A plain task has a line for its kind and its mode; others say what is special."""
    plain = task(1, kind="k", name="n")
    assert dict(facts(plain, NOW)) == {"kind": "k", "mode": "blocking"}
    odd = task(
        1,
        State.CANCELLING,
        kind="k",
        name="k",
        why=Why.ATTEMPT_TIMEOUT,
        attempts=2,
        attempts_allowed=3,
        timeout=5.0,
        deadline=NOW + 90,
        parent=9,
        tags=("a", "b"),
    )
    assert dict(facts(odd, NOW)) == {
        "mode": "blocking",
        "tags": "a b",
        "attempts": "2 of 3",
        "timeout": "5.00s an attempt",
        "deadline": "in 1m30s",
        "parent": "#9",
        "must end": "attempt timeout",
    }


@given(
    st.integers(0, 220),
    st.integers(1, 2**63 - 1),
    st.text(max_size=40),
    st.sampled_from(list(State)),
)
def test_cells_are_exactly_as_wide_as_their_columns(
    width: int, top: int, name: str, state: State
) -> None:
    """Whatever stands in a row, its columns stay where they are."""
    row = task(1, state, name=name, error=ErrorInfo(name, name), polls=10**9)
    columns = layout(width, top)
    for column in columns:
        assert cell_len(column.draw(row, NOW).text) == column.width
    if width >= 30 and top < 10**6:
        assert sum(column.width + 1 for column in columns) - 1 == width


def test_the_engine_knows_the_looks_of_this_second() -> None:
    """Polls come from the engine where it speaks of the same recorded move; odd answers change
    nothing, and an older sample from the file does not turn the count back."""
    row = task(2, State.POLLING, polls=4, epoch=1, revision=7)
    answer: dict[str, object] = {
        "id": 2,
        "revision": "1.7",
        "polls": 9,
        "failed_looks": 1,
        "next_poll_at": "2026-09-21T14:13:21.500Z",
    }
    fresh = freshened(row, answer)
    assert (fresh.polls, fresh.failed_looks, fresh.next_poll_at) == (9, 1, 1_790_000_001.5)
    odd_answers: list[dict[str, object]] = [
        {"revision": "1.8"},
        {"id": 3},
        {"polls": "x", "failed_looks": None, "next_poll_at": "?"},
    ]
    for odd in odd_answers:
        assert freshened(row, answer | odd) == row
    assert (is_older(row, fresh), is_older(fresh, row)) == (True, False)
