"""``creche serve`` as a process: how it starts, answers, drains, ends, and what a crash leaves."""

from __future__ import annotations

import resource
import signal
import stat
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from engine import Owner, Query, State, TaskSnapshot, open_reader
from tests.cli.programs import COMMAND, Program, creche, running, serving
from tests.cli.samples import client, sample, seed_of, submit
from tests.store.invariants import broken

pytestmark = pytest.mark.slow


def rows(store: Path) -> dict[int, TaskSnapshot]:
    """Every task in a store's file."""
    with closing(open_reader(store)) as reader:
        return {task.id: task for task in reader.page(Query.everything(), limit=1_000).tasks}


def states(store: Path) -> dict[int, str]:
    """The state of every task in a store's file."""
    return {task_id: str(task.state) for task_id, task in rows(store).items()}


def owner(store: Path) -> Owner:
    """Who runs, or last ran, the store's engine."""
    with closing(open_reader(store)) as reader:
        found = reader.owner()
    assert found is not None
    return found


def until_final(store: Path, task_id: int) -> TaskSnapshot:
    """Look at the file until a task has ended."""
    while not (task := rows(store)[task_id]).state.final:
        pass
    return task


def drains(http: httpx.Client) -> httpx.Response:
    """Submit until it is refused; the refusal."""
    while True:
        answer = http.post("/v1/tasks", json=sample(1, "polling"))
        if answer.status_code != 202:
            return answer


def until_running(http: httpx.Client, wanted: int) -> None:
    """Ask until so many tasks are running: their rows are then durable or on their way."""
    while http.get("/v1/stats").json()["counts"]["running"] < wanted:
        pass


def test_it_answers_where_it_says_it_does(tmp_path: Path) -> None:
    """The ready lines name store, control socket, URL and token, and all of them work."""
    store = tmp_path / "tasks.db"
    with serving(store, "--tcp", "127.0.0.1:0") as server:
        token = Path(server.place("token")).read_text(encoding="ascii").strip()
        url = server.place("http")
        with client(server.place("control")) as http:
            task = submit(http, sample(21, scale=0.0))
            assert State.SUCCEEDED == until_final(store, task).state
            output = http.get(f"/v1/tasks/{task}/output").json()
        stranger = httpx.get(f"{url}/v1/stats", trust_env=False).status_code
        known = httpx.get(
            f"{url}/v1/stats", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ).status_code
        assert [str(store), "ready"] == [server.place("store"), server.lines[-1]]
        modes = [
            stat.S_IMODE(Path(path).stat().st_mode)
            for path in (store, server.place("token"), server.place("control"), f"{store}.d")
        ]
        server.signal(signal.SIGTERM)
        assert 0 == server.end()
    assert (42, 401, 200) == (output, stranger, known)
    assert [0o600, 0o600, 0o600, 0o700] == modes
    assert not Path(server.place("control")).exists()
    assert [] == broken(store)


def test_term_refuses_stops_and_leaves_within_the_grace(tmp_path: Path) -> None:
    """Draining answers 503 with Retry-After; what is left stays as it was; the status is 0."""
    store = tmp_path / "tasks.db"
    with serving(store, "--capacity", "1", "--grace", "1") as server:
        with client(server.place("control")) as http:
            short = submit(http, sample(1, seconds=1, scale=0.01))
            polling = submit(http, sample(2, "polling"))
            until_final(store, short)
            blocked = submit(http, sample(3))
            queued = submit(http, sample(4))
            until_running(http, 1)
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            refusal = drains(http)
        assert 0 == server.end()
        took = time.monotonic() - began
    assert (503, True) == (refusal.status_code, "Retry-After" in refusal.headers)
    assert took <= 1 + 2
    left = states(store)
    expected = {short: "succeeded", polling: "polling", blocked: "running", queued: "queued"}
    assert expected == {task: left[task] for task in expected}
    assert [] == broken(store)
    assert owner(store).clean


