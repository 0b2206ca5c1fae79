"""``creche submit`` and ``creche kinds`` against a server with kinds of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine import open_reader
from tests.cli.programs import COMMAND, PATIENCE, ROOT, creche, environment, running
from tests.cli.stores import mixed_store
from tests.cli.test_reading_verbs import documented

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store of a server with the kinds of the example; `test_no_engine` needs no server."""
    path = tmp_path_factory.mktemp("submitting") / "tasks.db"
    words = ("serve", "--app", "own_kinds:registry", "--store", path)
    in_examples = 'cd "$1" && shift && exec "$@"'
    with running("sh", "-c", in_examples, "sh", EXAMPLES, *COMMAND, *words) as server:
        server.until("ready")
        yield path
        server.signal(signal.SIGTERM)
        assert 0 == server.end()
    assert "correct horse" not in "".join(server.errors)


def test_it_prints_the_id_of_a_durable_task(store: Path) -> None:
    """The id alone on a line; the task is in the file, with the options that were given."""
    said = creche(
        *("submit", "checksum", "text=5", "--name", "mine", "--key", "k", "--tag", "a"),
        *("--tag", "b", "--priority", "-3", "--timeout", "2.5", "--store", store),
    )
    assert (0, "") == (said.status, said.err)
    with closing(open_reader(store)) as reader:
        task = reader.get(int(said.out))
    assert ('{"algorithm":"crc32","text":"5"}', "mine", "k") == (
        task.arguments,
        task.name,
        task.key,
    )
    assert (("a", "b"), -3, 2.5) == (task.tags, task.priority, task.timeout)
    assert 3 == task.attempts_allowed


def test_the_command_line_has_the_last_word(store: Path) -> None:
    """An option that is given wins over the kind's own."""
    said = creche("submit", "checksum", "text=x", "--attempts", "1", "--json", "--store", store)
    assert (0, 1, "checksum") == (
        said.status,
        said.document["attempts_allowed"],
        said.document["kind"],
    )


def test_it_waits_with_the_status_of_the_task(store: Path, tmp_path: Path) -> None:
    """0 when it has succeeded, 1 when not; the id comes first, how it ended at the end."""
    said = creche("submit", "countdown", "steps=2", "--wait", "--store", store)
    task_id, ending = said.out.splitlines()
    assert (0, [task_id, "succeeded"]) == (said.status, ending.split()[:2])
    document = creche(
        "submit", "countdown", "steps=0", "--wait", "--json", "--store", store
    ).document
    assert ("succeeded", "clocks") == (document["state"], document["key"])
    failing = ("path", f"path={tmp_path}", "contains=x", "--timeout", "0")
    said = creche("submit", *failing, "--wait", "--store", store)
    assert 1 == said.status


def test_arguments_come_from_a_document_or_from_stdin(store: Path) -> None:
    """Secrets need not stand where every user of the machine can read them."""
    said = creche("submit", "checksum", "--arguments", '{"text": "5"}', "--store", store)
    assert 0 == said.status
    done = subprocess.run(
        [*COMMAND, "submit", "greet", "--arguments", "-", "--wait", "--store", str(store)],
        capture_output=True,
        check=False,
        env=environment(),
        input=b'{"user": "ada", "password": "correct horse"}',
        timeout=PATIENCE,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    task_id = int(done.stdout.split()[0])
    shown = creche("show", task_id, "--json", "--store", store)
    assert "ada has a password of 13 characters" == shown.document["output"]
    assert {"user": "ada", "password": "•••"} == shown.document["arguments"]
    assert "correct horse" not in shown.out + creche("show", task_id, "--store", store).out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nonsense"], "no kind 'nonsense'"),
        (["nonsense", "x=1"], "registered: checksum, countdown, greet, path, port, sample"),
        (["sample"], "value"),
        (["sample", "value=seven"], "$.value"),
        (["sample", "value=7", "more=1"], "more"),
        (["sample", "7"], "name=value"),
        (["port", "port=1", "host=db.example.org"], "--allow-host"),
        (["greet", "user=u", "password=hunter2"], "password does not fit"),
        (["checksum", "text=x", "--timeout", "1e300"], "timeout"),
        (["checksum", "text=x", "--timeout", "nan"], "timeout"),
    ],
)
def test_what_does_not_fit_is_status_2(words: list[str], complaint: str, store: Path) -> None:
    """One sentence says what is wrong, and no task has come of it."""
    said = creche("submit", *words, "--store", store)
    assert (2, "", 1) == (said.status, said.out, said.err.count("\n"))
    assert said.err.startswith("creche submit: ")
    assert complaint in said.err
    assert "hunter2" not in said.err


def test_waiting_for_a_port_and_a_file(store: Path, tmp_path: Path) -> None:
    """The ready-made kinds from a shell: the task ends when the thing is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = creche("submit", "port", f"port={port}", "--wait", "--store", store)
    assert 0 == said.status
    file = tmp_path / "done"
    with running(
        *COMMAND, "submit", "path", f"path={file}", "contains=ready", "--wait", "--store", store
    ) as waiting:
        waiting.until("")
        file.write_text("it is ready")
        assert 0 == waiting.end()


def test_the_kinds_are_listed(store: Path) -> None:
    """With their arguments for people, and as the HTTP API tells them for programs."""
    said = creche("kinds", "--store", store)
    assert (0, "") == (said.status, said.err)
    lines = said.out.splitlines()
    assert "checksum  Check sum of a text." in lines
    assert "    text: string" in lines
    assert '    algorithm: string = "crc32"' in lines
    assert "    password: string, secret" in lines
    assert "    port: integer  (The port)" in lines
    document = creche("kinds", "--json", "--store", store).document
    names = [kind["name"] for kind in document["kinds"]]
    assert ["checksum", "countdown", "greet", "path", "port", "sample"] == names
    assert "$defs" in document["kinds"][0]["arguments"]
    documented_kind = documented()["kinds"]["kinds"][0]
    assert [[*documented_kind]] * 6 == [[*kind] for kind in document["kinds"]]


@pytest.mark.parametrize("words", [["submit", "sample", "value=1"], ["kinds"]], ids=" ".join)
def test_without_an_engine_nothing_can_be_submitted(words: list[str], tmp_path: Path) -> None:
    """A store that no engine runs on is named as such, with what to do."""
    said = creche(*words, "--store", mixed_store(tmp_path / "tasks.db"))
    assert (3, "") == (said.status, said.out)
    assert "creche serve" in said.err


def test_an_app_that_cannot_be_had_is_status_2(tmp_path: Path) -> None:
    """Nothing is served, and no store is made."""
    said = creche("serve", "--app", "no_such:registry", "--store", tmp_path / "tasks.db")
    assert (2, "", 1) == (said.status, said.out, said.err.count("\n"))
    assert "there is no module 'no_such'" in said.err
    assert [] == list(tmp_path.iterdir())
