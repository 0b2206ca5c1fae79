"""Bodies that live in threads of this process, and coroutines that live in the nursery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ..api import Body, KeptOutput, Outcome, Recipe, Withdrawn
from ..box import Box
from ..lanes import Call, SharedLane, SoloLane
from ..model import Mode
from .coroutines import CoroutineBody


class ThreadBody:
    """A box whose run() has a hop of its own and whose looks share theirs with others."""

    __slots__ = ("_box", "_call", "_looks", "_runs")

    def __init__(self, box: Box, runs: SoloLane, looks: SharedLane) -> None:
        self._box = box
        self._runs = runs
        self._looks = looks
        self._call: Call | None = None

    @property
    def alive(self) -> bool:
        return self._call is not None and self._call.alive

    @property
    def look_seconds(self) -> float:
        return self._box.look_seconds

    async def run(self) -> Outcome:
        self._call = Call(self._box.run)
        return await self._runs.call(self._call) or Withdrawn()

    async def check_output(self) -> Outcome:
        self._call = Call(self._box.check_output)
        return await self._looks.call(self._call) or Withdrawn()

    def stop(self) -> bool:
        # Whoever claims the call first has it: after this, no thread can begin it any more.
        return self._call is None or self._call.delivered or self._call.claim()


class LocalExecutor:
    """Opens bodies in this process: async functions in the nursery, all else in threads."""

    def __init__(
        self,
        runs: SoloLane,
        looks: SharedLane,
        encode: Callable[[object], KeptOutput] | None,
    ) -> None:
        self._runs = runs
        self._looks = looks
        self._encode = encode

    @asynccontextmanager
    async def open(self, recipe: Recipe) -> AsyncIterator[Body]:
        """As `api.Executor.open`."""
        if recipe.mode is Mode.ASYNC:
            yield CoroutineBody(recipe, self._encode)
        else:
            yield ThreadBody(Box(recipe, self._encode), self._runs, self._looks)
