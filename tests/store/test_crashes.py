"""An engine that is killed without warning loses nothing that it had acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.model import parse_cursor
from engine.store import open_reader
from tests.store.invariants import broken

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Five lives in a row, each ended by SIGKILL in the middle of its work: every acknowledged
    move and task is there, the invariants hold, and no id is used twice."""
    store = tmp_path / "tasks.db"
    first_id = 1
    for life, commits in enumerate((1, 7, 40, 2, 90), start=1):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store.crashing_engine", str(store)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as engine:
            assert engine.stdout is not None
            told = [engine.stdout.readline() for _ in range(commits)]
            engine.kill()
            told += engine.stdout.readlines()
        # The last line may have been cut short.
        last = [line for line in told if line.endswith("\n")][-1]
        epoch, revision, task_id = map(int, last.split())
        assert store.with_name("tasks.db-wal").exists()
        reader = open_reader(store)
        owner = reader.owner()
        assert owner is not None
        assert (epoch, owner.epoch, owner.alive, owner.clean) == (life, life, False, False)
        assert parse_cursor(reader.cursor()) >= (epoch, revision)
        assert reader.get(task_id).epoch == epoch
        assert task_id >= first_id
        # The next life begins above every id that this one may have given out.
        first_id += 2_000_000
        assert task_id < first_id
        reader.close()
        assert broken(store) == []
