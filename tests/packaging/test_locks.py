"""The locks hold names, versions and hashes, agree with each other and cover what is declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("lint", "nox", "run", "test")
PIN = re.compile(r"([a-z0-9-]+)==([\w.]+)( ; [\w\s.'()<>=!]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(name: str) -> set[tuple[str, str, str]]:
    """Reads one lock: (name, version, marker) of each pin."""
    found = map(PIN.fullmatch, (ROOT / "requirements" / f"{name}.txt").read_text().splitlines())
    return {(pin[1], pin[2], pin[3] or "") for pin in found if pin}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_only_pins_and_hashes(name: str) -> None:
    """No address, option or path of the machine that wrote it gets into a lock."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    strange = [
        line
        for line in lines
        if not (line.startswith("#") or PIN.fullmatch(line) or HASH.fullmatch(line))
    ]
    assert [] == strange


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_hashed(name: str) -> None:
    """A pin without a hash would install whatever is served."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.fullmatch(line) and not HASH.fullmatch(following)
    ]
    assert [] == bare


@pytest.mark.parametrize(("narrow", "wide"), [("run", "test"), ("test", "lint")])
def test_the_locks_agree(narrow: str, wide: str) -> None:
    """What is tested and checked is what runs: the wider lock holds the narrower one's pins."""
    versions = {(name, version) for name, version, _ in pins(wide)}
    assert {(name, version) for name, version, _ in pins(narrow)} <= versions


def test_every_declared_dependency_is_locked() -> None:
    """A dependency added to pyproject.toml is in requirements/run.txt after `nox -s lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", text)[0].lower() for text in project["dependencies"]}
    assert declared <= {name for name, _, _ in pins("run")}
