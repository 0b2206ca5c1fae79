"""Runs the command as its users do: as a program of its own, on real stores, with a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PATIENCE = 50.0
"""Seconds after which a test gives a program up; none is ever reached."""

COMMAND = (sys.executable, "-P", "-m", "tui.cli")


def environment(**more: str) -> dict[str, str]:
    """What the programs see: this tree's packages, and nothing of the user's own stores."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRECHE")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **more}


class Said(NamedTuple):
    """What a program left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its stdout as the one JSON document that it must be."""
        return json.loads(self.out)


def creche(*words: object, cwd: Path | None = None, **variables: str) -> Said:
    """Run one command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


class Program:
    """A program that runs beside the test, and never longer than PATIENCE."""

    def __init__(self, *command: object, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*map(str, command)],
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._out, self._err = self.process.stdout, self.process.stderr
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._collector = threading.Thread(target=lambda: self.errors.extend(self._err))
        self._collector.start()
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def until(self, word: str) -> list[str]:
        """Read its lines up to the one that begins with this word; all lines so far."""
        for line in self._out:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(word):
                return self.lines
        raise AssertionError(f"ended without {word!r}: {self.lines} {self.errors}")

    def place(self, label: str) -> str:
        """What stands behind a label among the lines so far."""
        (found,) = [line[len(label) :].strip() for line in self.lines if line.startswith(label)]
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end and give its status; the rest of its output is in `lines`."""
        self.lines.extend(line.rstrip("\n") for line in self._out)
        status = self.process.wait()
        self._watchdog.cancel()
        self._collector.join()
        self._out.close()
        self._err.close()
        return status

    def kill(self) -> int:
        """End it at once."""
        if self.process.poll() is None:
            self.process.kill()
        return self.end()


@contextmanager
def running(*command: object, **variables: str) -> Iterator[Program]:
    """A program that is gone when the block is left."""
    program = Program(*command, **variables)
    try:
        yield program
    finally:
        if not program._out.closed:
            program.kill()


@contextmanager
def serving(store: Path, *options: object, **variables: str) -> Iterator[Program]:
    """``creche serve`` on a store, ready."""
    with running(*COMMAND, "serve", "--store", store, *options, **variables) as server:
        server.until("ready")
        yield server


def is_running(pid: int) -> bool:
    """True while the process exists and is not only waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
