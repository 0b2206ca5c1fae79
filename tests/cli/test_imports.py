"""What a verb loads: only what it needs, because a command line is judged by its speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.programs import PATIENCE, ROOT, environment
from tests.cli.stores import mixed_store

pytestmark = pytest.mark.slow

HEAVY = {"asyncio", "hypercorn", "quart", "quart_trio", "textual", "trio", "web", "httpx"}
PROGRAM = """\
import contextlib, io, json, sys
from tui.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    status = main(sys.argv[1:])
print(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded(*words: object) -> tuple[int, set[str]]:
    """The status of a command, and the packages its process holds in the end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=environment(),
        text=True,
        timeout=PATIENCE,
    )
    status, modules = json.loads(done.stdout)
    return status, set(modules)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["ls", "--help"], ["serve", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """No loop, no dashboard, no server and no HTTP client for a page of text."""
    assert (0, set()) == (loaded(*words)[0], loaded(*words)[1] & HEAVY)


@pytest.mark.parametrize(
    "words", [["ls"], ["ls", "--json"], ["show", "1"], ["wait", "1"], ["stats"]], ids=" ".join
)
def test_reading_a_store_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    """A verb that finds no engine to ask needs the file and nothing else."""
    store = mixed_store(tmp_path / "tasks.db")
    status, modules = loaded(*words, "--store", store)
    assert (0, set()) == (status, modules & HEAVY)
