"""Bodies that are async functions: they run in the nursery itself, on the loop's thread."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import trio

from ..api import Finished, KeptOutput, Outcome, Raised, Withdrawn
from ..envelope import envelope, let_go
from ..model import Mode

if TYPE_CHECKING:
    from ..api import Recipe


class CoroutineBody:
    """An async function, cancelled by a scope of its own.

    Three things that look alike must be told apart: an exception that the function raised (its
    outcome), the engine's own cancellation, and the end of the whole run, in which the interpreter
    throws GeneratorExit into it. Only the first is an outcome, the others pass.
    """

    def __init__(self, recipe: Recipe, encode: Callable[[object], KeptOutput] | None) -> None:
        self._recipe = recipe
        self._encode = encode
        self._scope = trio.CancelScope()
        self._running = False
        self._raised: BaseException | None = None

    @property
    def alive(self) -> bool:
        return self._running

    @property
    def look_seconds(self) -> float:
        return 0.0

    async def run(self) -> Outcome:
        """Await the function. Its outcome, or `Withdrawn` when it was unwound by `stop`."""
        self._running = True
        try:
            with self._scope:
                return await self._walled()
        finally:
            self._running = False
        if self._raised is not None:
            return self._outcome_of(self._raised)
        return Withdrawn()

    async def check_output(self) -> Outcome:
        """Never asked: the outcome of run() is the output."""
        raise AssertionError("an async function is not polled")

    def stop(self) -> bool:
        self._scope.cancel()
        return not self._running

    # A real Ctrl-C must end the program, not be taken for the outcome of whichever task it hits.
    @trio.lowlevel.enable_ki_protection
    async def _walled(self) -> Outcome:
        us = trio.lowlevel.current_task()
        try:
            function = cast("Callable[[], Awaitable[object]]", self._recipe.make())
            output = await function()
        except trio.Cancelled as error:
            if trio.current_effective_deadline() == -math.inf:
                raise
            return self._outcome_of(error)  # one that it had kept from a scope of its own
        except GeneratorExit as error:
            if not _still_in(us):
                raise
            return self._outcome_of(error)
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if cancelled is None or trio.current_effective_deadline() > -math.inf:
                return self._outcome_of(group)
            self._raised = rest
            raise cancelled from None
        except BaseException as error:  # noqa: BLE001  the wall around a task's code
            return self._outcome_of(error)
        kept = self._encode(output) if self._encode else None
        return Finished(output, Mode.ASYNC, kept)

    def _outcome_of(self, error: BaseException) -> Raised:
        info = envelope(error)
        let_go(error)
        return Raised(error, info, Mode.ASYNC)


def _still_in(task: trio.lowlevel.Task) -> bool:
    """False when the frame is being closed from outside its task."""
    try:
        return trio.lowlevel.current_task() is task
    except RuntimeError:
        return False
