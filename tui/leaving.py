"""Ends the dashboard on a signal: in good order where that is possible, and in any case.

A terminal that is gone, or that takes no more output, blocks the writing of the last frames, and
with it every orderly end. So a signal starts two things: the application's own way out, and a
clock that, some seconds later, puts the terminal back itself and ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

PATIENCE: Final = 2.0
"""Seconds that the orderly way out may take."""

RESET: Final = (
    b"\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l"  # mouse, paste, focus
    b"\x1b[<u\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l"  # keyboard, colours, cursor, wrap, screen
)
"""Puts a terminal back whose owner cannot do it any more."""


@contextlib.contextmanager
def leaving_on_signals(
    leave: Callable[[int], object], *, patience: float = PATIENCE
) -> Iterator[None]:
    """While the block runs, SIGTERM, SIGHUP and SIGINT end it.

    To be used in the main thread, with a running asyncio loop.

    Args:
        leave: Called on the loop with the signal's number; should make the block end.
        patience: Seconds after which the process is ended with status 128 + number all the same.
    """
    loop = asyncio.get_running_loop()
    terminal = _attributes()
    bell, ear = os.pipe()
    ended = threading.Event()

    def heard(number: int, _frame: FrameType | None) -> None:
        # Runs between two bytecodes of the main thread, also of one that waits for a lock for
        # ever; a lock taken here could be the one it holds, a pipe is none.
        os.write(ear, bytes([number]))

    def keep_watch() -> None:
        number = os.read(bell, 1)
        if not number or ended.is_set():
            return
        loop.call_soon_threadsafe(leave, number[0])
        if not ended.wait(patience):
            _put_back(terminal)
            os._exit(128 + number[0])

    watch = threading.Thread(target=keep_watch, name="creche-signals", daemon=True)
    watch.start()
    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ended.set()
        os.close(ear)
        watch.join()
        os.close(bell)


def _attributes() -> list[Any] | None:
    with contextlib.suppress(termios.error, ValueError):
        return termios.tcgetattr(sys.__stdin__ or 0)
    return None


def _put_back(attributes: list[Any] | None) -> None:
    fd = 2
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(fd, termios.TCOFLUSH)
        os.set_blocking(fd, False)
        os.write(fd, RESET)
        if attributes is not None:
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
