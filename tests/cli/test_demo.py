"""``creche demo`` as a process: it tells the truth, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from engine import State, open_reader
from tests.cli.programs import COMMAND, Program, creche, environment, is_running, running

pytestmark = pytest.mark.slow

PATIENCE = 50.0


def store_of(program: Program) -> Path:
    """The store that a demo has named in its hints."""
    (line,) = [line for line in program.lines if " ls --store " in line]
    return Path(shlex.split(line)[-1])


def server_of(program: Program) -> int:
    """The process that serves a demo's store."""
    with closing(open_reader(store_of(program))) as reader:
        owner = reader.owner()
    assert owner is not None
    return owner.pid


def start(*words: str) -> tuple[str, ...]:
    return (*COMMAND, "demo", *words, "--plain")


def test_a_demo_from_end_to_end(tmp_path: Path) -> None:
    """All succeed with the right outputs; the last line is the totals; nothing is left."""
    said = creche("demo", "40", "--scale", "0.005", "--plain", TMPDIR=str(tmp_path))
    lines = said.out.splitlines()
    assert (0, "") == (said.status, said.err)
    assert "40 tasks: 40 succeeded" == lines[-1]
    assert "outputs        40 of 40 are 2 × the task's value" in lines
    modes = {
        line.split()[0]: int(line.split()[1])
        for line in lines
        if re.match(r"(blocking|polling|auto) ", line)
    }
    assert {"blocking", "polling"} == set(modes)
    assert 40 == sum(modes.values())
    assert [] == list(tmp_path.iterdir())


def test_a_seed_repeats_a_demo(tmp_path: Path) -> None:
    """The same seed gives the same tasks; without one the demo says which it took."""
    first = creche("demo", "12", "--scale", "0", "--seed", "7", TMPDIR=str(tmp_path)).out
    again = creche("demo", "12", "--scale", "0", "--seed", "7", TMPDIR=str(tmp_path)).out
    assert re.findall(r"(?m)^(?:blocking|polling) .*$", first) == re.findall(
        r"(?m)^(?:blocking|polling) .*$", again
    )
    assert "--seed 7;" in first


def test_a_kept_store_can_be_read(tmp_path: Path) -> None:
    """With --keep the store stays where the demo says, for every other verb."""
    said = creche("demo", "5", "--scale", "0", "--keep", "--plain", TMPDIR=str(tmp_path))
    (line,) = [line for line in said.out.splitlines() if line.startswith("the store is kept: ")]
    store = line.removeprefix("the store is kept: ")
    assert (0, 5) == (said.status, len(creche("ls", "--json", "--store", store).document["tasks"]))
    assert 0o700 == Path(store).parent.stat().st_mode & 0o777


def test_its_hints_can_be_pasted(tmp_path: Path) -> None:
    """The printed commands work in another shell while it runs, and agree with each other."""
    with running(*start("8", "--scale", "1"), TMPDIR=str(tmp_path)) as demo:
        lines = [line.strip() for line in demo.until("  curl")]
        listing = next(line for line in lines if " ls --store " in line)
        stats = listing.replace(" ls ", " stats --json ")
        commands = [lines[-1], listing + " --json", stats]
        answers = [_shell(command) for command in commands]
        demo.signal(signal.SIGTERM)
        assert 143 == demo.end()
    assert 8 == answers[0].count('"kind":"sample"') == answers[1].count('"kind": "sample"')
    assert '"alive": true' in answers[2]


def _shell(command: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        check=True,
        env=environment(),
        shell=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_a_true_report(number: signal.Signals, tmp_path: Path) -> None:
    """The server is gone, the folder too, and the totals count what was live as it was left."""
    with running(*start("20", "--scale", "100"), TMPDIR=str(tmp_path)) as demo:
        demo.until("  curl")
        _until_all_started(store_of(demo), 20)
        server = server_of(demo)
        demo.signal(number)
        assert 128 + number == demo.end()
    assert "Traceback" not in "".join(demo.errors)
    assert (
        f"stopped by {number.name}: tasks that were live are counted as they were left"
        in demo.lines
    )
    assert re.fullmatch(r"20 tasks: \d+ running, \d+ polling", demo.lines[-1])
    assert not is_running(server)
    assert [] == list(tmp_path.iterdir())


def _until_all_started(store: Path, tasks: int) -> None:
    with closing(open_reader(store)) as reader:
        while True:
            counts = reader.counts()
            if counts[State.RUNNING] + counts[State.POLLING] == tasks:
                return


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs to wait for a stranger's end")
@pytest.mark.parametrize("keep", [False, True])
def test_its_server_ends_with_it(keep: bool, tmp_path: Path) -> None:
    """After kill -9 of the demo its server ends by itself, and removes the folder unless kept."""
    words = ["20", "--scale", "100", *(["--keep"] if keep else [])]
    with running(*start(*words), TMPDIR=str(tmp_path)) as demo:
        demo.until("  curl")
        server = os.pidfd_open(server_of(demo))
        demo.kill()
        with os.fdopen(server, "rb", buffering=0) as end:
            assert select.select([end], [], [], PATIENCE)[0]
    assert int(keep) == len(list(tmp_path.glob("creche-demo-*"))) == len(list(tmp_path.iterdir()))


def test_a_server_that_dies_is_reported(tmp_path: Path) -> None:
    """When its server is killed the demo says so, counts what is there, and ends with status 3."""
    with running(*start("20", "--scale", "100"), TMPDIR=str(tmp_path)) as demo:
        demo.until("  curl")
        _until_all_started(store_of(demo), 20)
        os.kill(server_of(demo), signal.SIGKILL)
        assert 3 == demo.end()
    assert "the demo's server ended with status -9" in demo.errors[0]
    assert demo.lines[-1].startswith("20 tasks: ")
    assert [] == list(tmp_path.glob("creche-demo-*"))
