"""`EnginePortal` under the suite of `Engine`: two loops, the test's and the portal's, on one clock.

The test's own loop calls the portal from threads. Virtual time goes on only when nothing can happen
any more without it: both loops are idle, no body is in a thread, and no call is on its way from one
loop to the other.
"""

from __future__ import annotations

import random
import threading
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import trio
import trio.testing

from engine import Durability, EnginePortal
from engine.loop_thread import LoopThread
from tests.contract.engines import PATIENCE, WALL_AT_START, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from pathlib import Path


GIVE_UP = 5_000
"""Looks in a row at loops that have nothing to do, after which a test is stuck."""


class HandClock(trio.abc.Clock):
    """Time that several loops share; it stands still until `jump`."""

    def __init__(self) -> None:
        self._now = 0.0
        self.followers: list[Callable[[], object]] = []
        """Called after each jump."""

    def start_clock(self) -> None: ...

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= self._now else 1e6

    def jump(self, seconds: float) -> None:
        """Let this time pass at once."""
        self._now += seconds
        for follow in self.followers:
            follow()


class Trip:
    """A call from the test's loop: on its way, or waiting in the portal's loop."""

    active = True


_TRIP: ContextVar[Trip] = ContextVar("trip")


class Traffic:
    """Which calls are on their way: time must not pass meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.moving: set[Trip] = set()
        self.calls = 0

    def begins(self) -> Trip:
        trip = Trip()
        with self._lock:
            self.calls += 1
            self.moving.add(trip)
        return trip

    def arrives(self, trip: Trip) -> None:
        with self._lock:
            self.moving.discard(trip)

    def returns(self, trip: Trip) -> None:
        with self._lock:
            if trip.active:
                self.moving.add(trip)

    def ends(self, trip: Trip) -> None:
        with self._lock:
            trip.active = False
            self.moving.discard(trip)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Make a call in a thread; given up with the scope around it."""
        trip = self.begins()
        _TRIP.set(trip)
        try:
            return await trio.to_thread.run_sync(
                function, *args, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
        finally:
            self.ends(trip)


class WatchedBell(threading.Event):
    """The bell of `EnginePortal.as_completed`: who waits for it is not on its way."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self.traffic = traffic
        self._trip: Trip | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self._trip = _TRIP.get()
        if not self.is_set():
            self.traffic.arrives(self._trip)
            if self.is_set():
                self.traffic.returns(self._trip)
        return super().wait(timeout)

    def set(self) -> None:
        super().set()
        if self._trip is not None:
            self.traffic.returns(self._trip)


class CountedThreads:
    """`trio.to_thread.run_sync` for the portal's loop, which knows how many threads are out."""

    def __init__(self) -> None:
        self.out = 0

    async def __call__(self, sync_fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self.out += 1
        try:
            return await trio.to_thread.run_sync(sync_fn, *args, **options)
        finally:
            self.out -= 1

    async def stall(self, seconds: float) -> None:
        """Let real time pass: whether a thread is stuck does not show in virtual time."""
        await self(time.sleep, seconds)

    run_sync = __call__


class End:
    """`LoopThread._end`, which tells when the call that leaves the block has arrived."""

    def __init__(self, traffic: Traffic) -> None:
        self._event = trio.Event()
        self._traffic = traffic
        self.trip: Trip | None = None

    def set(self) -> None:
        self._event.set()
        if self.trip is not None:
            self._traffic.arrives(self.trip)

    async def wait(self) -> None:
        await self._event.wait()


class Awaited:
    """A plain iterator that waits in a thread."""

    def __init__(self, iterator: Iterator[Any], traffic: Traffic) -> None:
        self._iterator = iterator
        self._traffic = traffic

    def __aiter__(self) -> Awaited:
        return self

    async def __anext__(self) -> Any:
        item = await self._traffic.call(next, self._iterator, self)
        if item is self:
            raise StopAsyncIteration
        return item


class AwaitedPortal:
    """A portal that is used as an `Engine` is: what waits there is awaited here."""

    def __init__(self, portal: EnginePortal, traffic: Traffic, threads: CountedThreads) -> None:
        self.portal = portal
        self._traffic = traffic
        self._threads = threads
        self.end = End(traffic)
        loop: Any = portal._loop
        loop._end = self.end
        loop._begin = partial(self._begin, loop._begin)

    def _begin(self, begin: Any, answer: Any, function: Any, args: tuple[Any, ...]) -> None:
        trip = _TRIP.get(None)

        async def watched() -> Any:
            if trip is not None:
                self._traffic.arrives(trip)
            try:
                return await function(*args)
            finally:
                if trip is not None:
                    self._traffic.returns(trip)

        begin(answer, watched, ())

    async def __aenter__(self) -> Self:
        await self._traffic.call(self.portal.__enter__)
        return self

    async def __aexit__(self, *raised: object) -> None:
        with trio.CancelScope(shield=True):
            await self._traffic.call(self._leave, *raised)

    def _leave(self, *raised: Any) -> None:
        self.end.trip = _TRIP.get()
        self.portal.__exit__(*raised)

    def __getattr__(self, name: str) -> Any:
        """The verbs that do not wait, as they are; the others from a thread."""
        verb = getattr(self.portal, name)
        if name in {"status", "counts", "submit_nowait", "cancel_nowait", "statistics"}:
            return partial(self._at_once, verb)
        if not callable(verb):
            return verb
        return lambda *args, **options: self._traffic.call(partial(verb, *args, **options))

    def _at_once(self, verb: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._traffic.calls += 1
        return verb(*args, **options)

    def as_completed(self, ids: Iterable[int]) -> AsyncIterator[int]:
        return Awaited(self.portal.as_completed(ids), self._traffic)

    def events(self, since: str | None = None) -> AsyncIterator[Any]:
        return Awaited(self.portal.events(since), self._traffic)

    def reader(self) -> Any:
        """As `Engine.reader`; there is nothing like it in a portal."""
        return self.portal._engine.reader()

    async def settled(self) -> float | None:
        """When its loop has nothing to do: in how many seconds it will; None when it never has."""
        loop = self.portal._loop
        if loop._token is None or loop.over:
            return float("inf")
        return await trio.to_thread.run_sync(partial(loop.wait, self._idle))

    async def _idle(self) -> float | None:
        await trio.testing.wait_all_tasks_blocked()
        if self._threads.out:
            return None
        return trio.lowlevel.current_statistics().seconds_to_next_deadline


class PortalWorld(World):
    """As `World`, its engines in threads of their own."""

    def __init__(self, clock: HandClock, path: Path | None) -> None:
        self.traffic = Traffic()
        self._hand = clock
        self._portals: list[AwaitedPortal] = []
        super().__init__(clock, path)  # type: ignore[arg-type]

    def wall(self) -> float:
        return WALL_AT_START + self._hand.current_time()

    def engine(self, **options: Any) -> Any:
        threads = CountedThreads()
        options.setdefault("rng", random.Random(7))
        options.setdefault("durability", Durability.NONE)
        options.setdefault("threads", threads)
        options.setdefault("wall", self.wall)

        def run(function: Callable[..., Awaitable[Any]], *args: Any) -> None:
            try:
                trio.run(function, *args, clock=self._hand)
            finally:
                if awaited.end.trip is not None:
                    self.traffic.returns(awaited.end.trip)

        portal = EnginePortal(self.path, run=run, **options)
        awaited = AwaitedPortal(portal, self.traffic, threads)
        self._hand.followers.append(partial(LoopThread._soon, portal._loop, int))
        self._portals.append(awaited)
        self.engines.append(awaited)  # type: ignore[arg-type]
        return awaited

    async def until(self, event: threading.Event) -> None:
        assert await self.traffic.call(event.wait, PATIENCE)

    async def conduct(self) -> None:
        """Let time pass whenever nothing else can happen; a task of the test's own loop."""
        looks = 0
        while looks < GIVE_UP:
            await trio.testing.wait_all_tasks_blocked()
            calls = self.traffic.calls
            deadlines = [await portal.settled() for portal in self._portals]
            await trio.testing.wait_all_tasks_blocked()
            deadlines.append(trio.lowlevel.current_statistics().seconds_to_next_deadline)
            known = [deadline for deadline in deadlines if deadline is not None]
            soonest = min(known)
            if calls != self.traffic.calls:
                looks = 0
                continue
            if self.traffic.moving or len(known) < len(deadlines) or soonest == float("inf"):
                looks += 1
                await trio.to_thread.run_sync(time.sleep, 0.0005)  # for what a thread does
            else:
                looks = 0
                self._hand.jump(max(0.0, soonest))
        raise AssertionError(f"nothing happens any more, and {len(self.traffic.moving)} are moving")