def test_code_that_is_executing_may_end_in_the_grace(tmp_path: Path) -> None:
    """A blocking call that ends during the drain has its output kept, and nothing waits longer."""
    store = tmp_path / "tasks.db"
    with serving(store, "--grace", "40") as server:
        with client(server.place("control")) as http:
            task = submit(http, sample(7, seconds=50, scale=0.01))
            until_running(http, 1)
            server.signal(signal.SIGINT)
        assert 0 == server.end()
    assert {task: "succeeded"} == states(store)
    with closing(open_reader(store)) as reader:
        assert "14" == reader.output(task)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(second: signal.Signals, tmp_path: Path) -> None:
    """Whoever cannot wait for the drain sends another signal; the store is as a crash leaves it."""
    store = tmp_path / "tasks.db"
    with serving(store, "--grace", "1000") as server:
        with client(server.place("control")) as http:
            submit(http, sample(1))
            until_running(http, 1)
            server.signal(signal.SIGTERM)
            drains(http)
            server.signal(second)
        assert 128 + second == server.end()
    assert "second signal" in server.errors[-1]
    assert not owner(store).clean


def test_a_hangup_drains_unless_it_is_ignored(tmp_path: Path) -> None:
    """A terminal that goes away ends its server in good order; under nohup it stays."""
    with serving(tmp_path / "one.db") as server:
        server.signal(signal.SIGHUP)
        assert 0 == server.end()
    # A shell that ignores HUP hands that on, as nohup does.
    words = (*COMMAND, "serve", "--store", tmp_path / "two.db")
    with running("sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words) as ignoring:
        ignoring.until("ready")
        ignoring.signal(signal.SIGHUP)
        with client(ignoring.place("control")) as http:
            assert 200 == http.get("/readyz").status_code
        ignoring.signal(signal.SIGTERM)
        assert 0 == ignoring.end()
    assert 1 == len([line for line in ignoring.errors if "stopping" in line])


def test_quit_tells_what_every_thread_does(tmp_path: Path) -> None:
    """The stacks go to stderr, and the server goes on."""
    with serving(tmp_path / "tasks.db") as server, client(server.place("control")) as http:
        server.signal(signal.SIGQUIT)
        assert 200 == http.get("/readyz").status_code
        server.signal(signal.SIGTERM)
        assert 0 == server.end()
    assert any(line.startswith("Current thread") for line in server.errors)
    assert any("_core/_run.py" in line for line in server.errors)


SETTINGS = """\
import gc, sys
from tui.cli.serve import GC_THRESHOLDS, SWITCH_INTERVAL, own_process
before = sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()
import engine, tui.cli.ls, web
engine.Engine
assert before == (sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count())
own_process()
assert abs(sys.getswitchinterval() - SWITCH_INTERVAL) < 1e-9
assert GC_THRESHOLDS == gc.get_threshold()
assert gc.get_freeze_count() > 10_000
"""


def test_only_a_server_of_its_own_touches_its_process() -> None:
    """Importing anything changes nothing; serving shortens the switch interval and eases the gc."""
    with running(sys.executable, "-c", SETTINGS) as program:
        assert 0 == program.end(), program.errors


def test_a_second_server_on_a_store_is_refused(tmp_path: Path) -> None:
    """It names the process that has the store, and ends with status 3."""
    store = tmp_path / "tasks.db"
    with serving(store) as server:
        said = creche("serve", "--store", store)
        assert (3, "") == (said.status, said.out)
        assert str(server.process.pid) in said.err
        assert 1 == said.err.count("\n")
        server.signal(signal.SIGTERM)
        assert 0 == server.end()


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    """The port that somebody has is named; the store is closed in good order."""
    with serving(tmp_path / "one.db", "--tcp", "0") as server:
        port = server.place("http").rpartition(":")[2]
        said = creche("serve", "--tcp", port, "--store", tmp_path / "two.db")
    assert (3, "") == (said.status, said.out)
    assert f"127.0.0.1:{port}" in said.err
    assert [] == broken(tmp_path / "two.db")


def test_a_damaged_store_is_status_65(tmp_path: Path) -> None:
    """The file is left as it is, and the status is the one for damaged data."""
    path = tmp_path / "tasks.db"
    path.write_bytes(b"SQLite format 3\0" + b"damaged " * 1000)
    path.chmod(0o600)
    before = path.read_bytes()
    said = creche("serve", "--store", path)
    assert (65, "") == (said.status, said.out)
    assert "Traceback" not in said.err
    assert before == path.read_bytes()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs to limit a stranger's files")
def test_writing_that_fails_is_status_74(tmp_path: Path) -> None:
    """Nothing is acknowledged any more, the server ends by itself, and what it said is there."""
    store = tmp_path / "tasks.db"
    unmeasured = {"COVERAGE_PROCESS_CONFIG": ""}  # its data could not be written either
    with serving(store, **unmeasured) as server, client(server.place("control")) as http:
        kept = submit(http, sample(1, "polling"))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1_000, 1_000))
        # It may end before it has told why.
        with suppress(httpx.RemoteProtocolError):
            assert 503 == http.post("/v1/tasks", json=sample(2, "polling")).status_code
        assert 74 == server.end()
    assert 1 == len([line for line in server.errors if "writing failed" in line])
    assert "Traceback" not in "".join(server.errors)
    assert [kept] == list(rows(store))
    assert [] == broken(store)


