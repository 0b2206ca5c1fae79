"""What list() and counts() promise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import BadQuery, Engine, Query, State
from engine.cadence import Fixed
from tests.contract.engines import Gate, Script, World, one, raising, steps

if TYPE_CHECKING:
    from trio.testing import MockClock


async def ids_of(engine: Engine, query: str | Query, limit: int = 50) -> list[int]:
    """All ids of a listing, page by page."""
    found: list[int] = []
    after: int | None = None
    while True:
        page = await engine.list(query, after=after, limit=limit)
        found += [row.id for row in page.tasks]
        after = page.next_after
        if after is None:
            return found


async def test_a_listing_gives_the_newest_first_page_by_page(
    world: World, clock: MockClock
) -> None:
    """Whatever the page size, the pages together are all tasks, newest first, each once."""
    async with world.engine() as engine:
        assert (await engine.list()).tasks == ()
        ids = await engine.submit_many([one] * 101)
        await engine.wait(ids)
        for limit in (1, 7, 50, 100, 101, 1000):
            assert await ids_of(engine, "", limit) == ids[::-1]
        page = await engine.list(limit=10)
        assert [row.id for row in page.tasks] == ids[:-11:-1]


@pytest.mark.parametrize("limit", [0, -5])
async def test_a_page_has_room_for_one_at_least(world: World, clock: MockClock, limit: int) -> None:
    """A limit below one is taken for one, so that a listing always gets on."""
    async with world.engine() as engine:
        ids = await engine.submit_many([one] * 3)
        assert await ids_of(engine, "", limit) == ids[::-1]


async def test_a_listing_shows_what_has_just_been_done(world: World, clock: MockClock) -> None:
    """A task is listed as soon as it is taken in, in the state in which status() shows it."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, name="just now")
        (row,) = (await engine.list("name:just")).tasks
        assert (row.id, row.state) == (task_id, State.QUEUED)


async def test_queries_select_by_what_the_rows_show(world: World, clock: MockClock) -> None:
    """State, mode, kind, key, id, tag, age and words select as the grammar says."""
    gate = Gate()
    async with world.engine(cadence=Fixed(10)) as engine:
        done = await engine.submit_many([one, one], key="reports", tags=["red"])
        failed = engine.submit_nowait(raising(LookupError("lost keys")), name="finder")
        coroutine = engine.submit_nowait(partial(trio.sleep, 1000))
        polling = engine.submit_nowait(Script(None), key="hosts")
        await engine.wait([*done, failed])
        await trio.sleep(100)
        young = engine.submit_nowait(gate)
        await world.until(gate.begun)
        expectations: list[tuple[str | Query, list[int]]] = [
            ("state:succeeded", done),
            ("state:final", [*done, failed]),
            ("state:live", [coroutine, polling, young]),
            ("mode:async", [coroutine]),
            ("mode:polling?", [polling]),
            ("key:reports,hosts", [*done, polling]),
            (f"id:{failed},{young}", [failed, young]),
            ("tag:red", done),
            ("finder", [failed]),
            ("error:keys", [failed]),
            ("age>1m state:live", [coroutine, polling]),
            ("-age>1m state:live", [young]),
            ("kind:one", done),
            ("polls>=3", [polling]),
            ("attempts>1", []),
            (Query.everything(), [*done, failed, coroutine, polling, young]),
        ]
        for query, expected in expectations:
            assert sorted(await ids_of(engine, query)) == sorted(expected), str(query)
        gate.open.set()
        engine.cancel_nowait(coroutine)
        engine.cancel_nowait(polling)


async def test_a_bad_query_is_refused(world: World, clock: MockClock) -> None:
    """What is no query raises BadQuery and says where."""
    async with world.engine() as engine:
        with pytest.raises(BadQuery) as caught:
            await engine.list("state:nonsense")
        assert (caught.value.start, caught.value.end) == (6, 14)


async def test_counts_know_every_state_at_every_moment(world: World, clock: MockClock) -> None:
    """counts() has all states; its sum is the number of tasks, whatever they are doing."""
    gate = Gate()
    async with world.engine(capacity=1, cadence=Fixed(1)) as engine:
        assert engine.counts() == dict.fromkeys(State, 0)
        polling = engine.submit_nowait(Script(None))
        await trio.sleep(3)
        engine.submit_nowait(gate)
        await world.until(gate.begun)
        engine.submit_nowait(one)
        engine.submit_nowait(one, not_before=world.wall() + 9)
        counts = engine.counts()
        assert set(counts) == set(State)
        assert {state: number for state, number in counts.items() if number} == {
            State.WAITING: 1,
            State.QUEUED: 1,
            State.RUNNING: 1,
            State.POLLING: 1,
        }
        engine.cancel_nowait(polling)
        gate.open.set()
    assert engine.counts()[State.SUCCEEDED] == 3
    assert sum(engine.counts().values()) == 4


async def test_a_long_listing_lets_others_have_their_turn(world: World, clock: MockClock) -> None:
    """Looking for a rare match among many rows does not hold the loop."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with world.engine() as engine:
        rare = engine.submit_nowait(one, name="rare", not_before=world.wall() + 60)
        await engine.submit_many([one] * 11_000, not_before=world.wall() + 60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await steps()
            before = turns
            assert [row.id for row in (await engine.list("name:rare")).tasks] == [rare]
            assert turns > before
            nursery.cancel_scope.cancel()
        await engine.drain()


async def test_snapshots_are_frozen(world: World, clock: MockClock) -> None:
    """A snapshot cannot be changed and does not change by itself."""
    async with world.engine() as engine:
        row = engine.status(engine.submit_nowait(one))
        with pytest.raises(AttributeError):
            row.state = State.FAILED  # type: ignore[misc]
        await engine.result(row.id)
        assert row.state is State.QUEUED
