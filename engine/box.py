"""A task object seen from its own thread: calls it, settles its mode, and is the wall around it.

Whatever the object is and does, a call of a `Box` returns an `Outcome`. Nothing here knows about
threads, limits or states; the executors decide where a box lives.

How the mode of an undeclared object is settled: after run() has returned, check_output() is asked
once on the same thread (look 0). An output finishes the task. Else, if run() itself returned
something, that is the output. Else the object is taken for a polling one.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .api import Finished, KeptOutput, Outcome, Pending, Raised
from .envelope import envelope, let_go
from .model import Mode
from .outputs import handle_text
from .shapes import LOOKS, method

if TYPE_CHECKING:
    from .api import Recipe


class Box:
    """One attempt's task object. Calls must not overlap; run() comes first and once."""

    __slots__ = (
        "_asks",
        "_encode",
        "_look",
        "_make",
        "_mode",
        "_undeclared",
        "look_seconds",
        "run_seconds",
    )

    def __init__(self, recipe: Recipe, encode: Callable[[object], KeptOutput] | None) -> None:
        self._make = recipe.make
        self._undeclared = recipe.mode is Mode.AUTO
        self._asks = recipe.asks
        self._encode = encode
        self._look: Callable[[], object] = _not_now
        self._mode = recipe.mode
        self.run_seconds = self.look_seconds = 0.0

    def run(self) -> Outcome:
        """Make the object, run it, and say what is known of its output."""
        began = time.perf_counter()
        # BaseException: SystemExit, KeyboardInterrupt and the like end a task, never a thread of
        # ours; nothing of the engine's own is raised in here.
        try:
            return self._run()
        except BaseException as error:  # noqa: BLE001  the wall around a task's code
            return self._raised(error)
        finally:
            self.run_seconds = time.perf_counter() - began

    def check_output(self) -> Outcome:
        """Look once at a polling object."""
        began = time.perf_counter()
        try:
            output = self._look()
            if output is None:
                return Pending(Mode.POLLING, self._undeclared)
            return self._finished(output, Mode.POLLING)
        except BaseException as error:  # noqa: BLE001  the wall around a task's code
            return self._raised(error, looking=True)
        finally:
            self.look_seconds = time.perf_counter() - began

    def close(self) -> None:
        """Let go of the object; no further calls."""
        self._make = self._look = _not_now

    def _run(self) -> Outcome:
        # Let go of it: the frames of an exception keep this box, and it must not keep the task.
        make, self._make = self._make, _not_now
        task = make()
        if self._asks:
            self._mode = Mode(getattr(task, "creche_mode", None) or Mode.AUTO)
            self._undeclared = self._mode is Mode.AUTO
        run = method(task, "run")
        if run is None:
            if not callable(task):
                raise TypeError(f"{type(task).__qualname__} has no run() and cannot be called")
            return self._finished(task(), Mode.BLOCKING)
        look = method(task, LOOKS[0]) or method(task, LOOKS[1])
        answer = run()
        if look is None:
            return self._finished(answer, Mode.BLOCKING)
        if self._mode is Mode.BLOCKING:
            return self._finished(look(), Mode.BLOCKING)
        self._look = look
        handle = method(task, "handle")
        if self._mode is Mode.POLLING or handle is not None:
            self._mode = Mode.POLLING
            return Pending(Mode.POLLING, False, handle_text(handle() if handle else None))
        return self._look_zero(look, answer)

    def _look_zero(self, look: Callable[[], object], answer: object) -> Outcome:
        self._mode = Mode.POLLING
        try:
            output = look()
        except BaseException as error:  # noqa: BLE001  the wall around a task's code
            return self._raised(error, looking=True)
        if output is not None:
            return self._finished(output, Mode.BLOCKING)
        if answer is not None:
            return self._finished(answer, Mode.BLOCKING)
        return Pending(Mode.POLLING, guessed=True)

    def _finished(self, output: object, mode: Mode) -> Finished:
        if inspect.iscoroutine(output):
            output.close()
            raise TypeError("it gave a coroutine, which nobody awaits: submit the async function")
        self._look = _not_now  # never again after the output
        return Finished(output, mode, self._encode(output) if self._encode else None)

    def _raised(self, error: BaseException, *, looking: bool = False) -> Raised:
        mode = Mode.BLOCKING if self._mode is Mode.AUTO else self._mode
        info = envelope(error)
        let_go(error)
        return Raised(error, info, mode, looking, looking and self._undeclared)


def _not_now() -> object:
    raise RuntimeError("a box is run once, and looked at after that and until there is an output")
