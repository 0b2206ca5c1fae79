"""The engines under test: each test of an engine runs in memory and on a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trio.testing import MockClock

from tests.contract.engines import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def clock() -> MockClock:
    """Virtual time, which jumps to the next deadline when there is nothing left to do."""
    return MockClock(autojump_threshold=0)


@pytest.fixture(params=["memory", "file"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: MockClock
) -> AsyncIterator[World]:
    """A world in which, after the test, every invariant must hold."""
    found = World(clock, tmp_path / "tasks.db" if request.param == "file" else None)
    yield found
    assert found.problems() == []
