"""A dashboard in a terminal of its own: a pseudo terminal whose other end the test holds."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = (
    "import sys; from pathlib import Path; from tui.app import run_dashboard;"
    "sys.exit(run_dashboard(Path(sys.argv[1])))"
)
PATIENCE = 30.0


class Terminal:
    """The test's end of the terminal."""

    def __init__(self, fd: int, other: int, pid: int) -> None:
        self.fd = fd
        # The program's end too: until the program has opened it, it must not be the last one.
        self._other = other
        self.pid = pid
        self.output = b""
        self.status: int | None = None

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def attributes(self) -> list[Any]:
        """How the terminal is set: echo, line mode and the like."""
        return termios.tcgetattr(self.fd)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.fd, text.encode())

    def read_for(self, sign: bytes) -> None:
        """Read on until something is in what came since the call."""
        since, deadline = len(self.output), time.monotonic() + PATIENCE
        while sign not in self.output[since:]:
            ended = self.status is not None
            self._reap()
            self._read(0.0 if ended else 0.1)
            late = ended or time.monotonic() > deadline
            assert not late or sign in self.output[since:], self.output[since:][-2000:]

    def wait(self) -> int:
        """Read on until the program has ended; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.status is None:
            assert time.monotonic() < deadline, "it does not end"
            self._read(0.05)
            self._reap()
        self._read(0.0)
        return self.status

    def hang_up(self) -> None:
        """Go away, as a lost connection does."""
        os.close(self._other)
        os.close(self.fd)
        self.fd = -1

    def _read(self, wait: float) -> None:
        ears = [self.fd] if self.fd >= 0 else []
        while select.select(ears, [], [], wait)[0]:
            self.output += os.read(self.fd, 65_536)
            wait = 0.0

    def _reap(self) -> None:
        if self.status is not None:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End whatever is left."""
        self._reap()
        if self.status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        if self.fd >= 0:
            self.hang_up()


@contextmanager
def terminal(
    path: Path, *, size: tuple[int, int] = (120, 40), command: Sequence[str] = ("-c", PROGRAM)
) -> Iterator[Terminal]:
    """Run the dashboard on a store in a terminal, and end it at the end of the block."""
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _LEADER, os.ttyname(follower), *command, str(path)],
        environment,
    )
    held = Terminal(leader, follower, pid)
    try:
        yield held
    finally:
        held.close()


# Makes the terminal the controlling one, so that it can hang up; then becomes the program.
_LEADER = (
    "import os, sys; os.setsid(); fd = os.open(sys.argv[1], os.O_RDWR);"
    "[os.dup2(fd, n) for n in (0, 1, 2)];"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)
