"""The examples do what they say."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.programs import PATIENCE, ROOT, environment, running

if TYPE_CHECKING:
    from pathlib import Path


def said_by(example: str) -> str:
    """What an example prints; it ends well, and says nothing on stderr."""
    done = subprocess.run(
        [sys.executable, f"examples/{example}"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment(),
        text=True,
        timeout=PATIENCE,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_own_kinds_run_by_name() -> None:
    """A function, a class and an async function give the outputs that the example checks."""
    said = said_by("own_kinds.py")
    modes = [line.partition(":")[0] for line in said.splitlines()]
    assert ["checksum (blocking)", "countdown (polling)", "greet (async)"] == modes


@pytest.mark.slow
def test_real_work_is_done_right() -> None:
    """500 files and 20 programs: every digest and status is right, by the example's own check."""
    said = said_by("real_work.py")
    assert "500 files hashed and 20 programs minded" in said
    assert "520 of 520 tasks succeeded" in said


@pytest.mark.slow
def test_an_asyncio_program_awaits_its_tasks() -> None:
    """40 clients of an asyncio server get right answers, and a wait given up loses no work."""
    said = said_by("from_asyncio.py")
    assert "41 passwords stretched for 40 clients: right\n" == said


def answer(address: str, **form: str) -> tuple[int, dict[str, Any]]:
    """The status and the document of a request: POST with a form, else GET."""
    with httpx.Client(timeout=PATIENCE, follow_redirects=True, trust_env=False) as client:
        got = client.post(address, data=form) if form else client.get(address)
    return got.status_code, got.json() if got.is_success else {}


@pytest.mark.slow
def test_a_flask_app_has_one_owner_and_readers(tmp_path: Path) -> None:
    """A word that a reader sends on is hashed by the owner, both show it, and a restarted owner
    still has it."""
    app, store = (sys.executable, ROOT / "examples" / "flask_app.py"), tmp_path / "tasks.db"
    quiet = {"PYTHONWARNINGS": "error"}
    expected = hashlib.pbkdf2_hmac("sha256", b"cr\xc3\xa8che", b"salt", 20_000).hex()
    with running(*app, "owner", store, **quiet) as owner:
        owner.until("ready")
        home = owner.place("ready")
        with running(*app, "reader", store, home, **quiet) as reader:
            reader.until("ready")
            branch = reader.place("ready")
            assert answer(f"{branch}/words", word="crèche") == (202, {"id": 1})
            document = {"id": 1, "state": "succeeded", "output": expected}
            assert answer(f"{home}/words/1?wait=20") == (200, document)
            assert answer(f"{branch}/words/1") == (200, document)
            assert [answer(f"{place}/words/9")[0] for place in (home, branch)] == [404, 404]
            reader.signal(signal.SIGTERM)
            assert reader.end() == 0
        owner.signal(signal.SIGINT)
        assert owner.end() == 0
    with running(*app, "owner", store, **quiet) as owner:
        owner.until("ready")
        assert answer(f"{owner.place('ready')}/words/1") == (200, document)
        owner.signal(signal.SIGTERM)
        assert owner.end() == 0
