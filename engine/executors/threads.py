"""A body that lives in threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..api import Outcome, Withdrawn
from ..lanes import Call, SharedLane, SoloLane

if TYPE_CHECKING:
    from ..box import Box


class ThreadBody:
    """A box in threads: run() goes by the lane it was given, looks by one for all looks."""

    __slots__ = ("_box", "_call", "_looks", "_ran", "_runs")

    def __init__(
        self, box: Box, runs: SoloLane | SharedLane, looks: SharedLane, ran: Callable[[float], None]
    ) -> None:
        self._box = box
        self._runs = runs
        self._looks = looks
        self._ran = ran
        self._call: Call | None = None

    @property
    def alive(self) -> bool:
        return self._call is not None and self._call.alive

    @property
    def look_seconds(self) -> float:
        return self._box.look_seconds

    async def run(self) -> Outcome:
        self._call = Call(self._box.run)
        outcome = await self._runs.call(self._call)
        if outcome is None:
            return Withdrawn()
        self._ran(self._box.run_seconds)
        return outcome

    async def check_output(self) -> Outcome:
        self._call = Call(self._box.check_output)
        return await self._looks.call(self._call) or Withdrawn()

    def stop(self) -> bool:
        # Whoever claims the call first has it: after this, no thread can begin it any more.
        return self._call is None or self._call.delivered or self._call.claim()
