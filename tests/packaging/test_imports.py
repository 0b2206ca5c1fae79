"""What an import really loads, asked of a fresh interpreter (the graph is lint-imports' part)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONT_ENDS = {"asyncio", "hypercorn", "quart", "quart_trio", "structlog", "textual", "tui", "web"}
OPTIONAL = ("engine.executors.dask", "engine.executors.processes")
"""Modules that need an extra of the distribution."""

ENGINE_MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "engine").rglob("*.py")
)


def loaded_by(*modules: str) -> set[str]:
    """Names the top-level packages that a fresh interpreter holds after these imports."""
    code = f"import sys, {', '.join(modules)}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
        timeout=50,
    )
    return set(answer.stdout.split())


def test_the_engine_loads_no_front_end_and_no_asyncio() -> None:
    """`import engine` gives an embedding application no Textual, no Quart and no second loop."""
    assert set() == loaded_by("engine") & FRONT_ENDS


@pytest.mark.slow
def test_no_module_of_the_engine_loads_a_front_end_or_asyncio() -> None:
    """The promise holds for every module of the engine, not only for its root."""
    modules = [name for name in ENGINE_MODULES if name not in OPTIONAL]
    assert set() == loaded_by(*modules) & FRONT_ENDS


@pytest.mark.slow
def test_the_command_line_loads_neither_dashboard_nor_server() -> None:
    """`creche --help` and `creche ls` answer at once: a verb loads what it needs when it runs."""
    unwanted = {"hypercorn", "quart", "quart_trio", "textual", "web"}
    assert set() == loaded_by("tui.cli") & unwanted


@pytest.mark.slow
def test_the_web_loads_no_terminal() -> None:
    """A server on a machine without a terminal never loads Textual."""
    assert set() == loaded_by("web") & {"textual", "tui"}
