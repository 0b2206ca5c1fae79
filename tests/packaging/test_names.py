"""Our three import names are common words: whoever else is installed, they must be ours."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["engine", "tui", "web"])
def test_a_name_resolves_to_this_project(name: str) -> None:
    """`import web` gives our package, whatever else is installed."""
    package = importlib.import_module(name)
    assert package.__file__ is not None
    assert ROOT / name / "__init__.py" == Path(package.__file__).resolve()


@pytest.mark.parametrize("name", ["engine", "tui", "web"])
def test_no_other_distribution_brings_a_package_of_our_name(name: str) -> None:
    """Another distribution with a package of this name would overwrite our files when installed."""
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"creche"}


@pytest.mark.parametrize("name", ["engine", "tui", "web"])
def test_a_package_says_that_it_is_typed(name: str) -> None:
    """Type checkers read our hints only where py.typed lies beside them."""
    assert (ROOT / name / "py.typed").is_file()
