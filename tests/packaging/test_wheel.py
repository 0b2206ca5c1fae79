"""The wheel holds the three packages, wholly, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.wheel import WheelBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "tui", "web")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Builds the wheel as an installer would."""
    builder = WheelBuilder(str(ROOT))
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = builder.build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    """Style sheets, static pages and py.typed travel with the code; caches do not."""
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    actual = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert expected == actual


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`creche` runs `tui.cli:main`."""
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert b"[console_scripts]\ncreche = tui.cli:main\n" == wheel.read(name)
