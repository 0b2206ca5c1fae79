"""Real work: hash 500 files of this Python in threads, and mind 20 programs until they end.

The two classes below know nothing of creche and declare nothing: one blocks in ``run()``, the
other only starts something there. Run it with ``python examples/real_work.py``; the exit status
is 0 only when every digest and every exit status is right.
"""

# ruff: noqa: INP001, T201 - a script, and what it prints is what it is for

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import trio

from engine import Engine, State

FILES = 500
PROGRAMS = 20


class FileDigest:
    """Reads a file piece by piece and gives its SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest: str | None = None

    def run(self) -> None:
        """Read it all: this blocks."""
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while piece := file.read(64 * 1024):
                digest.update(piece)
        self._digest = digest.hexdigest()

    def check_output(self) -> str | None:
        """The digest, once it is known."""
        return self._digest


class Program:
    """Runs a program and gives its exit status."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start it, and return at once."""
        self._process = subprocess.Popen(self._command)

    def check_output(self) -> int | None:
        """The exit status, None while it runs."""
        return None if self._process is None else self._process.poll()


def python_files(wanted: int) -> list[Path]:
    """The first so many files of the running Python's own library, in order of their names."""
    library = Path(sysconfig.get_path("stdlib"))
    found: list[Path] = []
    for folder, folders, files in os.walk(library):
        folders.sort()  # settles the order of the walk
        found += [Path(folder, name) for name in sorted(files) if name.endswith(".py")]
        if len(found) >= wanted:
            break
    return found[:wanted]


def program(number: int) -> tuple[Program, int]:
    """A program that takes 0.1 to 0.4 s, and the status that it must end with."""
    status = number % 7
    source = f"import sys, time; time.sleep({0.1 + number % 4 / 10}); sys.exit({status})"
    return Program(sys.executable, "-I", "-S", "-c", source), status


async def main() -> int:
    """Do the work, print what came of it, and give the exit status."""
    files = python_files(FILES)
    programs = [program(number) for number in range(PROGRAMS)]
    began = time.perf_counter()
    async with Engine(capacity=16) as engine:
        digests = {engine.submit_nowait(FileDigest(path)): path for path in files}
        statuses = {engine.submit_nowait(minded): status for minded, status in programs}
        accepted = time.perf_counter() - began
        await engine.wait([*digests, *statuses])
        took = time.perf_counter() - began

        wrong = []
        for task_id, path in digests.items():
            expected = hashlib.sha256(path.read_bytes()).hexdigest()
            if await engine.result(task_id) != expected:
                wrong.append(f"{path}: wrong digest")
        for task_id, status in statuses.items():
            if await engine.result(task_id) != status:
                wrong.append(f"program of task {task_id}: wrong exit status")
        counts = engine.counts()
        looks = sum(engine.status(task_id).polls for task_id in statuses)

    print(f"{len(files)} files hashed and {len(statuses)} programs minded in {took:.2f} s")
    print(f"submitted in {accepted * 1000:.1f} ms; the programs were asked {looks} times")
    print(f"{counts[State.SUCCEEDED]} of {len(files) + len(statuses)} tasks succeeded")
    for line in wrong:
        print(line)
    complete = len(files) == FILES and counts[State.SUCCEEDED] == FILES + PROGRAMS
    return 0 if complete and not wrong else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
