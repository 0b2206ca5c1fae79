"""Calls on their way to threads: who claims them, and what holds up whom."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from engine.api import Finished
from engine.lanes import Call, SharedLane, SoloLane
from engine.model import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api import Outcome

PATIENCE = 30.0


def finished(value: object) -> Outcome:
    """An outcome."""
    return Finished(value, Mode.BLOCKING)


class Held:
    """A function that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.calls = 0

    def __call__(self) -> Outcome:
        self.calls += 1
        self.begun.set()
        assert self.open.wait(PATIENCE)
        return finished("held")


class Counted:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Outcome:
        self.calls += 1
        return finished(self.calls)


class NoThreads:
    """`trio.to_thread.run_sync` on a machine that has no thread to give for some time."""

    def __init__(self, failures: int, message: str = "can't start new thread") -> None:
        self.failures = failures
        self.asked = 0
        self._message = message

    async def __call__(self, sync_fn: Callable[..., Any], *args: object, **options: Any) -> Any:
        self.asked += 1
        if self.asked <= self.failures:
            raise RuntimeError(self._message)
        return await trio.to_thread.run_sync(sync_fn, *args, **options)


# -- Call ----------------------------------------------------------------------------------------


def test_a_call_runs_once() -> None:
    """The first run makes the call, a second one gives its outcome and calls nothing."""
    made = Counted()
    call = Call(made)
    assert not call.alive
    first = call.run()
    assert call.run() is first
    assert made.calls == 1


def test_a_call_that_was_taken_back_never_runs() -> None:
    """After a claim by the loop a thread finds nothing to do."""
    made = Counted()
    call = Call(made)
    assert call.claim()
    assert call.run() is None
    assert (made.calls, call.claim()) == (0, False)


def test_a_call_is_alive_from_its_claim_to_its_delivery() -> None:
    """`alive` is true while a thread is in it, and until the loop has its outcome."""
    call = Call(lambda: finished(call.alive))
    assert call.run() == finished(True)
    assert call.alive
    call.delivered = True
    assert not call.alive


