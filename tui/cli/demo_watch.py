"""Watching a demo until its tasks have ended: in the dashboard, or in plain lines."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine import LIVE

from ..text import LOOKS, count
from .demo_report import totals
from .output import say
from .signals import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine import Reader, State

    from .demo_process import DemoProcess
    from .signals import StopSignals

_LOOK: Final = 0.05
"""Seconds between two looks at the counts."""
_LINE: Final = 1.0
"""Least seconds between two lines of progress."""
_QUESTION: Final = "Enter: wait for them here · d: dashboard again · s: stop them now > "


def hints(store: Path, control: str) -> Iterator[str]:
    """Commands for another terminal, each ready to be pasted into any shell."""
    command, file, socket = _command(), shlex.quote(str(store)), shlex.quote(control)
    yield f"{command} dash {file}"
    yield f"{command} ls --store {file}"
    yield f"curl --unix-socket {socket} http://localhost/v1/tasks"


def _command() -> str:
    """What starts this program from a shell that knows nothing of our environment."""
    script = shutil.which(sys.argv[0])
    if script is not None and Path(script).name == "creche":
        in_environment = sys.prefix != sys.base_prefix
        return shlex.quote(str(Path(script).absolute())) if in_environment else "creche"
    return f"{shlex.quote(sys.executable)} -m tui.cli"


class Watch:
    """Returns when all tasks have ended, or raises.

    Args:
        server: The demo's server.
        reader: A reader of its store.
        tasks: How many tasks there will be.
        signals: Raises `Interrupted` at a signal.
        sleep: Waits so many seconds.

    Both ways of watching raise DemoServerEnded when the server has ended before its tasks, and
    Interrupted at a signal.
    """

    def __init__(
        self,
        server: DemoProcess,
        reader: Reader,
        tasks: int,
        signals: StopSignals,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._reader = reader
        self._tasks = tasks
        self._signals = signals
        self._sleep = sleep
        self._clock = clock

    def in_lines(self) -> None:
        """Print a line whenever the counts have changed, but not more than one a second."""
        began = self._clock()
        printed: dict[State, int] | None = None
        due = began
        while True:
            # Asked first: what it wrote before its end is then in the counts for certain.
            alive = self._server.alive
            counts = self._reader.counts()
            now = self._clock()
            left = self._tasks - sum(counts.values()) + sum(counts[state] for state in LIVE)
            if any(counts.values()) and counts != printed and (now >= due or left == 0):
                printed, due = counts, now + _LINE
                say(f"{now - began:6.1f} s  {totals(self._tasks, counts)}")
                sys.stdout.flush()
            if left == 0:
                return
            if not alive:
                raise self._server.ended()
            self._sleep(_LOOK)

    def in_dashboard(self) -> None:
        """Show the dashboard until it is left; then ask what to do with tasks that are live."""
        from ..app import run_dashboard

        while True:
            status = run_dashboard(self._server.store)
            # The dashboard's loop had handlers of its own, and gave back the system's.
            self._signals.install()
            if status > 128:
                raise Interrupted(status - 128)
            counts = self._reader.counts()
            live = self._tasks - sum(counts.values()) + sum(counts[state] for state in LIVE)
            if live == 0:
                return
            if not self._server.alive:
                raise self._server.ended()
            say(f"{count(live)} of {count(self._tasks)} tasks are still live ({_words(counts)})")
            answer = self._ask()
            if answer == "s":
                return
            if answer != "d":
                self.in_lines()
                return

    @staticmethod
    def _ask() -> str:
        try:
            return input(_QUESTION).strip().lower()[:1]
        except EOFError:
            say()
            return "s"


def _words(counts: Mapping[State, int]) -> str:
    return ", ".join(
        f"{count(counts[state])} {LOOKS[state].word}"
        for state in LOOKS
        if state in LIVE and counts[state]
    )
