"""Following events by cursor over memory and file, and tasks as they are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pytest
import trio
import trio.testing

from engine.errors import EngineClosed, TaskNotFound
from engine.iterating import Completions, Events
from engine.model import Event, Reset, State, TaskSnapshot, parse_cursor
from engine.store.feed import Feed
from engine.waiting import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.api import Reader

_T = TypeVar("_T")


def event(revision: int, epoch: int = 2) -> Event:
    """A move."""
    return Event(epoch, revision, 7, "T1", None, State.QUEUED, 0.0)


class Disk:
    """A reader that has every event there ever was, and notes what it was asked for."""

    def __init__(self, *lives: int) -> None:
        self.asked: list[str] = []
        self.events_kept = [
            event(revision, epoch)
            for epoch, last in enumerate(lives, start=1)
            for revision in range(1, last + 1)
        ]

    def events(self, since: str, *, limit: int = 1000) -> Sequence[Event | Reset]:
        """As a file's reader."""
        self.asked.append(since)
        place = parse_cursor(since)
        later = [e for e in self.events_kept if (e.epoch, e.revision) > place]
        if not later and place > (2, len(self.events_kept)):
            return [Reset(self.events_kept[-1].cursor)]
        return later[:limit]


async def at_once(
    sync_fn: Callable[..., _T],
    *args: object,
    limiter: trio.CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> _T:
    """A thread that takes no time."""
    await trio.lowlevel.checkpoint()
    return sync_fn(*args)


def feed(kept: int, published: int, epoch: int = 2) -> Feed:
    """A feed of the second life."""
    found = Feed(epoch, kept)
    for revision in range(1, published + 1):
        found.append(event(revision, epoch))
    return found


def following(memory: Feed, since: str | None, disk: Disk | None) -> Events:
    """Events from this place on."""
    return Events(memory, since, cast("Reader | None", disk), at_once)


async def take(events: Events, number: int) -> list[str]:
    """The next cursors."""
    return [(await anext(events)).cursor for _ in range(number)]


async def test_what_memory_has_is_not_read_from_the_disk() -> None:
    """A place within the feed is followed in memory alone."""
    disk = Disk(3, 10)
    events = following(feed(100, 10), "2.4", disk)
    assert await take(events, 6) == [f"2.{revision}" for revision in range(5, 11)]
    assert disk.asked == []


async def test_what_fell_out_of_memory_is_read_from_the_disk() -> None:
    """A place before the feed's begin is followed on the disk until memory has the rest."""
    disk = Disk(3, 1_200)
    events = following(feed(100, 1_200), "", disk)
    expected = [f"1.{n}" for n in range(1, 4)] + [f"2.{n}" for n in range(1, 1_201)]
    assert await take(events, 1_203) == expected
    assert disk.asked[0] == ""
    assert len(disk.asked) <= 4


async def test_the_disk_may_be_ahead_of_what_is_published() -> None:
    """Events that are committed but not published yet come once, not again from memory."""
    disk, memory = Disk(3, 6), feed(100, 4)
    events = following(memory, "1.3", disk)
    assert await take(events, 6) == [f"2.{revision}" for revision in range(1, 7)]
    for revision in range(5, 9):
        memory.append(event(revision))
    memory.ring()
    assert await take(events, 2) == ["2.7", "2.8"]


async def test_an_end_of_an_earlier_life_goes_on_with_this_one() -> None:
    """Having seen all of an earlier life, one waits for the first event of this one."""
    disk, memory = Disk(3), feed(100, 0)
    events = following(memory, "1.3", disk)
    got: list[str] = []

    async def wait() -> None:
        got.extend(await take(events, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        memory.append(event(1))
        memory.ring()
    assert got == ["2.1"]


@pytest.mark.parametrize("cursor", ["1.5", "7.1", "2.99"])
async def test_without_a_disk_what_is_gone_is_a_reset(cursor: str) -> None:
    """In memory alone, a place that is not kept is answered by a Reset, then by what is."""
    events = following(feed(5, 20), cursor, None)
    assert await anext(events) == Reset("2.15")
    assert await take(events, 5) == [f"2.{revision}" for revision in range(16, 21)]


async def test_a_slow_follower_that_falls_out_of_memory_is_told() -> None:
    """In memory alone, one who was overtaken gets a Reset and goes on."""
    memory = feed(5, 5)
    events = following(memory, "2.0", None)
    assert await take(events, 5) == [f"2.{revision}" for revision in range(1, 6)]
    for revision in range(6, 20):
        memory.append(event(revision))
    assert await anext(events) == Reset("2.14")
    assert await take(events, 5) == [f"2.{revision}" for revision in range(15, 20)]


async def test_from_now_on_is_a_place_like_any_other() -> None:
    """None stands for the last published revision at the time of the call."""
    memory = feed(100, 5)
    events = following(memory, None, None)
    memory.append(event(6))
    assert await take(events, 1) == ["2.6"]


async def test_a_closed_feed_ends_after_its_last_event() -> None:
    """What was published before the closing still comes, then the end, for good."""
    memory = feed(100, 3)
    events = following(memory, "2.1", None)
    memory.close()
    assert [item.cursor async for item in events] == ["2.2", "2.3"]
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_cancelled_in_the_middle_it_can_be_gone_on_with() -> None:
    """A cancelled __anext__ loses no event."""
    memory = feed(100, 1)
    events = following(memory, "2.1", None)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, events, 1)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    memory.append(event(2))
    memory.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(events)
    assert await take(events, 1) == ["2.2"]


# -- Completions ---------------------------------------------------------------------------------


class Rows:
    """Tasks that are answered when told."""

    def __init__(self, *ids: int) -> None:
        self.rows = {task_id: TaskSnapshot(id=task_id, state=State.RUNNING) for task_id in ids}
        self.waiters = Waiters(lambda task_id: self.rows[task_id].state.final)

    async def get(self, task_id: int) -> TaskSnapshot:
        await trio.lowlevel.checkpoint()
        if task_id not in self.rows:
            raise TaskNotFound(task_id)
        return self.rows[task_id]

    def end(self, task_id: int) -> None:
        row = TaskSnapshot(id=task_id, state=State.SUCCEEDED)
        self.rows[task_id] = row
        self.waiters.published(row)


async def test_each_task_comes_once_as_it_is_answered() -> None:
    """Ended before, while looking, and after: every id comes, in order of answers."""
    rows = Rows(1, 2, 3, 4)
    rows.end(3)
    completions = Completions([1, 2, 3, 4, 1, 3], rows.waiters, rows.get)
    assert await anext(completions) == 3
    rows.end(4)
    rows.end(1)
    assert await anext(completions) == 4
    rows.end(2)
    assert [task_id async for task_id in completions] == [1, 2]


async def test_an_unknown_task_is_not_found_before_any_is_given() -> None:
    """TaskNotFound comes at the first step."""
    rows = Rows(1)
    rows.end(1)
    with pytest.raises(TaskNotFound):
        await anext(Completions([1, 9], rows.waiters, rows.get))


async def test_an_engine_that_ends_answers_the_rest_with_closed() -> None:
    """Answered tasks still come; for one that never will be, EngineClosed."""
    rows = Rows(1, 2)
    completions = Completions([1, 2], rows.waiters, rows.get)
    rows.end(1)
    assert await anext(completions) == 1
    rows.waiters.close()
    with pytest.raises(EngineClosed):
        await anext(completions)


async def test_a_cancelled_step_loses_no_task() -> None:
    """A task that is answered while its step is being cancelled comes with the next step."""
    rows = Rows(1)
    completions = Completions([1], rows.waiters, rows.get)
    with trio.move_on_after(0.001):
        await anext(completions)
    rows.end(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(completions)
    with trio.fail_after(5):
        assert await anext(completions) == 1
