"""The demo's server as its parent holds it: started, asked for its end, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, cast, final

import msgspec

from engine import CrecheError

from .demo_server import GRACE, Job, Ready

_PROGRAM: Final = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])["path"]
import msgspec
from tui.cli.demo_server import Job, main
sys.exit(main(msgspec.json.decode(sys.argv[1], type=Job)))
"""
_TO_END: Final = GRACE + 10.0
_LOG_TAIL: Final = 4_000


class DemoServerEnded(CrecheError):
    """The demo's server ended before it was asked to: ``log`` is the end of what it wrote."""

    def __init__(self, status: int, log: str) -> None:
        self.status = status
        self.log = log
        last = next(
            (line for line in reversed(log.splitlines()) if line.strip()), "it wrote nothing"
        )
        super().__init__(f"the demo's server ended with status {status}: {last.strip()}")


@final
class DemoProcess:
    """A running server; whoever started it calls `stop` in the end.

    Args:
        folder: The demo's own folder, for the store and the server's log.
        tasks: How many sample tasks to submit.
        scale: Factor on their duration.
        seed: Settles what they are.
        keep: Leave the folder, whatever happens.
    """

    def __init__(self, folder: Path, *, tasks: int, scale: float, seed: int, keep: bool) -> None:
        self.store: Final = folder / "tasks.db"
        self._log: Final = folder / "server.log"
        lifeline, self._held = os.pipe()
        job = Job(
            store=str(self.store),
            tasks=tasks,
            scale=scale,
            seed=seed,
            lifeline=lifeline,
            folder=None if keep else str(folder),
            path=[entry or str(Path.cwd()) for entry in sys.path],
        )
        try:
            with self._log.open("wb") as log:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-c", _PROGRAM, msgspec.json.encode(job).decode()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    pass_fds=(lifeline,),
                    # Out of the terminal's reach: Ctrl-C is for the parent, which then ends it.
                    start_new_session=True,
                )
            self._said: Final = cast("IO[bytes]", self._child.stdout)
        except BaseException:
            os.close(self._held)
            raise
        finally:
            os.close(lifeline)

    def wait_ready(self) -> Ready:
        """Wait until the server answers; raises DemoServerEnded when it never will."""
        line = self._said.readline()
        if not line:
            self._child.wait()
            raise self.ended()
        return msgspec.json.decode(line, type=Ready)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """True while the server runs."""
        return self._child.poll() is None

    def ended(self) -> DemoServerEnded:
        """The error that says how a server ended that nobody had asked to."""
        tail = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        return DemoServerEnded(self._child.returncode, tail)

    def stop(self) -> int:
        """Ask the server to drain, wait for its end, and give its exit status."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_TO_END)
            except subprocess.TimeoutExpired:
                self.kill()
        self._let_go()
        return self._child.wait()

    def kill(self) -> None:
        """End the server at once; its store is as a crash would leave it."""
        self._child.kill()

    def _let_go(self) -> None:
        self._said.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
