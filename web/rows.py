"""All that the API can do: the one list of resources."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .events import Following, events
from .health import health
from .openapi import description
from .stats import stats
from .tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from .operations import Resource
    from .ports import EnginePort


def resources(
    engine: EnginePort,
    wall: Callable[[], float] = time.time,
    following: Following | None = None,
) -> list[Resource]:
    """Every resource for an engine, the description of them all included."""
    following = following or Following.of(engine)
    found = [
        tasks(engine, wall, following),
        events(engine, following),
        stats(engine),
        health(engine),
    ]
    return [*found, description(found)]
