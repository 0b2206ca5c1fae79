"""Where a server's kinds come from, and what is said when they cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tui.cli.exits import BadUsage
from tui.cli.loading import GROUP, KindsNotLoaded, kinds_to_serve

BUILT_IN = ("path", "port", "sample")
MINE = """\
from engine import Registry

class Here:
    registry = Registry()

@Here.registry.kind("mine")
def mine(x: int = 1) -> int:
    return x

registry, number = Here.registry, 5
taken = Registry()
taken.kind("sample")(mine)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a module or two; what was imported is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "creche_mine.py").write_text(MINE)
    (tmp_path / "creche_raises.py").write_text("x = 1\n1 / 0\n")
    (tmp_path / "creche_torn.py").write_text("def x(:\n")
    (tmp_path / "creche_needs.py").write_text("import creche_nowhere_to_be_found\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("creche_")]:
        del sys.modules[name]


def point(value: str, name: str = "some") -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_server_has_the_built_in_kinds(folder: Path) -> None:
    """Without more, these; nothing of the working directory is imported."""
    assert BUILT_IN == kinds_to_serve(None, installed=[]).names()
    assert str(folder) not in sys.path


@pytest.mark.parametrize("reference", ["creche_mine:registry", "creche_mine:Here.registry"])
def test_a_registry_is_found_in_the_working_directory(reference: str, folder: Path) -> None:
    """The user's own kinds come beside the built-in ones, from --app and from entry points."""
    assert ("mine", *BUILT_IN) == kinds_to_serve(reference, installed=[]).names()
    assert ("mine", *BUILT_IN) == kinds_to_serve(None, installed=[point(reference)]).names()


WRONG = [
    ("creche_mine", "expected MODULE:NAME"),
    ("creche_mine:", "expected MODULE:NAME"),
    (":registry", "expected MODULE:NAME"),
    (".creche_mine:registry", "expected MODULE:NAME"),
    ("creche-mine:registry", "expected MODULE:NAME"),
    ("creche_no:registry", "there is no module 'creche_no'"),
    ("creche_no.jobs:registry", "there is no module 'creche_no'"),
    ("creche_mine:nothing", "there is no 'nothing' in the module 'creche_mine'"),
    ("creche_mine:Here.nothing", "there is no 'Here.nothing'"),
    ("creche_mine:number", "'number' is no Registry of kinds but of type 'int'"),
    ("creche_mine:taken", "the kind 'sample' is a built-in one: give yours another name"),
    ("creche_raises:registry", "creche_raises.py:2: ZeroDivisionError: division by zero"),
    ("creche_torn:registry", "creche_torn.py:1: SyntaxError"),
    ("creche_needs:registry", "ModuleNotFoundError: No module named 'creche_nowhere"),
]


@pytest.mark.parametrize(("reference", "words"), WRONG)
def test_what_cannot_be_had_is_said_in_a_sentence(reference: str, words: str, folder: Path) -> None:
    """Each way in which a reference can be wrong has its words, and names who made it."""
    with pytest.raises(BadUsage) as app:
        kinds_to_serve(reference, installed=[])
    assert str(app.value).startswith(f"--app {reference}: ")
    assert words in str(app.value)
    assert "\n" not in str(app.value)
    with pytest.raises(KindsNotLoaded) as offered:
        kinds_to_serve(None, installed=[point(reference)])
    assert f"entry point 'some' of {GROUP} ({reference})" in str(offered.value)
    assert words in str(offered.value)


def test_two_offers_of_one_name_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them would win must not hang on an order."""
    monkeypatch.syspath_prepend(folder)
    points = [point("creche_mine:registry", name) for name in ("b", "a")]
    with pytest.raises(KindsNotLoaded, match=r"entry point 'b' .*'mine' is registered already"):
        kinds_to_serve(None, installed=points)


def test_hosts_are_for_the_port_kind(folder: Path) -> None:
    """What the server allows is what can be submitted."""
    asked = {"host": "db.example.org", "port": 5432}
    kinds = kinds_to_serve(None, ["db.example.org"], installed=[])
    assert '{"host":"db.example.org","port":5432}' == kinds.check("port", asked)
