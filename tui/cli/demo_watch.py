"""Watching a demo until its tasks have ended: in the dashboard, or in plain lines."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from engine import LIVE

from ..text import LOOKS, count
from .demo_report import totals
from .output import say
from .signals import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine import Reader, State

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


class Server(Protocol):
    """What a watch asks of the demo's server."""

    @property
    def store(self) -> Path:
        """The demo's store."""
        ...

    @property
    def alive(self) -> bool:
        """True while the server runs."""
        ...

    def ended(self) -> Exception:
        """The error that says how it ended."""
        ...


class Watch:
    """Returns when all tasks have ended, or raises.

    Args:
        server: The demo's server.
        reader: A reader of its store.
        tasks: How many tasks there will be.
        sleep: Waits so many seconds.
        clock: Monotonic seconds.

    Both ways of watching raise what `Server.ended` gives when the server has ended before its
    tasks.
    """

    def __init__(
        self,
        server: Server,
        reader: Reader,
        tasks: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._reader = reader
        self._tasks = tasks
        self._sleep = sleep
        self._clock = clock
        self._began = clock()

    def in_lines(self) -> None:
        """Print a line whenever the counts have changed, but not more than one a second.

        Its seconds count from the making of this object, however long a dashboard was open.
        """
        printed: Mapping[State, int] | None = None
        due = self._began
        while True:
            # Asked first: what it wrote before its end is then in the counts for certain.
            alive = self._server.alive
            counts, left = self._look()
            now = self._clock()
            if any(counts.values()) and counts != printed and (now >= due or left == 0):
                printed, due = counts, now + _LINE
                say(f"{now - self._began:6.1f} s  {totals(sum(counts.values()), counts)}")
                sys.stdout.flush()
            if left == 0:
                return
            if not alive:
                raise self._server.ended()
            self._sleep(_LOOK)

    def in_dashboard(self, show: Callable[[Path], int], left: Callable[[], None]) -> None:
        """Show the dashboard until it is left; then ask what to do with tasks that are live.

        Args:
            show: Shows the dashboard of a store; its answer is above 128 when a signal ended it.
            left: Called whenever the dashboard was left: it had signal handlers of its own.

        Raises Interrupted when a signal ended the dashboard. Returns with tasks still live when
        the user wants them stopped.
        """
        while True:
            status = show(self._server.store)
            left()
            if status > 128:
                raise Interrupted(status - 128)
            alive = self._server.alive
            counts, live = self._look()
            if live == 0:
                return
            if not alive:
                raise self._server.ended()
            words = ", ".join(
                f"{count(counts[state])} {look.word}"
                for state, look in LOOKS.items()
                if state in LIVE and counts[state]
            )
            say(f"{count(live)} of {count(self._tasks)} tasks are still live: {words}")
            answer = _ask()
            if answer == "s":
                return
            if answer != "d":
                self.in_lines()
                return

    def _look(self) -> tuple[Mapping[State, int], int]:
        """The counts, and how many tasks have not ended, those not yet submitted included."""
        counts = self._reader.counts()
        ended = sum(number for state, number in counts.items() if state not in LIVE)
        return counts, self._tasks - ended


def _ask() -> str:
    try:
        return input(_QUESTION).strip().lower()[:1]
    except EOFError:  # nobody is there any more
        say()
        return "s"
