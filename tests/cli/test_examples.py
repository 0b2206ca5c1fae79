"""The examples do what they say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.programs import PATIENCE, ROOT, environment


@pytest.mark.slow
def test_real_work_is_done_right() -> None:
    """500 files and 20 programs: every digest and status is right, by the example's own check."""
    done = subprocess.run(
        [sys.executable, "examples/real_work.py"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment(),
        text=True,
        timeout=PATIENCE,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "500 files hashed and 20 programs minded" in done.stdout
    assert "520 of 520 tasks succeeded" in done.stdout