def test_a_wait_sees_what_others_do(tmp_path: Path) -> None:
    """`wait` ends with its tasks' status, with 5 when its time is over, and says what is live."""
    store = tmp_path / "tasks.db"
    with serving(store) as server, client(server.place("control")) as http:
        task = submit(http, sample(1, "polling"))
        over = creche("wait", task, "--timeout", "0", "--json", "--store", store)
        with running(*COMMAND, "wait", task, "--store", store) as waiting:
            cancelled = creche("cancel", task, "--reason", "enough", "--store", store)
            assert 1 == waiting.end()
    assert (5, [task]) == (over.status, [one["id"] for one in over.document["tasks"]])
    assert "the time is over" in over.err
    assert 0 == cancelled.status
    assert "its work may go on elsewhere" in cancelled.out
    assert ["cancelled"] == [line.split()[1] for line in waiting.lines]


def test_a_control_socket_that_is_gone_is_done_without(tmp_path: Path) -> None:
    """What reads falls back to the file; what commands says that no engine answers."""
    store = tmp_path / "tasks.db"
    with serving(store) as server:
        with client(server.place("control")) as http:
            task = submit(http, sample(1, "polling"))
            asked = creche("show", task, "--json", "--store", store)
        Path(server.place("control")).unlink()
        shown = creche("show", task, "--json", "--store", store)
        counted = creche("stats", "--json", "--store", store)
        cancelled = creche("cancel", task, task + 1, "--store", store)
        server.signal(signal.SIGTERM)
        assert 0 == server.end()
    assert (0, 0) == (asked.status, shown.status)
    for fact in ("id", "kind", "arguments", "submitted_at"):
        assert asked.document[fact] == shown.document[fact]
    assert (0, None) == (counted.status, counted.document["engine"])
    assert "counts are from the file" in counted.err
    assert (3, "") == (cancelled.status, cancelled.out)
    assert 1 == cancelled.err.count("no engine answers")


def test_a_wait_can_be_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it with 130 and without a traceback; what had ended was printed at once."""
    store = tmp_path / "tasks.db"
    with serving(store) as server, client(server.place("control")) as http:
        quick, endless = submit(http, sample(1, scale=0.0)), submit(http, sample(2, "polling"))
        with running(*COMMAND, "wait", quick, endless, "--store", store) as waiting:
            waiting.until(str(quick))
            waiting.signal(signal.SIGINT)
            assert 130 == waiting.end()
    assert [] == waiting.errors


# -- after a crash -------------------------------------------------------------------------------

EMBEDDED = """\
import sys, time
import trio
from engine import Engine, State

class Never:
    def run(self): pass
    def check_output(self): return None

class Stuck:
    def run(self): time.sleep(600)
    def check_output(self): return None

