"""Each async test runs on the loop of its folder (tests/conftest.py)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

ROOT = Path(__file__).parents[2]

ASKS_FOR_ITS_LOOP = """
import sys

import pytest
from hypothesis import given, strategies


def running():
    if "asyncio" in sys.modules:
        try:
            sys.modules["asyncio"].get_running_loop()
            return "asyncio"
        except RuntimeError:
            pass
    import trio

    return "trio" if trio.lowlevel.in_trio_run() else None


async def test_function():
    assert LOOP == running()


class TestClass:
    @pytest.mark.parametrize("number", [1, 2])
    async def test_method(self, number):
        assert LOOP == running()


@given(strategies.booleans())
async def test_property(flag):
    assert LOOP == running()


def test_plain():
    assert running() is None
"""


def run_suite(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs these test files in a project with our settings and conftest.py."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests")
    for name, text in files.items():
        (folder / "tests" / name).parent.mkdir(exist_ok=True)
        (folder / "tests" / name).write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        check=False,
        cwd=folder,
        text=True,
        timeout=50,
    )


async def test_a_test_outside_the_terminal_folder_runs_on_trio() -> None:
    """The engine's and the web's tests await Trio without a mark."""
    await trio.lowlevel.checkpoint()  # raises on any other loop


@pytest.mark.slow
def test_functions_methods_and_properties_get_their_folders_loop(tmp_path: Path) -> None:
    """Functions, parametrised methods and Hypothesis properties are all marked by folder."""
    files = {
        "tui/test_loop.py": 'LOOP = "asyncio"' + ASKS_FOR_ITS_LOOP,
        "web/test_loop.py": 'LOOP = "trio"' + ASKS_FOR_ITS_LOOP,
    }
    answer = run_suite(tmp_path, files)
    assert "10 passed" in answer.stdout, answer.stdout + answer.stderr


@pytest.mark.slow
def test_a_mark_for_the_other_loop_stops_the_collection(tmp_path: Path) -> None:
    """A test marked by hand for the wrong loop is an error at once, not a strange failure later."""
    text = "import pytest\n@pytest.mark.asyncio\nasync def test_lost(): pass\n"
    answer = run_suite(tmp_path, {"engine/test_lost.py": text})
    assert "runs on trio by its folder but is marked asyncio" in answer.stdout
    assert pytest.ExitCode.INTERRUPTED == answer.returncode
