"""What a demo reports: figures from rows, intervals where nothing more is known."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from engine import Mode, State, TaskSnapshot
from tui.cli.demo_report import Interval, Report, observed, totals


def blocking(number: int, took: float = 1.0) -> TaskSnapshot:
    end = 100.0 + took
    return row(number, mode=Mode.BLOCKING, duration=took, finished_at=end)


def polling(number: int, least: float, most: float) -> TaskSnapshot:
    return row(
        number,
        mode=Mode.POLLING,
        polling_at=100.0,
        unready_for=least,
        duration=most,
        finished_at=100.0 + most,
        polls=3,
    )


def row(number: int, state: State = State.SUCCEEDED, **fields: Any) -> TaskSnapshot:
    arguments = f'{{"value":{number},"scale":1.0,"seed":1}}'
    return TaskSnapshot(id=number, state=state, submitted_at=100.0, arguments=arguments, **fields)


def report(*tasks: TaskSnapshot, expected: int | None = None) -> Report:
    """A report in which every output is right."""
    outputs = {task.id: str(2 * task.id) for task in tasks}
    return Report(tasks, outputs, len(tasks) if expected is None else expected)


def test_a_good_demo() -> None:
    """Tasks by mode and state, outputs, longest, makespan, looks, lag, totals: in this order."""
    tasks = [blocking(1), blocking(2, 3.0), polling(3, 3.9, 4.0), polling(4, 1.0, 1.2)]
    assert [
        "mode           succeeded",
        "blocking               2",
        "polling                2",
        "outputs        4 of 4 are 2 × the task's value",
        "longest task   between 3.90 s and 4.00 s (task 3, polling)",
        "makespan       4.00 s from the first submit to the last end",
        "polls          6 looks in all",
        "detection lag  half within 150 ms, 95 % within 195 ms, all within 200 ms (2 polled)",
        "               interval estimate: counted from the last look that found nothing",
        "4 tasks: 4 succeeded",
    ] == list(report(*tasks).lines())
    assert report(*tasks).good


def test_a_table_has_a_column_for_each_state_that_occurs() -> None:
    """A mode's line counts its tasks under the states, and the totals name them in words."""
    tasks = [blocking(1), row(2, State.FAILED, mode=Mode.BLOCKING), row(3, State.TIMED_OUT)]
    lines = list(report(*tasks).lines())
    assert [
        "mode           succeeded     failed  timed out",
        "auto                   0          0          1",
        "blocking               1          1          0",
    ] == lines[:3]
    assert "3 tasks: 1 succeeded, 1 failed, 1 timed out" == lines[-1]


@pytest.mark.parametrize("state", [state for state in State if state is not State.SUCCEEDED])
def test_one_task_that_did_not_succeed_spoils_it(state: State) -> None:
    """Whatever else a task is, it is no success."""
    assert not report(blocking(1), row(2, state, mode=Mode.BLOCKING)).good


@pytest.mark.parametrize("output", [None, "3", "null", "[2]", '"2"', "2.5"])
def test_one_wrong_output_spoils_it(output: str | None) -> None:
    """All may have succeeded: an output that is not twice the value, or missing, is counted."""
    outputs = {2: "4"} if output is None else {1: output, 2: "4"}
    spoiled = Report([blocking(1), blocking(2)], outputs, 2)
    assert (1, False) == (spoiled.right, spoiled.good)
    assert "outputs        1 of 2 are 2 × the task's value" in list(spoiled.lines())


def test_a_missing_task_spoils_it() -> None:
    """Fewer rows than tasks asked for is said, and is no success."""
    short = report(blocking(1), expected=2)
    assert not short.good
    assert "missing        1 of 2 tasks" in list(short.lines())


def test_nothing_at_all_is_reported_too() -> None:
    """A store without rows gives totals and no figure that would be made up."""
    assert [
        "outputs        0 of 2 are 2 × the task's value",
        "polls          0 looks in all",
        "missing        2 of 2 tasks",
        "0 tasks: none",
    ] == list(report(expected=2).lines())


def test_a_lone_polling_task_has_a_lag() -> None:
    """Half, 95 % and all of one task are that task."""
    (line,) = [line for line in report(polling(1, 1.0, 1.25)).lines() if "lag" in line]
    assert 3 == line.count("250 ms")


def test_the_interval_of_a_task_is_what_was_observed() -> None:
    """A blocking task took its duration, a polled one something between two looks, others nothing
    that is known."""
    assert Interval(1.0, 1.0) == observed(blocking(1))
    assert Interval(1.0, 1.2) == observed(polling(1, 1.0, 1.2))
    assert Interval(1.2, 1.2) == observed(polling(1, 1.3, 1.2))
    assert None is observed(row(1, State.FAILED, duration=1.0))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({State.SUCCEEDED: 300}, "300 tasks: 300 succeeded"),
        ({State.SUCCEEDED: 1}, "1 task: 1 succeeded"),
        ({State.SUCCEEDED: 2000, State.LOST: 1}, "2001 tasks: 2000 succeeded, 1 lost"),
        ({State.QUEUED: 1, State.TIMED_OUT: 2}, "3 tasks: 1 queued, 2 timed out"),
        ({}, "0 tasks: none"),
    ],
)
def test_the_totals_in_words(counts: dict[State, int], expected: str) -> None:
    """Numbers without separators, states in the order of a task's life."""
    assert expected == totals(sum(counts.values()), counts)


def test_totals_name_every_state() -> None:
    """No state is left out of the words."""
    counts = dict(zip(State, itertools.count(1), strict=False))
    assert len(State) == totals(55, counts).count(",") + 1