async def main():
    polling, blocking = int(sys.argv[2]), int(sys.argv[3])
    async with Engine(sys.argv[1], capacity=4) as engine:
        def sample(seed): return engine.submit("sample", arguments={"value": 1, "seed": seed})
        for _ in range(3): await engine.submit(Never())
        for _ in range(2): await sample(polling)
        for _ in range(2): await sample(blocking)
        for _ in range(4): await engine.submit(Stuck())
        for _ in range(2): await sample(blocking)
        async for _ in engine.events(""):
            counts = engine.counts()
            if (counts[State.POLLING], counts[State.RUNNING]) == (5, 4): break
        print("ready", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def test_after_a_kill_live_objects_are_lost_and_kinds_start_again(tmp_path: Path) -> None:
    """Kill -9, `creche ls` on what is left, a restart: nothing is missing, nothing made up."""
    store = tmp_path / "tasks.db"
    seeds = (seed_of("polling", 99), seed_of("blocking", 99))
    with running(sys.executable, "-c", EMBEDDED, store, *seeds) as crashed:
        crashed.until("ready")
        crashed.kill()
    never, polled, run, stuck, waiting = (
        range(1, 4),
        range(4, 6),
        range(6, 8),
        range(8, 12),
        (12, 13),
    )
    expected = {
        **dict.fromkeys([*never, *polled], "polling"),
        **dict.fromkeys([*run, 8, 9], "running"),
        **dict.fromkeys([10, 11, *waiting], "queued"),
    }
    listed = creche("ls", "--json", "--store", store).document["tasks"]
    assert expected == {task["id"]: task["state"] for task in listed}
    assert (False, False) == (owner(store).alive, owner(store).clean)
    assert 3 == creche("wait", 1, "--store", store).status

    with serving(store, "--grace", "0") as server, client(server.place("control")) as http:
        again = states(store)
        fresh = submit(http, sample(1, scale=0.0))
        until_final(store, fresh)
        server.signal(signal.SIGTERM)
        assert 0 == server.end()
    assert dict.fromkeys([*never, *stuck], "lost") == {
        task: state for task, state in again.items() if task in {*never, *stuck}
    }
    recovered = {*polled, *run, *waiting}
    assert recovered == set(again) - {*never, *stuck}
    assert {"queued", "running", "polling"} >= {again[task] for task in recovered}
    final = rows(store)
    crashes = {task.id: task.crashes for task in final.values() if task.kind == "sample"}
    assert {**dict.fromkeys([*polled, *run], 1), **dict.fromkeys([*waiting, fresh], 0)} == crashes
    assert fresh > 13
    assert 14 == len(final)
    with closing(open_reader(store)) as reader:
        assert Counter(task.state for task in final.values()) == Counter(reader.counts())
    assert [] == broken(store)


def test_a_killed_server_leaves_every_acknowledged_task(tmp_path: Path) -> None:
    """What was answered with 202 is there after kill -9, and the ids go on upward."""
    store = tmp_path / "tasks.db"
    acknowledged: list[int] = []
    for _ in range(3):
        with serving(store, "--capacity", "2") as server, client(server.place("control")) as http:
            known = [submit(http, sample(n)) for n in range(4)]
            server.kill()
        assert not acknowledged or min(known) > max(acknowledged)
        acknowledged += known
        assert set(acknowledged) == set(states(store))
        assert [] == broken(store)


def test_signals_before_it_is_ready_are_heeded(tmp_path: Path) -> None:
    """TERM while the server still starts ends it without a traceback, and the store is sound."""
    store = tmp_path / "tasks.db"
    with running(*COMMAND, "serve", "--store", store) as starting:
        _until_exists(starting, tmp_path / "tasks.db.d")
        starting.signal(signal.SIGTERM)
        assert 0 == starting.end()
    assert "Traceback" not in "".join(starting.errors)
    assert [] == broken(store)


def _until_exists(program: Program, path: Path) -> None:
    while not path.exists():
        assert program.process.poll() is None
