"""The dashboard in a real terminal multiplexer, as its user starts it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import State
from tests.tui.stores import LiveStore, task
from tests.tui.terminals import PROGRAM, ROOT

pytestmark = pytest.mark.system


class Tmux:
    """One session on a server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def run(self, *words: str) -> str:
        """Give tmux a command."""
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout

    def until(self, holds: Callable[[str], object]) -> str:
        """Look at the screen until it fulfils a condition."""
        deadline = time.monotonic() + 30
        while not holds(screen := self.run("capture-pane", "-p", "-t", "dash")):
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)  # another program's screen has no event to wait for
        return screen


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.fail("tmux is not installed: apt-get install tmux")
    held = Tmux(tmp_path / "tmux")
    yield held
    held.run("kill-server")


def test_the_dashboard_in_tmux(tmux: Tmux, tmp_path: Path) -> None:
    """It shows a store that moves, filters, opens a task, quits, and gives the screen back."""
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(task(i, State.RUNNING) for i in range(1, 21))
        program = shlex.join([sys.executable, "-c", PROGRAM, str(store.path)])
        place = f"cd {shlex.quote(str(ROOT))}; unset COLUMNS LINES; echo before"
        shell = f"{place}; {program}; echo ended with $?; cat"
        tmux.run("new-session", "-d", "-s", "dash", "-x", "100", "-y", "30", "sh", "-c", shell)
        tmux.until(lambda screen: "▶ running" in screen and "task 20" in screen)
        store.record([task(20, State.SUCCEEDED)], {20: "[84]"})
        tmux.until(lambda screen: "✓ succeeded" in screen and "running 19" in screen)
        tmux.run("send-keys", "-t", "dash", "/", "state:succeeded", "Enter")
        tmux.until(lambda screen: "1 match" in screen and "⏎ Open" in screen)
        tmux.run("send-keys", "-t", "dash", "Enter")
        tmux.until(lambda screen: "Timeline" in screen)
        tmux.run("send-keys", "-t", "dash", "Enter")
        tmux.until(lambda screen: "84" in screen)
        tmux.run("resize-window", "-t", "dash", "-x", "60", "-y", "15")
        tmux.until(lambda screen: len(screen.splitlines()) <= 15 and "#20" in screen)
        tmux.run("send-keys", "-t", "dash", "q")
        screen = tmux.until(lambda screen: "ended with 0" in screen)
        assert "before" in screen
        assert "Timeline" not in screen
