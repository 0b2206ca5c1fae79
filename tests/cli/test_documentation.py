"""docs/cli.md tells what the code does: every verb, status and rung is in it."""

from __future__ import annotations

import re

from engine import Rung
from tests.cli.programs import ROOT
from tui.cli import VERBS
from tui.cli.cancel import RUNGS
from tui.cli.exits import Exit
from tui.cli.rows import COLUMNS

TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_verb_is_described() -> None:
    """The table of verbs has each of them, and no other."""
    assert [*VERBS] == re.findall(r"^\| `(\w+)[ `\[]", TEXT, re.MULTILINE)[: len(VERBS)]


def test_every_exit_status_is_described() -> None:
    """The table of statuses has each of them, and no other number."""
    assert [*Exit] == [int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]


def test_every_rung_is_described() -> None:
    """What a cancel can answer is in the document, and has words on the command line."""
    assert {*Rung} == {*RUNGS}
    assert [] == [rung for rung in Rung if f"| `{rung}` |" not in TEXT]


def test_the_columns_of_a_listing_are_described() -> None:
    """In the order in which they are printed."""
    assert f"`{' '.join(column.heading for column in COLUMNS)}`" in TEXT
