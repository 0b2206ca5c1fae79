"""The resource ``health``: is it alive, does it take work, what is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine import VERSION

from .operations import Answer, Asked, Nothing, Operation, Reply, Resource
from .problems import RETRY_AFTER, Problem
from .schemas import Health, Version

if TYPE_CHECKING:
    from .ports import EnginePort

API_VERSION: Final = "v1"


def health(engine: EnginePort) -> Resource:
    """The resource, with its rows."""

    async def live(_asked: Asked[Nothing, None]) -> Reply:
        return Reply(200, Health("ok"))

    async def ready(_asked: Asked[Nothing, None]) -> Reply:
        if engine.draining:
            raise Problem(
                503,
                "draining",
                detail="the engine takes no new tasks, it is about to end",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        return Reply(200, Health("ready"))

    async def version(_asked: Asked[Nothing, None]) -> Reply:
        return Reply(
            200, Version(name="creche", version=VERSION, api=API_VERSION, epoch=engine.epoch)
        )

    return Resource(
        "health",
        (
            Operation(
                name="live",
                method="GET",
                path="/healthz",
                summary="Says that the process answers; needs no token",
                call=live,
                query=Nothing,
                answers=(Answer(200, "It does.", Health),),
                open=True,
            ),
            Operation(
                name="ready",
                method="GET",
                path="/readyz",
                summary="Says whether new tasks are taken",
                call=ready,
                query=Nothing,
                answers=(Answer(200, "They are.", Health),),
                problems=(503,),
            ),
            Operation(
                name="version",
                method="GET",
                path="/version",
                summary="Which creche this is",
                call=version,
                query=Nothing,
                answers=(Answer(200, "It.", Version),),
            ),
        ),
    )
