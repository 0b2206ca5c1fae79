"""How calls of blocking code get to threads, and how many may be there at once.

A `Call` is claimed exactly once: by the thread that runs it, or by the loop that takes it back.
So a cancel knows whether any of a task's code has run.

* `SoloLane` gives each call a thread hop of its own: right for run(), which may take long.
* `SharedLane` lets the calls that are due together share a hop: right for looks, which are many
  and short. Calls are not assigned to hops beforehand, each hop takes the next one from a common
  queue; a call that is stuck holds up only itself, since more hops are started as soon as the
  queue stops moving.

The two lanes have limiters of their own: stuck run() calls can never starve the looks.
"""

from __future__ import annotations

import contextvars
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from .hops import hop

if TYPE_CHECKING:
    from .api import Outcome, RunSync

_HOP_SECONDS: Final = 0.005
"""How long one hop goes on taking calls: short, so that a cancelled nursery is left soon."""
_STALL_SECONDS: Final = 0.001
"""A queue that has not moved for so long gets more hops."""
_SWEEP: Final = 1_000
_IDLE_SECONDS: Final = 8.0
"""A thread that has had nothing to do for so long may be gone (Trio lets it go after 10 s)."""


class Call:
    """One call of a task's code. ``function`` must not raise."""

    __slots__ = ("_context", "_function", "_ticket", "delivered", "outcome", "waiter")

    def __init__(self, function: Callable[[], Outcome]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        self._ticket = [True]
        self.outcome: Outcome | None = None
        self.delivered = False
        self.waiter: trio.lowlevel.Task | None = None

    def claim(self) -> bool:
        """True for the first who asks, from whatever thread."""
        try:
            return self._ticket.pop()  # atomic: two threads cannot both get it
        except IndexError:
            return False

    @property
    def waiting(self) -> bool:
        """True while nobody has claimed it."""
        return bool(self._ticket)

    @property
    def alive(self) -> bool:
        """True from a thread's claim until the outcome has reached the loop."""
        return not self._ticket and not self.delivered

    def run(self) -> Outcome | None:
        """In a thread: the call itself, unless it was taken back."""
        if self.claim():
            self.run_claimed()
        return self.outcome

    def run_claimed(self) -> None:
        """In a thread, by whom has claimed it: the call itself."""
        # Let go of it: the frames of an exception keep this call, which must not keep a task.
        function, self._function = self._function, _spent
        self.outcome = self._context.run(function)


def _spent() -> Outcome:
    raise AssertionError("a call is made once")


class SoloLane:
    """A thread hop for each call."""

    def __init__(self, limiter: trio.CapacityLimiter, threads: RunSync) -> None:
        self.limiter = limiter
        self._threads = threads
        self._idle: deque[float] = deque()

    def reserve(self) -> int:
        """The price of the next call (see `api.Executor.price`): Trio keeps a thread that has
        nothing to do for some seconds, and takes the one that was used last."""
        if self._idle and self._idle.pop() > trio.current_time() - _IDLE_SECONDS:
            return 2
        self._idle.clear()
        return 10

    async def call(self, call: Call) -> Outcome | None:
        """Run it in a thread; None when it was taken back before. If cancelled, the thread is
        left behind and keeps its token until it ends."""
        outcome = await hop(self._threads, call.run, limiter=self.limiter, abandon_on_cancel=True)
        call.delivered = True
        self._idle.append(trio.current_time())
        return outcome


class SharedLane:
    """Calls that are due together share a hop."""

    def __init__(
        self, nursery: trio.Nursery, limiter: trio.CapacityLimiter, threads: RunSync
    ) -> None:
        self.limiter = limiter
        self._nursery = nursery
        self._threads = threads
        self._stall = getattr(threads, "stall", trio.sleep)
        self._token = trio.lowlevel.current_trio_token()
        self._queue: deque[Call] = deque()
        self._done: deque[Call] = deque()
        self._notified = False
        self._hops = 0
        self._claims = 0
        self._taken_back = 0
        self._watched = False

    async def call(self, call: Call) -> Outcome | None:
        """As `SoloLane.call`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        call.waiter = trio.lowlevel.current_task()
        self._queue.append(call)
        if self._hops == 0:
            self._start_hop()
        elif not self._watched:
            self._watched = True
            self._nursery.start_soon(self._watch, name="creche: shared lane watch")

        def abort(_: object) -> trio.lowlevel.Abort:
            call.waiter = None
            call.claim()  # if no thread has it yet, none shall
            self._taken_back += 1
            self._sweep()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        call.delivered = True
        return call.outcome

    def _sweep(self) -> None:
        """Drop calls that were taken back, once they may be half of the queue: while every hop is
        stuck, nobody else does. A hop may have one of the others by now; it was claimed then."""
        if self._taken_back > _SWEEP and 2 * self._taken_back > len(self._queue):
            self._queue = deque(call for call in tuple(self._queue) if call.waiting)
            self._taken_back = 0

    def _start_hop(self) -> None:
        self._hops += 1
        self._nursery.start_soon(self._hop, name="creche: shared lane hop")

    @trio.lowlevel.enable_ki_protection
    async def _hop(self) -> None:
        try:
            while self._queue:
                await hop(self._threads, self._drain, limiter=self.limiter, abandon_on_cancel=True)
        finally:
            self._hops -= 1

    def _drain(self) -> None:
        """In a thread: take calls until the time is used up or none is left."""
        until = time.perf_counter() + _HOP_SECONDS
        while time.perf_counter() < until:
            try:
                call = self._queue.popleft()
            except IndexError:
                return
            if not call.claim():
                continue  # taken back
            self._claims += 1
            call.run_claimed()
            self._done.append(call)
            if not self._notified:
                self._notified = True
                try:
                    self._token.run_sync_soon(self._deliver)
                except trio.RunFinishedError:
                    return

    def _deliver(self) -> None:
        self._notified = False  # first: a call that ends from here on brings another delivery
        while self._done:
            call = self._done.popleft()
            if call.waiter is not None:
                waiter, call.waiter = call.waiter, None
                trio.lowlevel.reschedule(waiter)

    @trio.lowlevel.enable_ki_protection
    async def _watch(self) -> None:
        """While calls wait: double the hops whenever none of them gets on."""
        try:
            while self._queue:
                claims = self._claims
                await self._stall(_STALL_SECONDS)
                if self._queue and claims == self._claims:
                    room = int(self.limiter.total_tokens) - self._hops
                    for _ in range(min(max(1, self._hops), room)):
                        self._start_hop()
        finally:
            self._watched = False


class Lanes(NamedTuple):
    """The lanes of one engine."""

    long: SoloLane
    short: SharedLane
    """For run() calls of kinds that take less than a hop costs; shares the limiter of `long`."""
    looks: SharedLane


def open_lanes(nursery: trio.Nursery, capacity: int, look_capacity: int, threads: RunSync) -> Lanes:
    """Lanes for ``capacity`` run() calls and ``look_capacity`` looks at once."""
    runs, looks = trio.CapacityLimiter(capacity), trio.CapacityLimiter(look_capacity)
    return Lanes(
        SoloLane(runs, threads),
        SharedLane(nursery, runs, threads),
        SharedLane(nursery, looks, threads),
    )
