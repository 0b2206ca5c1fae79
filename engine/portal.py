"""The engine for programs that are not Trio: the same verbs, from any thread.

The engine itself runs unchanged in a thread of its own (`loop_thread`); this file says its verbs to
threads that wait.
"""

from __future__ import annotations

import builtins
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypedDict, Unpack

import trio

from .engine import Engine
from .errors import EngineClosed
from .loop_thread import SIGNAL_SECONDS, LoopThread
from .model import Rung
from .portal_events import PortalEvents
from .statistics import CancelAnswer

if TYPE_CHECKING:
    from .api import Cadence, RunSync
    from .errors import CrecheError
    from .kinds import Registry
    from .model import Durability, Page, State, TaskSnapshot
    from .options import Options
    from .orders import Order, Receipt
    from .query import Query
    from .statistics import EngineStatistics


class EngineOptions(TypedDict, total=False):
    """The keyword arguments of `Engine`."""

    capacity: int
    poll_capacity: int
    durability: Durability | str
    grace: float
    live_limit: int
    cadence: Cadence | None
    kinds: Registry | None
    rng: random.Random | None
    wall: Callable[[], float]
    threads: RunSync


class EnginePortal:
    """An engine in a thread of a synchronous program: `Engine`, for callers that are not Trio.

    Open it with ``with``. What `Engine` promises holds: opening raises what opening a store raises,
    leaving waits for every live task, an exception that leaves the block cancels them and comes out
    as the same object. Ctrl-C while the block waits for its tasks cancels them too.

    All verbs may be called from any thread of the process, but not from the engine's own (that is,
    not from an ``async def`` task, nor from a callback of `result_future`): that raises
    WouldDeadlock. In a process that was forked meanwhile they raise UsedAfterFork. A wait that is
    given up, by its timeout or by Ctrl-C, does nothing to the task.

    It changes no signal handler and nothing else of the process. A program that ends with its
    portal open does not wait for it: its tasks end with the process, as in a crash.

    Args:
        store: As all others: see `Engine`.
        run: What runs the loop; a stand-in for `trio.run` in simulations.

    Raises:
        BadOption: An argument is outside what is possible.
    """

    def __init__(
        self,
        store: str | Path | None = None,
        *,
        run: Callable[..., object] = trio.run,
        **options: Unpack[EngineOptions],
    ) -> None:
        self._engine = Engine(store, **options)
        self._loop = LoopThread(self._engine, run, self._note_end)
        self._last: EngineStatistics | None = None
        self.store_path: Final = self._engine.store_path
        self.kinds: Final = self._engine.kinds

    def __enter__(self) -> Self:
        self._loop.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.close(error)

    def _note_end(self) -> None:
        with suppress(EngineClosed):
            self._last = self._engine.statistics()

    # -- submitting --------------------------------------------------------------------------------

    def submit_nowait(self, task: object, **options: Unpack[Options]) -> int:
        """As `Engine.submit_nowait`: the id at once, durable a little later."""
        self._check_open()
        return self._loop.ask(partial(self._engine.submit_nowait, task, **options))

    def submit(self, task: object, **options: Unpack[Options]) -> int:
        """As `Engine.submit`: the id when the task is durable.

        When Ctrl-C interrupts it, the task may or may not have been taken in.
        """
        self._check_open()
        return self._loop.wait(partial(self._engine.submit, task, **options))

    def submit_many(
        self, tasks: Iterable[object], **options: Unpack[Options]
    ) -> builtins.list[int]:
        """As `Engine.submit_many`: all or none. ``tasks`` is gone through in the caller's thread,
        before anything is taken in."""
        self._check_open()
        batch = builtins.list(tasks)
        return self._loop.wait(partial(self._engine.submit_many, batch, **options))

    def submit_each(
        self, orders: Iterable[Order], *, atomic: bool = False
    ) -> builtins.list[Receipt | CrecheError]:
        """As `Engine.submit_each`: each with options of its own, each answered in its place."""
        self._check_open()
        batch = builtins.list(orders)
        return self._loop.wait(partial(self._engine.submit_each, batch, atomic=atomic))

    def _check_open(self) -> None:
        if self._loop.over:
            defect = self._loop.defect
            raise EngineClosed(
                "the engine was left" if defect is None else f"the engine has stopped ({defect})"
            )

    # -- asking ------------------------------------------------------------------------------------

    def status(self, task_id: int) -> TaskSnapshot:
        """As `Engine.status`: the task, from memory."""
        return self._loop.ask(self._engine.status, task_id)

    def counts(self) -> dict[State, int]:
        """As `Engine.counts`: tasks a state."""
        return self._loop.ask(self._engine.counts)

    def get(self, task_id: int) -> TaskSnapshot:
        """As `Engine.get`: the task, from the file where memory no longer has it."""
        return self._loop.wait(self._engine.get, task_id)

    def list(self, query: str | Query = "", *, after: int | None = None, limit: int = 50) -> Page:
        """As `Engine.list`: a page of matching tasks, newest first."""
        return self._loop.wait(partial(self._engine.list, query, after=after, limit=limit))

    def result(self, task_id: int, timeout: float | None = None) -> object:
        """The task's output, as soon as there is one. Raises as `Engine.result`, and TimeoutError
        after ``timeout`` seconds, which does nothing to the task."""
        return self._loop.wait(self._engine.result, task_id, timeout=timeout)

    def result_future(self, task_id: int) -> Future[object]:
        """`result` as a future, at once: for `concurrent.futures.wait`, `asyncio.wrap_future`, or
        to wait for later.

        Cancelling it ends the waiting and never the task. Its callbacks run on the engine's
        thread: they must be short, and must not call the portal.
        """
        return self._loop.start(self._engine.result, task_id)

    def output_json(self, task_id: int) -> str:
        """As `Engine.output_json`: the output as strict JSON; does not wait for the task."""
        return self._loop.wait(self._engine.output_json, task_id)

    def wait(self, ids: Iterable[int], timeout: float | None = None) -> builtins.list[TaskSnapshot]:
        """As `Engine.wait`: the snapshots of these tasks when each is answered; TimeoutError after
        ``timeout`` seconds."""
        return self._loop.wait(self._engine.wait, builtins.list(ids), timeout=timeout)

    def as_completed(self, ids: Iterable[int], timeout: float | None = None) -> Iterator[int]:
        """The ids of these tasks, each as soon as it is answered, each once.

        Raises TaskNotFound and EngineClosed, as `Engine.as_completed`, and TimeoutError when the
        next is not there ``timeout`` seconds after this call. May be left at any time.
        """
        until = math.inf if timeout is None else monotonic() + timeout
        return self._completions(builtins.list(ids), until)

    def _completions(self, ids: builtins.list[int], until: float) -> Iterator[int]:
        arrived: deque[int] = deque()
        bell = threading.Event()

        async def collect() -> None:
            async for task_id in self._engine.as_completed(ids):
                arrived.append(task_id)
                bell.set()

        collecting = self._loop.start(collect)
        collecting.add_done_callback(lambda _: bell.set())
        try:
            while True:
                ended = collecting.done()  # before looking: nothing comes after it
                while arrived:
                    yield arrived.popleft()
                if ended:
                    collecting.result()  # raises what has ended it
                    return
                left = until - monotonic()
                if bell.wait(min(left, SIGNAL_SECONDS)):
                    bell.clear()
                elif left <= SIGNAL_SECONDS:
                    raise TimeoutError
        finally:
            collecting.cancel()

    # -- acting ------------------------------------------------------------------------------------

    def cancel_nowait(self, task_id: int, *, reason: str | None = None) -> CancelAnswer:
        """As `Engine.cancel_nowait`: cancels, and says what that really did."""
        self._check_open()
        return self._loop.ask(partial(self._engine.cancel_nowait, task_id, reason=reason))

    def cancel(self, task_id: int, *, reason: str | None = None) -> CancelAnswer:
        """As `Engine.cancel`: what it did is durable when it returns."""
        if self._loop.over:
            row = self.get(task_id)
            if row.state.final:
                return CancelAnswer(task_id, Rung.ALREADY_FINAL, row)
            self._check_open()
        return self._loop.wait(partial(self._engine.cancel, task_id, reason=reason))

    def drain(self, grace: float | None = None) -> None:
        """As `Engine.drain`: takes nothing in and starts nothing any more; leaving the block then
        leaves what is live as it is."""
        self._loop.wait(self._engine.drain, grace)

    # -- watching ----------------------------------------------------------------------------------

    def events(self, since: str | None = None) -> PortalEvents:
        """As `Engine.events`: recorded moves as they become durable, from now on (None), from the
        oldest kept (""), or after a cursor.

        An iterator that ends when the engine drains or is left, or when its ``close()`` is called,
        from whatever thread.
        """
        return PortalEvents(self._engine, self._loop, since)

    def statistics(self) -> EngineStatistics:
        """As `Engine.statistics`; after the block, those of its end."""
        if self._loop.over and self._last is not None:
            return self._last
        return self._loop.ask(self._engine.statistics)

    @property
    def epoch(self) -> int:
        """Which life of the store this is; counts from 1."""
        return self._loop.ask(lambda: self._engine.epoch)

    @property
    def draining(self) -> bool:
        """True from `drain` on."""
        return self._engine.draining
