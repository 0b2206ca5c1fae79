"""The resources ``stats`` and ``kinds``: what the engine says of itself and of what it can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import statistics_json

from .operations import Answer, Asked, Nothing, Operation, Reply, Resource
from .schemas import KindList, Stats

if TYPE_CHECKING:
    from .ports import EnginePort


def stats(engine: EnginePort) -> Resource:
    """The resource, with its rows."""

    async def statistics(_asked: Asked[Nothing, None]) -> Reply:
        return Reply(200, statistics_json(engine.statistics()))

    async def kinds(_asked: Asked[Nothing, None]) -> Reply:
        registry = engine.kinds
        found = [{"name": name, "arguments": registry.schema(name)} for name in registry.names()]
        return Reply(200, {"kinds": found})

    return Resource(
        "stats",
        (
            Operation(
                name="stats",
                method="GET",
                path="/v1/stats",
                summary="The engine's figures at this moment",
                call=statistics,
                query=Nothing,
                answers=(Answer(200, "The figures.", Stats),),
            ),
            Operation(
                name="kinds",
                method="GET",
                path="/v1/kinds",
                summary="The kinds that can be submitted, with the schemas of their arguments",
                call=kinds,
                query=Nothing,
                answers=(Answer(200, "All of them, by name.", KindList),),
            ),
        ),
    )
