"""The main path stays short enough to be read in one sitting."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = 1_000
FILES = 10


def files_of_the_main_path() -> list[Path]:
    """The files that docs/architecture.md walks through, in its order."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    walk = text.partition("## The main path")[2].partition("\n## ")[0]
    links = re.findall(r"^\d+\. \[`[^`]+`\]\(([^)]+)\)", walk, re.MULTILINE)
    return [ROOT / "docs" / link for link in links]


def test_the_main_path_reads_in_one_sitting() -> None:
    """The files from submission to outcome have at most 1,000 lines in at most 10 files."""
    files = files_of_the_main_path()
    lines = sum(len(file.read_text().splitlines()) for file in files)
    assert 6 <= len(files) <= FILES
    assert lines <= LINES


def test_every_file_of_the_engine_has_a_place_in_the_architecture() -> None:
    """The architecture page links only files that exist."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:store/|executors/)?[a-z_]+\.py)`", text)
    missing = [name for name in named if not (ROOT / "engine" / name).exists()]
    assert not missing
