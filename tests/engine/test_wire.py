"""The documented JSON: what it holds, and that its page says so."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.model import (
    ErrorInfo,
    Event,
    Mode,
    OutputMark,
    Reset,
    Rung,
    State,
    TaskSnapshot,
    Why,
)
from engine.statistics import EngineStatistics
from engine.wire import (
    counts_json,
    error_json,
    event_json,
    milliseconds,
    statistics_json,
    task_json,
    time_json,
)

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
NOW = 1_772_366_400.25

STATISTICS = EngineStatistics(
    epoch=3,
    started_at=NOW,
    uptime=1.5,
    counts={State.QUEUED: 2},
    live=2,
    live_limit=10,
    capacity=4,
    slots_taken=1,
    threads_busy=1,
    poll_capacity=2,
    looks_busy=0,
    coroutines=0,
    attempts=1,
    polls=7,
    submitted=9,
    finished=7,
    stranded=0,
    zombies=0,
    revision=40,
    durable_revision=38,
    backlog=2,
    ids_reserved=1_000_001,
    draining=False,
)
EVENT = Event(3, 41, 7, "T3", State.QUEUED, State.RUNNING, NOW, 1, "why not")
ERROR = ErrorInfo("E", "m", "tb", ("n",), (ErrorInfo("C", "c"),), (ErrorInfo("M", "m"),))
any_float = st.floats() | st.sampled_from([0.0, -1.0, 1e18, -1e18, 253402300799.9999])


def task(**fields: Any) -> TaskSnapshot:
    return TaskSnapshot(**{"id": 7, "state": State.QUEUED, "submitted_at": NOW - 60.0, **fields})


def fields_of(title: str) -> dict[str, str]:
    """The fields that the page names under a title, with their types."""
    section = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    body = next(part for part in section if part.startswith(f"{title}\n"))
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", body, flags=re.MULTILINE))


DOCUMENTED: list[tuple[str, Mapping[str, object]]] = [
    ("Task", task_json(task(), NOW)),
    ("Error", error_json(ERROR)),
    ("Event", event_json(EVENT)),
    ("Reset", event_json(Reset("3.9"))),
    ("Counts", counts_json({})),
    ("Statistics", statistics_json(STATISTICS)),
]


@pytest.mark.parametrize(("title", "value"), DOCUMENTED, ids=[case[0] for case in DOCUMENTED])
def test_the_page_names_every_field_in_order(title: str, value: Mapping[str, object]) -> None:
    """docs/json.md and the code have the same fields."""
    assert list(fields_of(title)) == list(value)


def test_every_field_of_a_record_is_told() -> None:
    """Nothing of a snapshot, an event or the figures is left out: a new field must be added."""
    told = {name.removesuffix("_ms") for name in task_json(task(), NOW)} | {
        "epoch"
    }  # told with the revision
    assert set(TaskSnapshot.__struct_fields__) <= told
    assert set(Event.__struct_fields__) - {"epoch", "revision"} <= set(event_json(EVENT))
    figures = {name.removesuffix("_ms") for name in statistics_json(STATISTICS)}
    assert set(EngineStatistics.__struct_fields__) == figures
    assert set(ErrorInfo.__struct_fields__) == set(error_json(ERROR))


def test_the_page_names_every_word() -> None:
    """Each state, mode, reason, rung and mark stands on the page with its meaning."""
    text = PAGE.read_text("utf-8")
    for words in (State, Mode, Why, Rung, OutputMark):
        for word in words:
            assert f"`{word}`" in text


@st.composite
def tasks(draw: st.DrawFn) -> TaskSnapshot:
    """Any record that a row may hold, sensible or not."""
    maybe = st.none() | any_float
    return TaskSnapshot(
        id=draw(st.integers()),
        state=draw(st.sampled_from(State)),
        mode=draw(st.sampled_from(Mode)),
        mode_guessed=draw(st.booleans()),
        name=draw(st.text(st.characters(exclude_categories=["Cs"]))),
        arguments=draw(st.none() | st.text(max_size=5) | st.just("[" * 9_999) | st.just('{"a":1}')),
        handle=draw(st.none() | st.text(max_size=5)),
        submitted_at=draw(any_float),
        changed_at=draw(any_float),
        not_before=draw(maybe),
        timeout=draw(maybe),
        deadline=draw(maybe),
        finished_at=draw(maybe),
        duration=draw(maybe),
        unready_for=draw(maybe),
        why=draw(st.none() | st.sampled_from(Why)),
        rung=draw(st.none() | st.sampled_from(Rung)),
        output_mark=draw(st.none() | st.sampled_from(OutputMark)),
        error=draw(st.none() | st.just(ERROR)),
    )


def is_moment(value: object) -> bool:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    return isinstance(value, str) and bool(re.fullmatch(pattern, value, re.ASCII))


def is_interval(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and value[0] == 0.0 <= value[1] < math.inf


def all_of(kind: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(SHAPES[kind](item) for item in value)


SHAPES: dict[str, Callable[[object], bool]] = {
    "any": lambda value: True,
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: type(value) is bool,
    "string": lambda value: type(value) is str,
    # A row that holds NaN has no time to tell.
    "moment": lambda value: value is None or is_moment(value),
    "duration": lambda value: value is None or (type(value) is float and math.isfinite(value)),
    "array of strings": all_of("string"),
    "array of errors": all_of("error"),
    "array of two durations": is_interval,
    "error": lambda value: fits(value, "Error"),
    "counts": lambda value: fits(value, "Counts"),
}
"""What a value is, by what the page calls it."""


def shape(value: object, kind: str) -> bool:
    bare = re.sub(",? or null$", "", kind)
    return (value is None and bare != kind) or SHAPES[bare](value)


def fits(value: object, title: str) -> bool:
    """Whether a value is as the page describes it under a title."""
    fields = fields_of(title)
    return (
        isinstance(value, dict)
        and list(value) == list(fields)
        and all(shape(value[name], kind.strip()) for name, kind in fields.items())
    )


@given(tasks(), any_float)
def test_any_row_becomes_strict_json_of_the_documented_types(
    task: TaskSnapshot, now: float
) -> None:
    """Times out of range, infinite durations and broken JSON in a row raise nothing and reach
    nobody."""
    value = task_json(task, now)
    assert fits(value, "Task")
    text = json.dumps(value, allow_nan=False)
    assert value == json.loads(text)
    assert json.loads(msgspec.json.encode(value)) == value


@pytest.mark.parametrize(("title", "value"), DOCUMENTED, ids=[case[0] for case in DOCUMENTED])
def test_each_value_has_the_documented_types(title: str, value: Mapping[str, object]) -> None:
    """And can be written as strict JSON."""
    assert fits(value, title)
    assert value == json.loads(json.dumps(value, allow_nan=False))


# -- times ---------------------------------------------------------------------------------------


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 58, 999_999, tzinfo=UTC))
def test_a_moment_reads_back_to_the_millisecond(moment: datetime) -> None:
    """Any time of the years 1 to 9999 is itself, cut to the millisecond."""
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)
    text = time_json(seconds)
    assert text is not None
    assert abs(datetime.fromisoformat(text) - moment) <= timedelta(seconds=1.1)
    if abs(seconds) < 4e9:  # where a float still tells microseconds apart
        assert moment - datetime.fromisoformat(text) < timedelta(milliseconds=1.1)


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (NOW, "2026-03-01T12:00:00.250Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
        (math.inf, "9999-12-31T23:59:59.000Z"),
        (-math.inf, "0001-01-01T00:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
        (math.nan, None),
        (None, None),
    ],
)
def test_a_time_never_raises(wall: float | None, text: str | None) -> None:
    """Out of range is the nearest inside, and no time at all is null."""
    assert text == time_json(wall)


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [
        (1.5, 1500.0),
        (0.0000004, 0.0),
        (0.0000016, 0.002),
        (0.1 + 0.2, 300.0),
        (math.inf, None),
        (1e307, None),
        (math.nan, None),
        (None, None),
    ],
)
def test_a_duration_is_in_milliseconds(seconds: float | None, ms: float | None) -> None:
    """To the microsecond, and finite."""
    assert ms == milliseconds(seconds)


def test_age_stops_at_the_end() -> None:
    """A live task grows older, an ended one does not."""
    assert task_json(task(), NOW)["age_ms"] == 60_000.0
    assert task_json(task(finished_at=NOW - 50.0), NOW)["age_ms"] == 10_000.0


# -- single fields -------------------------------------------------------------------------------


def lag(**fields: Any) -> object:
    return task_json(
        task(**{"state": State.SUCCEEDED, "mode": Mode.POLLING, "duration": 2.0, **fields}), NOW
    )["lag_ms"]


def test_lag_is_the_interval_of_what_can_be_known() -> None:
    """Between the last look that found nothing and the one that found the output; from the
    attempt's start where no look came before."""
    assert lag(unready_for=1.25) == [0.0, 750.0]
    assert lag(unready_for=None) == [0.0, 2000.0]
    assert lag(unready_for=3.0) == [0.0, 0.0]


