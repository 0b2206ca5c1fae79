"""What reaches a terminal or a pipe: nothing that a task could have put there to steer it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.cli.programs import COMMAND, PATIENCE, creche, environment
from tests.cli.stores import HOSTILE, hostile_store, mixed_store
from tui.cli import main

COLOURS = re.compile(r"\x1b\[(?:0|1|3[0-7]|9[0-7])m")

VERBS = [
    ["ls"],
    ["ls", "--json"],
    ["show", "1"],
    ["show", "2"],
    ["show", "3"],
    ["show", "8", "--json"],
    ["wait", *map(str, range(1, 19))],
    ["wait", *map(str, range(1, 19)), "--json"],
    ["stats"],
    ["stats", "--json"],
    ["dash"],
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_store(tmp_path_factory.mktemp("hostile") / "tasks.db")


def steering(text: str) -> set[str]:
    """The characters in a text that a terminal would act on, but for its line breaks."""
    return {
        c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }


def on_a_terminal(*words: object, **variables: str) -> str:
    """What a command writes to a terminal."""
    master, side = os.openpty()
    try:
        with subprocess.Popen(
            [*COMMAND, *map(str, words)],
            env=environment(**{"TERM": "xterm-256color", "COLUMNS": "100", **variables}),
            stdin=side,
            stdout=side,
            stderr=side,
        ) as process:
            os.close(side)
            parts = []
            while part := _read(master):
                parts.append(part)
            process.wait(PATIENCE)
    finally:
        os.close(master)
    return b"".join(parts).decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # its other end is closed
        return b""


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_nothing_hostile_is_written(
    words: list[str], store: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """No escape, control, bidi or other format character in any verb's output, stderr included."""
    main([*words, "--store", str(store)])
    said = capfdbinary.readouterr()
    assert (set(), set()) == (steering(said.out.decode()), steering(said.err.decode()))
    assert said.out.endswith(b"\n")


@pytest.mark.slow
def test_nothing_hostile_is_written_to_a_pipe(store: Path) -> None:
    """The same, seen from the other end of a real pipe."""
    said = creche("show", "14", "--store", store)
    assert (0, "", set()) == (said.status, said.err, steering(said.out))
    assert "␡" in said.out


@pytest.mark.slow
@pytest.mark.parametrize("words", [["ls"], ["show", "4"]], ids=" ".join)
def test_only_colours_are_written_to_a_terminal(words: list[str], store: Path) -> None:
    """On a terminal the one kind of escape sequence is our own colour."""
    shown = on_a_terminal(*words, "--store", store)
    assert set() == steering(COLOURS.sub("", shown))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(name: str, value: str, store: Path) -> None:
    """NO_COLOR and a terminal that knows no colours get none."""
    shown = on_a_terminal("ls", "--store", store, **{name: value})
    assert set() == steering(shown)


@pytest.mark.slow
def test_lines_are_cut_on_a_terminal_only(tmp_path: Path) -> None:
    """A line is never wider than its terminal, and whole on a pipe."""
    path = mixed_store(tmp_path / "tasks.db")
    shown = COLOURS.sub("", on_a_terminal("ls", "--store", path, COLUMNS="50")).splitlines()
    whole = creche("ls", "--store", path).out.splitlines()
    assert 50 == max(map(len, shown))
    assert [len(line) > 50 for line in whole] == [line.endswith("…") for line in shown]
    assert any("no luck" in line for line in whole)


def test_json_gives_every_name_back_unchanged(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is escaped for the eye is still the task's own text for a program."""
    assert 0 == main(["ls", "--json", "--store", str(store)])
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert {*HOSTILE} == {task["name"] for task in tasks}


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_command_in_silence(store: Path) -> None:
    """`creche ls | head -0` prints no traceback; the status is what a shell gives for SIGPIPE."""
    with subprocess.Popen(
        [*COMMAND, "ls", "--store", str(store)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"" == process.stderr.read()
        assert 141 == process.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_sentence(store: Path) -> None:
    """Output that cannot be written is status 74, said in one line."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "ls", "--store", str(store)],
            check=False,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )
    assert (74, b"creche ls: No space left on device\n") == (done.returncode, done.stderr)


@pytest.mark.slow
def test_a_terminal_of_another_alphabet_gets_question_marks(store: Path) -> None:
    """A character that the output's encoding lacks never ends a command."""
    said = creche("ls", "--store", store, PYTHONIOENCODING="ascii")
    assert (0, "") == (said.status, said.err)
    assert "?[31mred?[0m" in said.out


@pytest.mark.parametrize(
    "words", [["ls", "state:\x1b[31m"], ["ls", "--\x1b[31m"], ["show", "\x9b2J"], ["\x1b]0;t\x07"]]
)
def test_hostile_arguments_come_back_harmless(
    words: list[str], store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was typed is repeated in errors without its control characters."""
    status = main([*words, "--store", str(store)])
    said = capsys.readouterr()
    assert (2, "", set()) == (status, said.out, steering(said.err))


def test_the_hostile_names_are_hostile() -> None:
    """The check above sees what it looks for."""
    assert json.loads('["\\u001b", "\\u202e", "\\u009b"]') == [
        c for c in "\x1b\u202e\x9b" if steering(c)
    ]
