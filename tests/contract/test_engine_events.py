"""What events() promises: every recorded move, in order, once, and an honest word on the rest."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import Engine, Event, Reset, State, parse_cursor
from engine.cadence import Fixed
from engine.history import is_path
from tests.contract.engines import Script, World, one, raising, steps

if TYPE_CHECKING:
    from trio.testing import MockClock


async def listen(engine: Engine, since: str | None, heard: list[Event | Reset]) -> None:
    """Note what an engine tells, to its end."""
    async for event in engine.events(since):
        heard.append(event)  # noqa: PERF401  as they come


async def test_every_move_is_told_once_in_order(world: World, clock: MockClock) -> None:
    """From the oldest on, revisions come without gap or duplicate, and each task's moves are a
    walk over the table."""
    heard: list[Event | Reset] = []
    async with world.engine(cadence=Fixed(1)) as engine, trio.open_nursery() as nursery:
        nursery.start_soon(listen, engine, "", heard)
        ids = await engine.submit_many(
            [one, Script(None, 1), raising(OSError()), partial(trio.sleep, 5)] * 10
        )
        ids.append(engine.submit_nowait(one, not_before=world.wall() + 9))
        engine.cancel_nowait(ids[-1])
        await engine.wait(ids)
        await engine.drain()
    events = [event for event in heard if isinstance(event, Event)]
    assert len(events) == len(heard)
    assert [event.revision for event in events] == list(range(1, len(events) + 1))
    assert {event.epoch for event in events} == {1}
    for task_id in ids:
        moves = [(e.move, e.previous, e.state) for e in events if e.task_id == task_id]
        assert is_path(moves)
        assert moves[-1][2] is engine.status(task_id).state
    assert [event.at for event in events] == sorted(event.at for event in events)


async def test_any_number_of_listeners_hear_the_same(world: World, clock: MockClock) -> None:
    """A slow listener misses nothing and holds up nobody."""
    quick: list[Event | Reset] = []
    slow: list[Event | Reset] = []

    async def listen_slowly() -> None:
        async for event in engine.events(""):
            await trio.sleep(1)
            slow.append(event)

    async with world.engine() as engine, trio.open_nursery() as nursery:
        nursery.start_soon(listen, engine, "", quick)
        nursery.start_soon(listen_slowly)
        await engine.wait(await engine.submit_many([one] * 20))
        await trio.sleep(0.5)
        assert (len(quick), len(slow)) == (60, 0)
        await engine.drain()
    assert slow == quick


async def test_from_now_on_means_from_the_call(world: World, clock: MockClock) -> None:
    """events() tells what is recorded after it was called, not after it was first awaited, and
    nothing of what was before."""
    async with world.engine() as engine:
        await engine.result(await engine.submit(one))
        stream = engine.events()
        task_id = await engine.submit(one)
        await engine.result(task_id)
        moves = [await anext(stream) for _ in range(3)]
        assert [event.task_id for event in moves if isinstance(event, Event)] == [task_id] * 3


async def test_a_cursor_resumes_where_it_was_taken(world: World, clock: MockClock) -> None:
    """From the cursor of any event the rest follows, without a gap and without a duplicate."""
    async with world.engine() as engine:
        await engine.wait(await engine.submit_many([one] * 5))
        everything = list(engine.reader().events(""))
        for number, event in enumerate(everything):
            stream = engine.events(event.cursor)
            rest = [await anext(stream) for _ in everything[number + 1 :]]
            assert rest == everything[number + 1 :]


@pytest.mark.parametrize(
    "bad", ["x", "1", "1.", ".1", "1.x", "-1.2", "1.2.3", "\u0663.\u0661", "1" * 50]
)
async def test_what_is_no_cursor_is_refused_at_the_call(
    world: World, clock: MockClock, bad: str
) -> None:
    """A bad cursor raises ValueError at once, before anything is awaited."""
    async with world.engine() as engine:
        with pytest.raises(ValueError, match="cursor"):
            engine.events(bad)


@pytest.mark.parametrize("cursor", ["1.999", "7.1", "7.0"])
async def test_a_cursor_of_another_life_is_answered_by_a_reset(
    world: World, clock: MockClock, cursor: str
) -> None:
    """A cursor that was never given out here gets a Reset; listening can go on from there."""
    async with world.engine() as engine:
        await engine.result(await engine.submit(one))
        stream = engine.events(cursor)
        first = await anext(stream)
        assert isinstance(first, Reset)
        epoch, revision = parse_cursor(first.cursor)
        assert epoch == 1
        assert revision <= 3
        task_id = await engine.submit(one)
        with trio.fail_after(100):
            async for event in stream:
                assert isinstance(event, Event)
                if event.task_id == task_id:
                    break


async def test_a_final_state_is_told_and_shown_together(world: World, clock: MockClock) -> None:
    """When an event tells of a final state the snapshot shows it, and result() has its answer."""
    async with world.engine() as engine, trio.open_nursery() as nursery:

        async def check() -> None:
            async for event in engine.events(""):
                assert isinstance(event, Event)
                if event.state.final:
                    assert engine.status(event.task_id).state is event.state
                    assert engine.statistics().durable_revision >= event.revision

        nursery.start_soon(check)
        await engine.wait(await engine.submit_many([one, raising(OSError())] * 10))
        await engine.drain()


async def test_a_loop_over_events_may_be_left_at_any_time(world: World, clock: MockClock) -> None:
    """Breaking out of the loop, or being cancelled in it, leaves nothing behind."""
    async with world.engine() as engine:
        engine.submit_nowait(one)
        async for event in engine.events(""):
            assert isinstance(event, Event)
            break
        with trio.move_on_after(5) as scope:
            async for _ in engine.events():
                pass
        assert scope.cancelled_caught


async def test_events_end_when_the_engine_is_left(world: World, clock: MockClock) -> None:
    """A listener outside of the block hears the end of it; started afterwards, what is kept."""
    heard: list[Event | Reset] = []
    async with trio.open_nursery() as nursery:  # noqa: SIM117  the listener outlives the block
        async with world.engine() as engine:
            nursery.start_soon(listen, engine, "", heard)
            await steps()
            task_id = engine.submit_nowait(partial(trio.sleep, 5))
    assert isinstance(heard[-1], Event)
    assert (heard[-1].task_id, heard[-1].state) == (task_id, State.SUCCEEDED)
    if not world.durable:
        again: list[Event | Reset] = []
        await listen(engine, "", again)
        assert again == heard


async def test_events_of_earlier_lives_are_read_from_the_file(
    world: World, clock: MockClock
) -> None:
    """On a file, the oldest kept events of earlier engines come first, then those of this one."""
    if not world.durable:
        pytest.skip("an engine in memory has no earlier life")
    for _ in range(3):
        async with world.engine() as engine:
            await engine.wait(await engine.submit_many([one] * 3))
    async with world.engine() as engine:
        task_id = await engine.submit(one)
        await engine.result(task_id)
        stream = engine.events("")
        events = [await anext(stream) for _ in range(30)]
        cursors = [parse_cursor(event.cursor) for event in events]
        assert all(isinstance(event, Event) for event in events)
        assert [epoch for epoch, _ in cursors] == [1] * 9 + [2] * 9 + [3] * 9 + [4] * 3
        for _, group in itertools.groupby(cursors, key=lambda cursor: cursor[0]):
            revisions = [revision for _, revision in group]
            assert revisions == list(range(1, len(revisions) + 1))
        resumed = engine.events("2.9")
        assert parse_cursor((await anext(resumed)).cursor) == (3, 1)


async def test_a_replay_lets_others_have_their_turn(world: World, clock: MockClock) -> None:
    """Going through many kept events does not hold the loop."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with world.engine() as engine:
        await engine.wait(await engine.submit_many([one] * 300))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            stream = engine.events("")
            for _ in range(900):
                await anext(stream)
            nursery.cancel_scope.cancel()
    assert turns >= 100
