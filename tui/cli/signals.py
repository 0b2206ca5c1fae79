"""Turns TERM, INT and HUP into a wish to stop; a second one ends the process at once.

Plain handlers of Python, not Trio's: they are called between two bytecodes of the main thread, so
the second signal works even while something holds up the loop.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_AT_ONCE: Final = (
    b"creche: second signal: ending at once; the store recovers when it is next opened\n"
)


class Interrupted(KeyboardInterrupt):
    """A signal of `STOPPING` ended what the command was doing, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@final
class StopSignals:
    """What has arrived so far, and whom to tell."""

    def __init__(self, *, at_once: Callable[[int], None]) -> None:
        self.first: int | None = None
        """The first signal that came; None before."""
        self.at_once = at_once
        """What a second one does."""
        self._before: dict[signal.Signals, Any] = {}
        self._told: Callable[[], None] | None = None

    def tell(self, told: Callable[[], None]) -> None:
        """Have ``told`` called at the first signal; at once when it has come already.

        It is called from the signal handler, so it must be safe there
        (`trio.lowlevel.TrioToken.run_sync_soon` is).
        """
        self._told = told
        if self.first is not None:
            told()

    def interrupt(self) -> None:
        """Have the first signal raise `Interrupted` in the main thread, wherever that is."""
        self.tell(self._raise)

    def hold(self) -> None:
        """From now on only note the first signal."""
        self._told = None

    def rearm(self) -> None:
        """Forget what has come; the next signal raises `Interrupted`, one after it is `at_once`."""
        self.first = None
        self.interrupt()

    def _raise(self) -> None:
        if self.first is not None:
            raise Interrupted(self.first)

    def install(self) -> None:
        """Take the signals, again where something else has taken them since."""
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler != self.arrived and handler is not signal.SIG_IGN:
                self._before.setdefault(number, handler)
                signal.signal(number, self.arrived)

    def restore(self) -> None:
        """Give the signals back to whoever had them at first."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def arrived(self, number: int, _frame: FrameType | None = None) -> None:
        """Take one signal: this is the handler."""
        if self.first is not None:
            self.at_once(number)
            return
        self.first = number
        if self._told is not None:
            self._told()


def exit_at_once(number: int) -> None:
    """End the process here, with what a shell shows for this signal."""
    with contextlib.suppress(OSError):
        os.write(2, _AT_ONCE)
    os._exit(128 + number)


@contextlib.contextmanager
def stop_signals(at_once: Callable[[int], None] = exit_at_once) -> Iterator[StopSignals]:
    """Handle the signals of `STOPPING` inside the block, and as before after it.

    One that is ignored when the block is entered (HUP under nohup) stays ignored.
    """
    signals = StopSignals(at_once=at_once)
    signals.install()
    try:
        yield signals
    finally:
        signals.restore()