def test_of_many_claims_at_once_one_wins() -> None:
    """Threads and loop racing for calls: each is claimed exactly once."""
    calls = [Call(lambda: finished(None)) for _ in range(2_000)]
    wins = [0] * 4
    start = threading.Barrier(len(wins))

    def grab(number: int) -> None:
        start.wait(PATIENCE)
        wins[number] = sum(call.claim() for call in calls)

    threads = [threading.Thread(target=grab, args=(number,)) for number in range(len(wins))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(wins) == len(calls)


# -- SoloLane ------------------------------------------------------------------------------------


async def test_a_solo_lane_gives_each_call_a_thread() -> None:
    """Calls of a solo lane run beside each other, in threads, as many as it has room for."""
    lane = SoloLane(trio.CapacityLimiter(3), trio.to_thread.run_sync)
    held = [Held() for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for one in held[:3]:
            nursery.start_soon(lane.call, Call(one))
        for one in held[:3]:
            await trio.to_thread.run_sync(one.begun.wait, PATIENCE)
        nursery.start_soon(lane.call, Call(held[3]))
        await trio.testing.wait_all_tasks_blocked()
        assert lane.limiter.borrowed_tokens == 3
        assert sum(one.calls for one in held) == 3
        for one in held:
            one.open.set()
    assert lane.limiter.borrowed_tokens == 0
    assert sum(one.calls for one in held) == 4


async def test_a_cancelled_solo_call_leaves_its_thread_behind() -> None:
    """The waiter is cancelled at once; the thread keeps its token until it ends."""
    lane = SoloLane(trio.CapacityLimiter(1), trio.to_thread.run_sync)
    held = Held()
    call = Call(held)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.call, call)
        await trio.to_thread.run_sync(held.begun.wait, PATIENCE)
        nursery.cancel_scope.cancel()
    assert lane.limiter.borrowed_tokens == 1
    assert call.alive
    held.open.set()
    await lane.call(Call(lambda: finished(None)))
    assert lane.limiter.borrowed_tokens == 0


async def test_a_solo_lane_tries_again_when_no_thread_can_start(
    autojump: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a thread to be had the call waits for one, and can still be taken back."""
    threads = NoThreads(3)
    lane = SoloLane(trio.CapacityLimiter(1), threads)
    assert await lane.call(Call(lambda: finished("late"))) == finished("late")
    assert threads.asked == 4
    assert len(caplog.records) == 3
    threads = NoThreads(10**9)
    lane = SoloLane(trio.CapacityLimiter(1), threads)
    call = Call(lambda: finished("never"))
    with trio.move_on_after(5) as scope:
        await lane.call(call)
    assert scope.cancelled_caught
    assert call.claim()
    assert lane.limiter.borrowed_tokens == 0


@pytest.mark.parametrize("kind", ["solo", "shared"])
async def test_another_runtime_error_is_a_defect(kind: str) -> None:
    """Only the lack of threads is waited out; any other RuntimeError comes through."""
    threads = NoThreads(1, "something else")
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="something else")):
        async with trio.open_nursery() as nursery:
            limiter = trio.CapacityLimiter(1)
            if kind == "solo":
                solo = SoloLane(limiter, threads)
                nursery.start_soon(solo.call, Call(lambda: finished(None)))
            else:
                shared = SharedLane(nursery, limiter, threads)
                nursery.start_soon(shared.call, Call(lambda: finished(None)))


def test_the_price_of_a_call_is_that_of_its_thread() -> None:
    """A call that finds an idle thread costs little, one that needs a new thread ten times more;
    a thread that has been idle for long may be gone."""

    async def main() -> list[int]:
        lane = SoloLane(trio.CapacityLimiter(5), trio.to_thread.run_sync)
        prices = [lane.reserve()]
        await lane.call(Call(lambda: finished(None)))
        prices += [lane.reserve(), lane.reserve()]
        await lane.call(Call(lambda: finished(None)))
        clock.jump(9)
        prices.append(lane.reserve())
        return prices

    clock = trio.testing.MockClock()
    assert trio.run(main, clock=clock) == [10, 2, 10, 10]


# -- SharedLane ----------------------------------------------------------------------------------


class Counting:
    """`trio.to_thread.run_sync`, counted."""

    def __init__(self) -> None:
        self.hops = 0

    async def __call__(self, sync_fn: Callable[..., Any], *args: object, **options: Any) -> Any:
        self.hops += 1
        return await trio.to_thread.run_sync(sync_fn, *args, **options)


async def test_calls_of_one_tick_share_hops() -> None:
    """A thousand short calls that are due together need a few hops, and each gets its own
    outcome."""
    threads = Counting()
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(64), threads)
        outcomes: dict[int, Outcome | None] = {}

        async def call(number: int) -> None:
            outcomes[number] = await lane.call(Call(lambda: finished(number)))

        async with trio.open_nursery() as callers:
            for number in range(1_000):
                callers.start_soon(call, number)
        assert outcomes == {number: finished(number) for number in range(1_000)}
        assert threads.hops < 200
        assert await lane.call(Call(lambda: finished("another"))) == finished("another")


async def test_a_stuck_call_holds_up_only_itself() -> None:
    """With some calls stuck the others of the same tick all come to their end, through further
    hops, as many as are needed and no more than there is room for."""
    stuck = [Held() for _ in range(5)]
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(8), trio.to_thread.run_sync)
        for one in stuck:
            nursery.start_soon(lane.call, Call(one))
        async with trio.open_nursery() as callers:
            for number in range(500):
                callers.start_soon(lane.call, Call(partial(finished, number)))
        for one in stuck:
            await trio.to_thread.run_sync(one.begun.wait, PATIENCE)
        assert 5 <= lane.limiter.borrowed_tokens <= 8
        assert await lane.call(Call(lambda: finished("later"))) == finished("later")
        for one in stuck:
            one.open.set()
    assert lane.limiter.borrowed_tokens == 0


async def test_when_every_hop_is_stuck_calls_wait_and_then_go_on(
    autojump: trio.testing.MockClock,
) -> None:
    """No more threads are used than the lane's capacity; what waits is made as soon as one is
    free, and nothing is lost."""
    stuck = [Held() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(3), trio.to_thread.run_sync)
        for one in stuck:
            nursery.start_soon(lane.call, Call(one))
        for one in stuck:
            await trio.to_thread.run_sync(one.begun.wait, PATIENCE)
        outcomes: list[Outcome | None] = []

        async def call() -> None:
            outcomes.append(await lane.call(Call(lambda: finished("waited"))))

        for _ in range(20):
            nursery.start_soon(call)
        await trio.sleep(0.1)
        assert (outcomes, lane.limiter.borrowed_tokens) == ([], 3)
        stuck[0].open.set()
        for one in stuck[1:]:
            one.open.set()
    assert outcomes == [finished("waited")] * 20


async def test_a_cancelled_shared_call_is_taken_back_or_left_behind(
    autojump: trio.testing.MockClock,
) -> None:
    """Cancelled in the queue a call never runs; cancelled in its thread it is left behind. The
    others do not notice."""
    held, queued = Held(), Held()
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(1), trio.to_thread.run_sync)
        async with trio.open_nursery() as callers:
            first, second = Call(held), Call(queued)
            callers.start_soon(lane.call, first)
            await trio.to_thread.run_sync(held.begun.wait, PATIENCE)
            callers.start_soon(lane.call, second)
            await trio.sleep(0.1)
            callers.cancel_scope.cancel()
        assert (first.alive, queued.calls) == (True, 0)
        held.open.set()
        assert await lane.call(Call(lambda: finished("next"))) == finished("next")
    assert queued.calls == 0


async def test_a_shared_lane_does_not_begin_for_a_cancelled_caller() -> None:
    """A caller that is cancelled already makes no call."""
    held = Held()
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(1), trio.to_thread.run_sync)
        with trio.CancelScope() as scope:
            scope.cancel()
            await lane.call(Call(held))
        assert scope.cancelled_caught
    assert held.calls == 0


async def test_a_shared_lane_tries_again_when_no_thread_can_start(
    autojump: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a thread to be had shared calls wait for one."""
    threads = NoThreads(3)
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(1), threads)
        assert await lane.call(Call(lambda: finished("late"))) == finished("late")
    assert len(caplog.records) == 3


async def test_calls_and_cancels_at_random_lose_nothing() -> None:
    """Many callers of which some give up at some time: each that does not gets its own outcome."""
    outcomes: dict[int, Outcome | None] = {}
    async with trio.open_nursery() as nursery:
        lane = SharedLane(nursery, trio.CapacityLimiter(4), trio.to_thread.run_sync)

        async def call(number: int) -> None:
            with trio.CancelScope() as scope:
                if number % 3 == 0:
                    scope.deadline = trio.current_time() + 0.0001 * (number % 50)
                outcomes[number] = await lane.call(Call(lambda: finished(number)))

        async with trio.open_nursery() as callers:
            for number in range(900):
                callers.start_soon(call, number)
                if number % 100 == 0:
                    await trio.lowlevel.checkpoint()
    assert {n for n in range(900) if n % 3} <= outcomes.keys()
    assert all(outcome == finished(number) for number, outcome in outcomes.items())
