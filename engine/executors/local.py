"""Bodies that live in threads of this process, and coroutines that live in the nursery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from ..api import Body, KeptOutput, Outcome, Recipe, Withdrawn
from ..box import Box
from ..lanes import Call, Lanes, SharedLane, SoloLane
from ..model import Mode
from ..paces import Paces
from .coroutines import CoroutineBody


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


class LocalExecutor:
    """Opens bodies in this process: async functions in the nursery, all else in threads."""

    def __init__(self, lanes: Lanes, encode: Callable[[object], KeptOutput] | None) -> None:
        self._lanes = lanes
        self._encode = encode
        self._paces = Paces()

    def price(self, recipe: Recipe) -> int:
        """As `api.Executor.price`."""
        if recipe.mode is Mode.ASYNC or self._paces.is_short(recipe.kind):
            return 1
        return self._lanes.long.reserve()

    @asynccontextmanager
    async def open(self, recipe: Recipe) -> AsyncIterator[Body]:
        """As `api.Executor.open`."""
        if recipe.mode is Mode.ASYNC:
            yield CoroutineBody(recipe, self._encode)
        else:
            short = self._paces.is_short(recipe.kind)
            runs = self._lanes.short if short else self._lanes.long
            ran = partial(self._paces.took, recipe.kind)
            box = Box(recipe, self._encode)
            try:
                yield ThreadBody(box, runs, self._lanes.looks, ran)
            finally:
                box.close()
