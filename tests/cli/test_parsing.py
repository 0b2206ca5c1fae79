"""What the command line takes, what it refuses, and with which status."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine import (
    BadQuery,
    CrecheError,
    KindNotFound,
    StoreFailed,
    StoreInUse,
    StoreNotFound,
    StoreUnreadable,
    TaskNotFound,
)
from tui.cli import VERBS, build_app, main
from tui.cli.exits import BadUsage, Exit, status_of, worst
from tui.cli.serve import address
from tui.ports import ControlRefused, ControlUnreachable

HERE = Path("x.db")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nonsense"], "nonsense"),
        (["lss"], '"ls"'),
        (["ls", "--limit", "0"], "limit"),
        (["ls", "--limit", "many"], "limit"),
        (["ls", "--jsn"], "--jsn"),
        (["ls", "--", "--after"], "--after"),
        (["ls", "color:red"], "color"),
        (["show"], "ID"),
        (["show", "one"], "one"),
        (["show", "0"], "ID"),
        (["show", "1", "2"], "2"),
        (["wait"], "which task?"),
        (["wait", "-1"], "-1"),
        (["wait", "1", "--timeout", "-1"], "timeout"),
        (["cancel"], "which task?"),
        (["submit"], "KIND"),
        (["submit", "sample", "value=1", "--arguments", "{}"], "not both"),
        (["submit", "sample", "--arguments", "{"], "--arguments"),
        (["submit", "sample", "--arguments", "[1]"], "--arguments"),
        (["submit", "sample", "--attempts", "0"], "attempts"),
        (["submit", "sample", "--timeout", "-1"], "timeout"),
        (["serve", "--app", "nonsense"], "MODULE:NAME"),
        (["dash", "a.db", "--store", "b.db"], "--store"),
        (["demo", "0"], "N"),
        (["demo", "--scale", "-1"], "scale"),
        (["serve", "--tcp", "localhost"], "--tcp"),
        (["serve", "--capacity", "0"], "capacity"),
        (["serve", "--insecure"], "--tcp"),
        (["serve", "--tcp", "0", "--tls-cert", "c.pem"], "--tls-key"),
        (["serve", "--tcp", "0", "--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused_in_one_line(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is done, stdout stays empty, stderr says what was wrong, and the status is 2."""
    monkeypatch.setenv("CRECHE_STORE", str(tmp_path / "none.db"))
    assert 2 == main(words)
    said = capsys.readouterr()
    assert ("", 1) == (said.out, said.err.count("\n"))
    assert said.err.startswith("creche")
    assert complaint in said.err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a verb begins with how it is called, and tells what its line in the list does."""
    assert 0 == main([verb, "--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: creche {verb}")
    assert VERBS[verb] in " ".join(said.split())


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`creche` and `creche --help` name each verb with what it does."""
    assert 0 == main(["--help"])
    listed = capsys.readouterr().out
    assert 0 == main([])
    assert listed == capsys.readouterr().out
    assert [] == [verb for verb, line in VERBS.items() if f"{verb}: {line}" not in listed]


def test_a_term_that_excludes_is_no_option() -> None:
    """`creche ls -kind:noise` is a query, in any place, beside real options."""
    words = ["ls", "-kind:noise", "--limit", "3", "state:failed", "--json", "-word"]
    _command, bound, _ignored = build_app().parse_args(words, exit_on_error=False)
    assert ("-kind:noise", "state:failed", "-word") == bound.args
    assert (3, True) == (bound.kwargs["limit"], bound.kwargs["as_json"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("8080", ("127.0.0.1", 8080)),
        ("[::1]:443", ("::1", 443)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    """HOST:PORT is split at its last colon; a port alone stays on this machine."""
    assert expected == address(text)


@pytest.mark.parametrize("text", ["", ":", "a", "a:", ":80", "a:65536", "a:-1", "::1:80", "a:٣"])
def test_half_an_address_is_refused(text: str) -> None:
    """What is no HOST:PORT is named back."""
    with pytest.raises(BadUsage, match="--tcp"):
        address(text)


@pytest.mark.parametrize(
    ("error", "expected", "serving"),
    [
        (BadUsage("x"), 2, 2),
        (BadQuery("x", 0, 1, "no"), 2, 2),
        (KindNotFound("x", ()), 2, 2),
        (StoreNotFound(HERE, "none"), 3, 3),
        (StoreInUse(HERE, 7), 3, 3),
        (StoreUnreadable(HERE, "torn"), 3, 65),
        (StoreFailed(HERE, "disk"), 74, 74),
        (TaskNotFound(7), 4, 4),
        (ControlRefused(404, "task_not_found", ""), 4, 4),
        (ControlRefused(400, "bad_request", ""), 2, 2),
        (ControlRefused(422, "bad_arguments", ""), 2, 2),
        (ControlRefused(429, "queue_full", ""), 3, 3),
        (ControlRefused(503, "draining", ""), 3, 3),
        (ControlUnreachable("sock", "gone"), 3, 3),
        (CrecheError("anything else"), 3, 3),
        (OSError(errno.ENOSPC, "full"), 74, 74),
    ],
)
def test_each_error_has_its_status(error: CrecheError, expected: int, serving: int) -> None:
    """The table of docs/cli.md, where serving tells a damaged store from an absent one."""
    assert (expected, serving) == (status_of(error), status_of(error, serving=True))


def test_the_worst_status_speaks_for_all() -> None:
    """Several tasks end in the highest of their statuses, none at all in 0."""
    assert Exit.NOT_FOUND == worst([Exit.OK, Exit.NOT_FOUND, Exit.UNAVAILABLE])
    assert Exit.OK == worst([])
