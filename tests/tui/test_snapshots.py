"""How each screen looks: one picture a screen, the main one at three sizes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine import ErrorInfo, State, TaskSnapshot
from tests.tui.driving import Driver, dashboard
from tests.tui.fakes import FakeControl
from tests.tui.stores import LiveStore, task
from tui.app import Dashboard

SnapCompare = Callable[..., bool]
Steps = Callable[[Pilot[None]], Awaitable[None]]

STATES = [
    State.SUCCEEDED,
    State.POLLING,
    State.RUNNING,
    State.SUCCEEDED,
    State.QUEUED,
    State.FAILED,
    State.SUCCEEDED,
    State.CANCELLING,
    State.WAITING,
    State.CANCELLED,
    State.TIMED_OUT,
    State.LOST,
]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing blinks, and no path of this machine is in the picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Input.cursor_blink, "_default", False)


def rows() -> list[TaskSnapshot]:
    made = [task(i, STATES[i % len(STATES)], name=f"report {i}") for i in range(1, 61)]
    made[-2] = task(
        59,
        State.FAILED,
        name="fetch https://example.org/a/very/long/path/that/does/not/fit",
        error=ErrorInfo("ConnectionError", "the other side hung up", "Traceback …\n  line 1"),
        key="mail",
        tags=("nightly",),
    )
    return made


def steps(*keys: str, live: bool = True) -> Steps:
    async def run(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, Dashboard)
        drive = Driver(pilot.app, pilot)
        await drive.settle()
        if live:
            await drive.until(lambda: drive.screen._link.commands)
        await drive.press(*keys)
        await drive.settle()

    return run


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80", "120", "200"])
def test_the_main_screen(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Header, tabs, table, pane and footer, at three sizes."""
    with LiveStore(Path("demo.db")).open() as store:
        store.record(rows())
        app = dashboard(Path("demo.db"), FakeControl())
        assert snap_compare(app, terminal_size=size, run_before=steps("j"))


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["slash", *"state:failed ConnectionError"], id="filter"),
        pytest.param(["slash", *"state:nosuch report"], id="bad-filter"),
        pytest.param(["space", "space", "space", "p"], id="marks"),
        pytest.param(["space", "space", "K"], id="question"),
        pytest.param(["question_mark"], id="help"),
        pytest.param(["j", "enter", "enter"], id="pane"),
        pytest.param(["slash", *"nothing"], id="no-match"),
    ],
)
def test_the_other_screens(snap_compare: SnapCompare, keys: list[str]) -> None:
    """What the keys bring up."""
    with LiveStore(Path("demo.db")).open() as store:
        store.record(rows())
        app = dashboard(Path("demo.db"), FakeControl())
        assert snap_compare(app, terminal_size=(100, 30), run_before=steps(*keys))


def test_without_a_store(snap_compare: SnapCompare) -> None:
    """The empty screen says what to do next."""
    app = dashboard(Path("demo.db"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=steps(live=False))


def test_without_colours(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR glyphs, words and the cursor's bar say everything."""
    monkeypatch.setenv("NO_COLOR", "1")
    with LiveStore(Path("demo.db")).open() as store:
        store.record(rows())
        app = dashboard(Path("demo.db"), FakeControl())
        assert snap_compare(app, terminal_size=(80, 24), run_before=steps("j"))
