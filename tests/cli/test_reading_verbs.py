"""The verbs that read, on stores whose engine has ended."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine import open_reader
from tests.cli.programs import ROOT, creche, serving
from tests.cli.stores import Answer, make_store, mixed_store
from tui.cli import main
from tui.control import SyncControl

if TYPE_CHECKING:
    from engine import Engine


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_store(tmp_path_factory.mktemp("mixed") / "tasks.db")


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `main` find the store by itself."""
    monkeypatch.setenv("CRECHE_STORE", str(store))


@pytest.mark.usefixtures("run")
def test_a_listing_has_one_line_for_each_task(capsys: pytest.CaptureFixture[str]) -> None:
    """Newest first, the columns in their documented order, with the error or reason at the end."""
    assert 0 == main(["ls"])
    lines = capsys.readouterr().out.splitlines()
    rows = [re.split(r"\s\s+", line.strip()) for line in lines]
    assert ["ID", "STATE", "MODE", "AGE", "TOOK", "POLLS", "KIND", "NAME", "REMARK"] == rows[0]
    assert [["3", "cancelled"], ["2", "failed"], ["1", "succeeded"]] == [r[:2] for r in rows[1:]]
    assert ["not needed", "ValueError: no luck", "answer"] == [row[-1] for row in rows[1:]]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [3, 2, 1]),
        (["state:failed,cancelled"], [3, 2]),
        (["-state:failed", "answer"], [1]),
        (["key:k"], [1]),
        (["name:nothing"], []),
        (["--limit", "2"], [3, 2]),
        (["--after", "2"], [1]),
    ],
)
def test_a_query_chooses_tasks(
    words: list[str], expected: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Terms, --limit and --after work alike for people and for programs."""
    assert 0 == main(["ls", *words])
    lines = capsys.readouterr().out.splitlines()
    assert expected == [int(line.split()[0]) for line in lines[1:]]
    assert 0 == main(["ls", *words, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert expected == [task["id"] for task in document["tasks"]]


@pytest.mark.usefixtures("run")
def test_a_listing_says_where_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Following `next` with --after gives every task exactly once."""
    seen: list[int] = []
    words: list[str] = []
    while True:
        assert 0 == main(["ls", "--json", "--limit", "1", *words])
        document = json.loads(capsys.readouterr().out)
        seen += [task["id"] for task in document["tasks"]]
        if document["next"] is None:
            break
        words = ["--after", str(document["next"])]
    assert [3, 2, 1] == seen


@pytest.mark.usefixtures("run")
def test_a_task_is_shown_with_its_output_or_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    """`show` ends with the output of one that succeeded, the traceback of one that failed."""
    assert 0 == main(["show", "1"])
    assert ["output", "14"] == capsys.readouterr().out.splitlines()[-1].split()
    assert 0 == main(["show", "2"])
    failed = capsys.readouterr().out
    assert "ValueError: no luck" in failed
    assert "raise error" in failed.splitlines()[-1]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("verb", ["show", "wait"])
def test_a_task_that_does_not_exist_is_not_found(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 4 and stderr names the task."""
    assert 4 == main([verb, "99"])
    said = capsys.readouterr()
    assert "" == said.out
    assert "no task 99" in said.err


@pytest.mark.usefixtures("run")
def test_the_status_of_a_wait_is_the_tasks_own(capsys: pytest.CaptureFixture[str]) -> None:
    """0 when all have succeeded, 1 when any has not; each ended task is one line."""
    assert 0 == main(["wait", "1", "1"])
    assert 1 == len(capsys.readouterr().out.splitlines())
    assert 1 == main(["wait", "1", "2", "3"])
    assert ["1", "2", "3"] == [line.split()[0] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("run")
def test_a_cancel_without_an_engine_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can be told: status 3, and what to start."""
    assert 3 == main(["cancel", "1"])
    said = capsys.readouterr()
    assert "" == said.out
    assert "no engine runs on this store" in said.err
    assert "creche serve" in said.err


@pytest.mark.usefixtures("run")
def test_the_counts_of_a_store_without_an_engine(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`stats` says that none runs, how the last one ended, and counts what the file holds."""
    assert 0 == main(["stats"])
    said = capsys.readouterr().out
    assert str(store) in said
    assert "none runs; the last one has ended in good order" in said
    assert {"tasks": "3", "✓ succeeded": "1", "✗ failed": "1", "⊘ cancelled": "1"} == {
        label.strip(): number
        for label, number in (line.rsplit(maxsplit=1) for line in said.splitlines()[2:])
    }


@pytest.mark.usefixtures("run")
def test_a_dashboard_without_a_terminal_is_a_plain_listing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`creche dash` on a pipe prints what `stats` and `ls` print, and succeeds."""
    assert 0 == main(["dash"])
    shown = capsys.readouterr().out
    main(["stats"])
    stats = capsys.readouterr().out
    assert shown.startswith(stats)
    assert "NAME" in shown.removeprefix(stats)


@pytest.mark.parametrize("verb", ["ls", "show", "wait", "cancel", "stats", "dash"])
def test_no_store_is_status_3(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place without a store is named, and none is made there."""
    words = ["1"] if verb in {"show", "wait", "cancel"} else []
    assert 3 == main([verb, *words, "--store", str(tmp_path / "none.db")])
    assert "none.db" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["ls", "stats"])
def test_what_is_no_store_is_status_3(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of something else is left as it is, and said to be no store."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 500)
    path.chmod(0o600)
    assert 3 == main([verb, "--store", str(path)])
    assert "letter.txt" in capsys.readouterr().err
    assert path.read_text() == "Dear Sir or Madam, " * 500


def test_an_output_that_was_not_kept_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`show --json` of an output that JSON cannot carry says so in output_mark."""

    async def fill(engine: Engine) -> None:
        await engine.submit(Answer(1j))

    path = make_store(tmp_path / "tasks.db", fill)
    assert 0 == main(["show", "1", "--json", "--store", str(path)])
    document = json.loads(capsys.readouterr().out)
    assert (None, "not_serialisable") == (document["output"], document["output_mark"])


# -- the documented JSON -------------------------------------------------------------------------


def documented() -> dict[str, Any]:
    """The JSON blocks of docs/cli.md, by their verb."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```json (\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {verb: json.loads(block) for verb, block in blocks}


def shape(value: Any, stand_ins: dict[str, Any]) -> Any:
    """A document with its values taken out: members, types, and null as null."""
    if isinstance(value, str) and value in stand_ins:
        return shape(stand_ins[value], stand_ins)
    if isinstance(value, dict):
        return {name: shape(member, stand_ins) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member, stand_ins) for member in value]
    return "number" if isinstance(value, float) else type(value).__name__


@pytest.fixture
def shapes() -> dict[str, Any]:
    documents = documented()
    assert {"ls", "show", "wait", "cancel", "stats", "kinds"} == set(documents)
    task = {name: value for name, value in documents["show"].items() if name != "output"}
    return {verb: shape(document, {"TASK": task}) for verb, document in documents.items()}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("verb", "words"), [("ls", ["ls", "id:1"]), ("show", ["show", "1"]), ("wait", ["wait", "1"])]
)
def test_the_json_of_a_task_is_the_documented_one(
    verb: str,
    words: list[str],
    shapes: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Members, their order and types are those of docs/cli.md, and nothing else is printed."""
    assert 0 == main([*words, "--json"])
    assert shapes[verb] == shape(json.loads(capsys.readouterr().out), {})


@pytest.mark.slow
def test_the_json_of_a_live_engine_is_the_documented_one(
    store: Path, shapes: dict[str, Any]
) -> None:
    """`cancel` and `stats` answer as in docs/cli.md, with the engine's own figures inside."""
    with serving(store) as server:
        stats = creche("stats", "--json", "--store", store)
        cancelled = creche("cancel", "1", "99", "--json", "--store", store)
        with SyncControl(server.place("control")) as control:
            figures = control.stats()
            task = control.task(1)
    assert (0, 4) == (stats.status, cancelled.status)
    assert list(figures) == list(stats.document["engine"])
    stand_in = {**stats.document, "engine": "STATISTICS"}
    assert shapes["stats"] == shape(stand_in, {})
    answers = cancelled.document["answers"]
    assert ["already_final", task] == [answers[0]["rung"], answers[0]["task"]]
    assert [{"rung", "task"}, {"id", "error"}] == [set(answer) for answer in answers]
    assert shapes["cancel"]["answers"][1] == shape(answers[1], {})
    assert documented()["cancel"]["answers"][1]["error"]["code"] == answers[1]["error"]["code"]


@pytest.mark.parametrize(
    "output",
    [
        10**400,
        [[[]]] * 3,
        {"a": "é\x7f\U0001f600\ud7ff \u202e"},
        '\\ " \n',
        1e300,
        "",
        [],
        False,
    ],
    ids=lambda output: repr(output)[:20] if not isinstance(output, int) else "int",
)
def test_an_output_is_given_as_it_was_stored(
    output: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number is too long to be shown, and no character gets lost on the way."""

    async def fill(engine: Engine) -> None:
        await engine.submit(Answer(output), mode="blocking")

    path = make_store(tmp_path / "tasks.db", fill)
    assert 0 == main(["show", "1", "--json", "--store", str(path)])
    said = capsys.readouterr().out
    assert said.isascii()
    assert "\x7f" not in said
    with closing(open_reader(path)) as reader:
        kept = reader.output(1)
    plain = json.loads(said, parse_int=str)["output"]
    assert json.loads(kept, parse_int=str) == plain
