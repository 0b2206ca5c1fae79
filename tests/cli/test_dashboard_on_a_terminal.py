"""The dashboard on a real terminal: it opens, and the terminal comes back as it was."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from tests.cli.programs import COMMAND, PATIENCE, environment
from tests.cli.stores import mixed_store

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 30, 110
MODES_OFF = re.compile(r"\x1b\[\?(?:\d+l|25h)")
ALTERNATE, NORMAL = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """A terminal with a command on it."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.process = process
        self.written = b""
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def shows(self) -> str:
        """The screen's text."""
        return "\n".join(self._screen.display)

    def until(self, pattern: str) -> str:
        """Read until the screen shows this; the screen."""
        while not re.search(pattern, self.shows()):
            assert self._read(), self.shows()
        return self.shows()

    def finish(self) -> int:
        """Read until the command has ended; its status."""
        while self.process.poll() is None:
            if select.select([self._master], [], [], 0.05)[0]:
                self._read()
        return self.process.returncode

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def _read(self) -> bool:
        assert select.select([self._master], [], [], PATIENCE)[0], self.shows()
        try:
            part = os.read(self._master, 65_536)
        except OSError:  # the last one that had the terminal open has ended
            return False
        if not part:
            return False
        self.written += part
        if NORMAL in part:  # pyte has no second screen
            self._screen.reset()
            part = part.rpartition(NORMAL)[2]
        # Textual asks the terminal for what pyte does not know.
        self._stream.feed(re.sub(rb"\x1b\[[<>=?]\d*u|\x1b\[>\d*[a-z]", b"", part))
        return True


@contextmanager
def on_a_terminal(tmp_path: Path, *words: str) -> Iterator[Terminal]:
    """A command on a terminal of its own, whose settings must be the same in the end."""
    master, side = os.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    before = termios.tcgetattr(side)
    variables = {"TERM": "xterm-256color", "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "default"}
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(**variables),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    try:
        yield Terminal(master, process)
        assert before == termios.tcgetattr(side)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(side)
        os.close(master)


def test_a_dashboard_of_a_store_without_an_engine(tmp_path: Path) -> None:
    """`creche dash STORE` shows what the file holds, and `q` leaves it with status 0."""
    store = mixed_store(tmp_path / "tasks.db")
    with on_a_terminal(tmp_path, "dash", str(store)) as terminal:
        terminal.until(r"failure")
        terminal.type("q")
        terminal.finish()
    assert 0 == terminal.process.returncode


def test_left_early_and_waited_for(tmp_path: Path) -> None:
    """The dashboard shows the tasks; after `q` and Enter plain lines lead to the report."""
    with on_a_terminal(tmp_path, "demo", "30", "--scale", "0.05") as terminal:
        terminal.until(r"sample 30")
        terminal.type("q")
        terminal.until(r"\d+ of 30 tasks are still live: .*\s+Enter: wait for them here")
        terminal.type("\n")
        said = terminal.until(r"(?m)^30 tasks: 30 succeeded")
        terminal.finish()
    assert "outputs        30 of 30 are 2 × the task's value" in said
    assert ALTERNATE in terminal.written
    assert (0, []) == (terminal.process.returncode, list(tmp_path.iterdir()))


def test_left_early_and_stopped(tmp_path: Path) -> None:
    """After `q` and `s` the server is stopped, and the report counts what was live."""
    with on_a_terminal(tmp_path, "demo", "30", "--scale", "100") as terminal:
        terminal.until(r"sample 30")
        terminal.type("q")
        terminal.until(r"Enter: wait for them here")
        terminal.type("s\n")
        terminal.until(r"(?m)^30 tasks: \d+ running, \d+ polling")
        terminal.finish()
    assert (1, []) == (terminal.process.returncode, list(tmp_path.iterdir()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_behind_the_dashboard(number: signal.Signals, tmp_path: Path) -> None:
    """The terminal is given back, nothing is asked, the report is printed, nothing is left."""
    with on_a_terminal(tmp_path, "demo", "30", "--scale", "100") as terminal:
        terminal.until(r"sample 30")
        terminal.process.send_signal(number)
        terminal.until(r"(?m)^30 tasks: \d+ running, \d+ polling")
        terminal.finish()
    after = MODES_OFF.sub("", terminal.written.rpartition(NORMAL)[2].decode())
    assert f"stopped by {number.name}" in after
    assert "\x1b" not in after
    assert (128 + number, []) == (terminal.process.returncode, list(tmp_path.iterdir()))
