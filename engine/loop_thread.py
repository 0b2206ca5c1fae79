"""A Trio loop in a thread of its own, with one async block open in it, and calls into it.

A call costs one hop in, by `trio.lowlevel.TrioToken.run_sync_soon`, and none back: the loop's
thread settles a `concurrent.futures.Future`, and whoever waits on that is woken by it.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, Final, TypeVar

import trio

from .errors import EngineClosed, UsedAfterFork, WouldDeadlock

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

SIGNAL_SECONDS: Final = 0.2
"""How long the main thread waits in one go."""


def outcome_of(answer: Future[_T], timeout: float | None = None) -> _T:
    """`Future.result`, in which no Ctrl-C is lost: a signal that comes just as the main thread
    begins to wait is only seen when that wait ends, so it waits in pieces."""
    if threading.current_thread() is not threading.main_thread():
        return answer.result(timeout)
    until = math.inf if timeout is None else time.monotonic() + timeout
    while not answer.done():
        left = until - time.monotonic()
        try:
            return answer.result(max(0.0, min(left, SIGNAL_SECONDS)))
        except TimeoutError:
            if left <= SIGNAL_SECONDS and not answer.done():
                raise
    return answer.result()


class LoopThread:
    """Opens ``block`` in a loop of its own, keeps it open, and leaves it when told.

    Args:
        block: What is open while the loop runs.
        run: What runs the loop, as `trio.run` does.
        leave: Called on the loop's thread when the block has been left.
    """

    def __init__(
        self,
        block: AbstractAsyncContextManager[object],
        run: Callable[..., object],
        leave: Callable[[], object],
    ) -> None:
        self._block = block
        self._run = run
        self._leave = leave
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._callers: trio.Nursery | None = None
        self._scope = trio.CancelScope()
        self._unwanted = False
        self._end = trio.Event()
        self._error: BaseException | None = None
        """What has left the user's block."""
        self._came_out: BaseException | None = None
        """What has left ours."""
        self._opened: Final[Future[None]] = Future()
        self._gone: Final[Future[None]] = Future()

    # -- from any thread ---------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """True when the block has been left, or has fallen down by itself."""
        return self._thread is not None and self._opened.done() and self._callers is None

    @property
    def defect(self) -> BaseException | None:
        """What has come out of the block, other than what was put in."""
        return None if self._came_out is self._error else self._came_out

    def open(self) -> None:
        """Start the thread and wait until the block is open. Raises what opening it raises."""
        if self._thread is not None:
            raise EngineClosed("an engine is opened only once")
        self._pid = os.getpid()
        # A daemon: a program that ends with its block open must not wait for it.
        self._thread = threading.Thread(target=self._live, name="creche: engine", daemon=True)
        self._thread.start()
        try:
            outcome_of(self._opened)
        except BaseException:
            self._cancel()
            outcome_of(self._gone)
            raise

    def close(self, error: BaseException | None) -> None:
        """Leave the block, by this exception or in good order, and wait until it is left.

        What comes out of it is raised, unless it is ``error`` itself. Interrupted while waiting, it
        cancels the block and waits on; interrupted again, it leaves the thread behind.
        """
        if os.getpid() != self._pid:
            if error is None:
                raise UsedAfterFork(self._pid)
            return  # let it through: nothing of the block is in this process
        self._check()
        self._error = error
        traceback = None if error is None else error.__traceback__
        cause = error
        try:
            self._soon(self._end.set)
            outcome_of(self._gone)
        except BaseException as interruption:
            cause = interruption
            self._cancel()
            outcome_of(self._gone)
            if self.defect is None:
                raise
        if error is not None:
            error.__traceback__ = traceback  # it has been through the loop's frames too
        if self.defect is not None:
            if cause is not None:
                self.defect.__context__ = cause
            raise self.defect

    def ask(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call a function that does not wait on the loop's thread. Interrupted, the call may or
        may not have been made. Afterwards, when the loop is over, it is called here."""
        self._check()
        answer: Future[_T] = Future()
        if not self._soon(partial(_settle_by, answer, function, args)):
            return function(*args)
        try:
            return outcome_of(answer)
        finally:
            del answer  # an exception keeps this frame, which must not keep the exception

    def start(self, function: Callable[..., Awaitable[_T]], *args: Any) -> Future[_T]:
        """Have an async function run in the loop; cancelling the future cancels that.

        When the loop is over, it runs in another one, which lasts as long as this call.
        """
        answer: Future[_T] = Future()
        self._begin(answer, function, args)
        return answer

    def wait(
        self, function: Callable[..., Awaitable[_T]], *args: Any, timeout: float | None = None
    ) -> _T:
        """As `start`, and wait for what comes of it; who gives up waiting leaves nothing behind.

        Raises TimeoutError after ``timeout`` seconds.
        """
        answer: Future[_T] = Future()
        try:  # Ctrl-C may come at any moment
            self._begin(answer, function, args)
            return outcome_of(answer, timeout)
        finally:
            answer.cancel()  # does nothing to one that is done
            del answer  # as above

    def _begin(
        self, answer: Future[_T], function: Callable[..., Awaitable[_T]], args: tuple[Any, ...]
    ) -> None:
        self._check()
        attend = partial(self._attend, answer, function, args)
        if not self._soon(partial(self._enter, attend)):
            self._aside(attend)

    def _check(self) -> None:
        if self._thread is None:
            raise EngineClosed
        if os.getpid() != self._pid:
            raise UsedAfterFork(self._pid)
        if threading.get_ident() == self._ident:
            raise WouldDeadlock

    def _soon(self, function: Callable[[], object]) -> bool:
        """True when the loop will call it; False when there is no loop any more."""
        if self._token is None:
            return False
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return False
        return True

    def _cancel(self) -> None:
        self._unwanted = True  # for a loop that has not come so far
        self._soon(self._scope.cancel)

    def _aside(self, attend: Callable[[], Awaitable[None]]) -> None:
        threading.Thread(
            target=self._run, args=(attend,), name="creche: after the end", daemon=True
        ).start()

    # -- on the loop's thread ----------------------------------------------------------------------

    def _live(self) -> None:
        self._ident = threading.get_ident()
        try:
            self._run(self._main)
        except BaseException as error:  # noqa: BLE001  raised where the block is left
            self._came_out = error
        finally:
            self._ident = None  # another thread may get the same one
            if not self._opened.done():
                self._opened.set_exception(self._came_out or EngineClosed())
            self._gone.set_result(None)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        if self._unwanted:
            self._scope.cancel()
        async with trio.open_nursery() as callers:
            self._callers = callers
            try:
                with self._scope:
                    async with self._block:
                        self._opened.set_result(None)
                        await self._end.wait()
                        if self._error is not None:
                            raise self._error  # noqa: TRY301  out of the block
            except trio.Cancelled:
                raise
            except BaseException as error:  # noqa: BLE001  raised where the block is left
                self._came_out = error
            # Who waits will be answered here; who comes from now on is served aside.
            self._callers = None
            self._leave()

    def _enter(self, attend: Callable[[], Awaitable[None]]) -> None:
        if self._callers is None:
            self._aside(attend)
        else:
            self._callers.start_soon(attend, name="creche: a caller")

    async def _attend(
        self, answer: Future[_T], function: Callable[..., Awaitable[_T]], args: tuple[Any, ...]
    ) -> None:
        token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as scope:

            def given_up(answer: Future[_T]) -> None:
                if answer.cancelled():
                    with suppress(trio.RunFinishedError):
                        token.run_sync_soon(scope.cancel)

            answer.add_done_callback(given_up)
            try:
                value = await function(*args)
            except trio.Cancelled:
                _settle(answer, None, EngineClosed("the engine has ended"))
                raise
            except BaseException as error:  # noqa: BLE001  the caller's
                _settle(answer, None, error)
            else:
                _settle(answer, value, None)


def _settle_by(answer: Future[_T], function: Callable[..., _T], args: tuple[Any, ...]) -> None:
    try:
        value = function(*args)
    except BaseException as error:  # noqa: BLE001  the caller's
        answer.set_exception(error)
    else:
        answer.set_result(value)


def _settle(answer: Future[_T], value: _T | None, error: BaseException | None) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        if error is None:
            answer.set_result(value)  # type: ignore[arg-type]
        else:
            answer.set_exception(error)
    except BaseException:  # noqa: BLE001  a callback's; an Exception is logged by the future
        _log.exception("a callback of a future has raised")