@pytest.mark.parametrize(
    "fields",
    [
        {"state": State.FAILED},
        {"state": State.POLLING},
        {"mode": Mode.BLOCKING},
        {"mode": Mode.ASYNC},
        {"duration": None},
    ],
    ids=str,
)
def test_only_a_polled_success_has_a_lag(fields: dict[str, Any]) -> None:
    """For every other task it is null."""
    assert lag(**{"unready_for": 1.0, **fields}) is None


def test_arguments_and_handle_are_values_not_text() -> None:
    """JSON in a row is JSON in the answer; what is none stays text."""
    value = task_json(task(arguments='{"n":1}', handle='"abc"'), NOW)
    assert (value["arguments"], value["handle"]) == ({"n": 1}, "abc")
    assert task_json(task(arguments="{nonsense"), NOW)["arguments"] == "{nonsense"
    assert task_json(task(), NOW)["arguments"] is None


def test_a_guess_shows_in_the_mode_for_people() -> None:
    """``polling?`` is shown, and the mode itself stays what it is."""
    value = task_json(task(mode=Mode.POLLING, mode_guessed=True), NOW)
    assert (value["mode"], value["shown_mode"]) == ("polling", "polling?")


def test_a_revision_goes_with_its_epoch() -> None:
    """Wherever a revision is told it can be resumed from."""
    assert task_json(task(epoch=3, revision=9), NOW)["revision"] == "3.9"
    assert event_json(EVENT)["id"] == "3.41"
    assert event_json(Reset("3.9")) == {"type": "reset", "id": "3.9"}
    figures = statistics_json(STATISTICS)
    assert (figures["revision"], figures["durable_revision"]) == ("3.40", "3.38")


def test_counts_hold_every_state() -> None:
    """Also those of which there is none."""
    assert counts_json({State.QUEUED: 2}) == {str(s): 2 * (s is State.QUEUED) for s in State}
