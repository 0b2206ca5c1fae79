"""The changelog, against a list; and who is woken when."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Event, Reset, State
from engine.store.feed import Feed


def event(revision: int, epoch: int = 1) -> Event:
    """A move."""
    return Event(epoch, revision, 7, "T1", None, State.QUEUED, 0.0)


def filled(epoch: int, kept: int, published: int) -> Feed:
    """A feed in which so many events were published, of which the last ``kept`` can be had."""
    feed = Feed(epoch, kept)
    for revision in range(1, published + 1):
        feed.append(event(revision, epoch))
    return feed


@given(
    epoch=st.integers(1, 3),
    kept=st.integers(1, 8),
    published=st.integers(0, 20),
    seen=st.integers(0, 25),
    limit=st.integers(1, 25),
)
def test_after_is_a_slice_of_the_list_or_none(
    epoch: int, kept: int, published: int, seen: int, limit: int
) -> None:
    """Within what is kept, exactly the next events; None where some are gone, or none ever were."""
    feed = filled(epoch, kept, published)
    gone = max(0, published - kept)
    found = feed.after(seen, limit)
    if seen < gone or seen > published:
        assert found is None
    else:
        last = min(published, seen + limit)
        assert found == [event(revision, epoch) for revision in range(seen + 1, last + 1)]


@given(
    epoch=st.integers(1, 3),
    kept=st.integers(1, 8),
    published=st.integers(0, 20),
    cursor=st.tuples(st.integers(0, 4), st.integers(0, 25)),
    limit=st.integers(1, 6),
)
def test_following_a_feed_from_any_cursor_misses_nothing_silently(
    epoch: int, kept: int, published: int, cursor: tuple[int, int], limit: int
) -> None:
    """Going on from the last cursor again and again gives every event that is kept, once, in
    order; where something before them is missing, a Reset comes first, and only then."""
    feed = filled(epoch, kept, published)
    gone = max(0, published - kept)
    heard: list[Event | Reset] = []
    place = cursor
    for _ in range(60):
        batch = feed.since(place, limit)
        if not batch:
            break
        heard += batch
        numbers = batch[-1].cursor.split(".")
        place = (int(numbers[0]), int(numbers[1]))
    resets = [item for item in heard if isinstance(item, Reset)]
    events = [item for item in heard if isinstance(item, Event)]
    known = cursor[0] == epoch and gone <= cursor[1] <= published
    whole = known or (cursor == (0, 0) and epoch == 1 and gone == 0)
    assert len(resets) == (0 if whole else 1)
    assert heard[: len(resets)] == resets
    first = cursor[1] if known else gone
    assert [item.revision for item in events] == list(range(first + 1, published + 1))
    if resets:
        assert resets[0] == Reset(f"{epoch}.{gone}")


async def test_a_bell_wakes_those_who_have_not_seen_it() -> None:
    """changed() returns when a later revision is published and rung for, not before."""
    feed = Feed(1, 10)
    woken: list[int] = []

    async def wait(seen: int) -> None:
        await feed.changed(seen)
        woken.append(seen)

    feed.append(event(1))
    await feed.changed(0)
    async with trio.open_nursery() as nursery:
        for seen in (1, 2):
            nursery.start_soon(wait, seen)
        await trio.testing.wait_all_tasks_blocked()
        feed.append(event(2))
        await trio.testing.wait_all_tasks_blocked()
        assert woken == []
        feed.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [1]
        feed.append(event(3))
        feed.ring()
    assert woken == [1, 2]


async def test_a_closed_feed_keeps_nobody_waiting() -> None:
    """Closing wakes all who wait, and who comes later does not wait."""
    feed = filled(1, 10, 3)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(feed.changed, 3)
        await trio.testing.wait_all_tasks_blocked()
        feed.close()
    with trio.fail_after(5):
        await feed.changed(99)
    assert feed.closed
    assert feed.after(2, 5) == [event(3)]


async def test_a_cancelled_wait_leaves_the_bell_alone() -> None:
    """One who gives up does not silence the bell for others."""
    feed = Feed(1, 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.changed, 0)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as others:
                others.start_soon(feed.changed, 0)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        feed.append(event(1))
        feed.ring()


@pytest.mark.parametrize("kept", [1, 65_536])
def test_a_feed_keeps_its_limit(kept: int) -> None:
    """No more events than the limit stay in memory."""
    feed = filled(1, kept, 100)
    assert len(feed._events) == min(kept, 100)
    assert feed.revision == 100
