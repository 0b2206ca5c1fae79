"""Virtual time for the engine's parts."""

from __future__ import annotations

import pytest
from trio.testing import MockClock


@pytest.fixture
def autojump() -> MockClock:
    """Virtual time, which jumps to the next deadline when there is nothing left to do."""
    return MockClock(autojump_threshold=0)
