"""The demo's server as its parent holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.programs import is_running
from tui.cli.demo_process import DemoProcess, DemoServerEnded

pytestmark = pytest.mark.slow


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """What it wrote before its end comes with the error."""
    store = tmp_path / "tasks.db"
    store.write_bytes(b"no store at all" * 1000)
    store.chmod(0o600)
    server = DemoProcess(tmp_path, tasks=1, scale=0.0, seed=1, keep=True)
    with pytest.raises(DemoServerEnded, match="ended with status") as ended:
        server.wait_ready()
    assert ended.value.status == server.stop() != 0
    assert "tasks.db" in ended.value.log


def test_a_stopped_server_is_gone(tmp_path: Path) -> None:
    """Stopping waits for the end, may be repeated, and gives the status of a clean close."""
    server = DemoProcess(tmp_path, tasks=3, scale=100.0, seed=1, keep=True)
    server.wait_ready()
    pid = server.pid
    assert server.alive
    assert [0, 0] == [server.stop(), server.stop()]
    assert (False, False) == (server.alive, is_running(pid))


def test_a_killed_server_is_gone_too(tmp_path: Path) -> None:
    """Nothing waits for a grace that was not asked for."""
    server = DemoProcess(tmp_path, tasks=3, scale=100.0, seed=1, keep=True)
    server.wait_ready()
    server.kill()
    assert -9 == server.stop()
