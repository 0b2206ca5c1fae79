"""Where the bodies of this process live: coroutines in the nursery, all else in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..box import Box
from ..model import Mode
from ..paces import Paces
from .coroutines import CoroutineBody
from .threads import ThreadBody

if TYPE_CHECKING:
    from ..api import Body, KeptOutput, Recipe
    from ..lanes import Lanes


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
