"""How a demo is watched: what is printed when, and what leaving the dashboard leads to."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import State
from tui.cli.demo_watch import Watch, hints
from tui.cli.signals import Interrupted

STORE = Path("/somewhere/with space/tasks.db")


class Ended(Exception):
    pass


class Script:
    """A server, its reader and the time: each sleep goes on to the next counts."""

    store = STORE

    def __init__(self, *counts: dict[State, int], dies: bool = False) -> None:
        self._counts = list(counts)
        self._dies = dies
        self.now = 100.0

    @property
    def alive(self) -> bool:
        return not (self._dies and len(self._counts) == 1)

    def ended(self) -> Exception:
        return Ended("the server is gone")

    def counts(self) -> dict[State, int]:
        return dict.fromkeys(State, 0) | self._counts[0]

    def sleep(self, _seconds: float) -> None:
        self.now += 0.5
        self._counts.pop(0)

    def watch(self, tasks: int) -> Watch:
        reader: Any = self
        return Watch(self, reader, tasks, sleep=self.sleep, clock=lambda: self.now)


LIVE = {State.RUNNING: 1, State.QUEUED: 1}
HALF = {State.RUNNING: 1, State.SUCCEEDED: 1}
DONE = {State.SUCCEEDED: 2}


def test_lines_come_with_news_and_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing before the first task, nothing without a change, and the last counts always."""
    Script({}, {State.QUEUED: 1}, LIVE, LIVE, LIVE, HALF, DONE).watch(2).in_lines()
    assert [
        "   0.5 s  1 task: 1 queued",
        "   1.5 s  2 tasks: 1 queued, 1 running",
        "   2.5 s  2 tasks: 1 running, 1 succeeded",
        "   3.0 s  2 tasks: 2 succeeded",
    ] == capsys.readouterr().out.splitlines()


def test_lines_after_the_dashboard_count_from_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The time that a dashboard was open is part of what the lines say."""
    script = Script(DONE)
    watch = script.watch(2)
    script.now += 40.0
    watch.in_lines()
    assert ["  40.0 s  2 tasks: 2 succeeded"] == capsys.readouterr().out.splitlines()


def test_tasks_that_are_not_submitted_yet_are_waited_for() -> None:
    """A store in which everything has ended is not the end while tasks are missing."""
    script = Script({State.SUCCEEDED: 1}, {State.SUCCEEDED: 1}, DONE)
    script.watch(2).in_lines()
    assert 101.0 == script.now


def test_a_server_that_is_gone_ends_the_watch() -> None:
    """Nobody will move the tasks any more."""
    with pytest.raises(Ended):
        Script(LIVE, LIVE, dies=True).watch(2).in_lines()


def test_a_server_that_ended_with_its_tasks_is_no_trouble() -> None:
    """What it wrote before its end counts."""
    Script(LIVE, DONE, dies=True).watch(2).in_lines()


class Dashboard:
    """Is left at once, with these statuses, and remembers what happened."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.seen: list[object] = []

    def show(self, store: Path) -> int:
        self.seen.append(store)
        return self._statuses.pop(0)

    def left(self) -> None:
        self.seen.append("left")


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put lines on stdin."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_dashboard_left_after_the_end_asks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to decide when every task has ended."""
    dashboard = Dashboard(0)
    Script(DONE).watch(2).in_dashboard(dashboard.show, dashboard.left)
    assert [STORE, "left"] == dashboard.seen
    assert "" == capsys.readouterr().out


def test_leaving_early_says_what_is_live_and_asks(
    type_in: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """`d` opens the dashboard again, Enter waits with plain lines."""
    type_in("d\n\n")
    dashboard = Dashboard(0, 0)
    Script(LIVE, DONE).watch(2).in_dashboard(dashboard.show, dashboard.left)
    assert [STORE, "left", STORE, "left"] == dashboard.seen
    said = capsys.readouterr().out
    assert 2 == said.count("2 of 2 tasks are still live: 1 queued, 1 running")
    assert said.endswith("   0.5 s  2 tasks: 2 succeeded\n")


@pytest.mark.parametrize("typed", ["s\n", " S \n", ""])
def test_tasks_are_stopped_when_asked_or_when_nobody_answers(
    typed: str, type_in: Callable[[str], None]
) -> None:
    """`s` and a terminal that went away end the watch with tasks still live."""
    type_in(typed)
    script = Script(LIVE, DONE)
    script.watch(2).in_dashboard(Dashboard(0).show, lambda: None)
    assert 100.0 == script.now


def test_a_signal_that_ended_the_dashboard_is_not_asked_about() -> None:
    """TERM means stop, to the dashboard and to the demo around it."""
    dashboard = Dashboard(143)
    with pytest.raises(Interrupted) as interrupted:
        Script(LIVE).watch(2).in_dashboard(dashboard.show, dashboard.left)
    assert (15, [STORE, "left"]) == (interrupted.value.number, dashboard.seen)


def test_a_server_that_died_behind_the_dashboard_is_reported() -> None:
    """No question is asked about tasks that nobody minds any more."""
    with pytest.raises(Ended):
        Script(LIVE, dies=True).watch(2).in_dashboard(Dashboard(0).show, lambda: None)


def test_the_hints_are_quoted_for_a_shell() -> None:
    """A space in a path does not break what is to be pasted."""
    commands = list(hints(STORE, "/run/a b.sock"))
    assert commands[0].endswith(" dash '/somewhere/with space/tasks.db'")
    assert commands[1].endswith(" ls --store '/somewhere/with space/tasks.db'")
    assert "curl --unix-socket '/run/a b.sock' http://localhost/v1/tasks" == commands[2]
