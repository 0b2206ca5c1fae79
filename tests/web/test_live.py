"""What all readers of events share: blocks of bytes, made once, and the pace of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

from engine import Engine, Event, Reset, State
from tests.web.asgi import ask
from tests.web.kinds import registry
from tests.web.served import PATIENCE
from web import Access, create_app
from web.auth import TRUSTED
from web.events import EventStream, Following
from web.frames import encode, encode_last, squeeze
from web.live import Live, Pace
from web.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web.gate import App

AT_ONCE = Pace(shortest=0.0, wakes=1e9)


def move(revision: int, task_id: int) -> Event:
    """Any move of a task."""
    return Event(1, revision, task_id, "T3", State.QUEUED, State.RUNNING, 0.0)


def revisions(data: bytes) -> list[int]:
    """The revisions of the events in a part of a stream."""
    lines = [line for line in data.split(b"\n") if line.startswith(b"id: ")]
    return [int(line.partition(b".")[2]) for line in lines]


# -- many at once --------------------------------------------------------------------------------


def test_of_very_many_events_the_last_of_each_task_is_sent() -> None:
    """Over the bound only each task's last move is left, in order, and how many are not is told; a
    reset stays, and few events stay as they are."""
    events: list[Event | Reset] = [move(1, 7), move(2, 8), Reset("1.2"), move(3, 7), move(4, 9)]
    assert [events[1], events[2], events[3], events[4]] == squeeze(events)
    assert (b"", events) == encode_last(events, 5)
    word, kept = encode_last(events, 4)
    assert squeeze(events) == kept
    name, data, *rest = word.split(b"\n")
    assert (b"event: coalesced", [b"", b""]) == (name, rest)
    assert {"type": "coalesced", "left_out": 1} == json.loads(data.removeprefix(b"data: "))
    others: Sequence[Event | Reset] = [move(1, 1), move(2, 2)]
    assert (b"", others) == encode_last(others, 1)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nid: 9.9\r\n\r\n", "\u2028\x85\0", "é\ud7ff"])
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    """Whatever a task's reason holds, an event is three lines and comes back as it was."""
    event = Event(1, 1, 1, "T3", State.QUEUED, State.RUNNING, 0.0, 0, text)
    lines = encode([event]).split(b"\n")
    assert [b"id: 1.1", b"event: task.state"] == lines[:2]
    assert [b"", b""] == lines[3:]
    assert b"\r" not in lines[2]
    assert text == json.loads(lines[2].removeprefix(b"data: "))["reason"]


def test_many_readers_are_woken_less_often() -> None:
    """The rest after a block grows with the readers, so that all together cost the same."""
    pace = Pace(shortest=0.05, wakes=200.0)
    assert [0.05, 0.05, 0.5, 5.0] == [pace.rest(readers) for readers in (0, 10, 100, 1_000)]


# -- readers -------------------------------------------------------------------------------------


@asynccontextmanager
async def followed(**options: Any) -> AsyncIterator[tuple[Engine, Following]]:
    """An engine, and what its followers share, running."""
    options.setdefault("pace", AT_ONCE)
    with trio.fail_after(PATIENCE):
        async with Engine(kinds=registry()) as engine, trio.open_nursery() as nursery:
            following = Following(Live(engine, **options), Standing(), 1.0)
            nursery.start_soon(following.live.run)
            yield engine, following
            following.live.close()


async def upto(stream: EventStream, revision: int) -> list[int]:
    """The revisions that a stream brings, up to this one."""
    found: list[int] = []
    while not found or found[-1] < revision:
        found += revisions(await anext(stream))
    return found


@pytest.mark.parametrize("kept", [1, 4, 10, 1_000])
async def test_a_reader_that_falls_behind_catches_up(kept: int) -> None:
    """However few events are kept, one that reads at once, one that reads now and then and one that
    reads in the end bring every event, in order, once."""
    async with followed(kept=kept) as (engine, following):
        quick, slow, last = (EventStream(engine, following, (1, 0)) for _ in range(3))
        seen: dict[EventStream, list[int]] = {quick: [], slow: [], last: []}
        with following.live.followed():
            for stream in seen:
                assert b"retry: 1000\nid: 1.0\n\n" == await anext(stream)
            for nth in range(20):
                await engine.wait([await engine.submit("echo")])
                revision = engine.statistics().durable_revision
                seen[quick] += await upto(quick, revision)
                if nth % 7 == 6:
                    seen[slow] += await upto(slow, revision)
            seen[slow] += await upto(slow, 60)
            seen[last] += await upto(last, 60)
        assert [list(range(1, 61))] * 3 == list(seen.values())


async def test_nobody_reads_while_nobody_follows() -> None:
    """Without a reader the feed is left alone; the next reader begins where it says."""
    async with followed() as (engine, following):
        live = following.live
        stream = EventStream(engine, following, (1, 0))
        with live.followed():
            await anext(stream)
            await engine.wait([await engine.submit("echo")])
            await upto(stream, 3)
        for _ in range(2):
            await engine.wait([await engine.submit("echo")])
        assert not live.covers(live.now())
        stream = EventStream(engine, following, (1, 4))
        with live.followed():
            await anext(stream)
            assert [5, 6, 7, 8, 9] == await upto(stream, 9)


async def test_who_watches_a_task_is_told_of_it_alone() -> None:
    """A watch ends with the next move of its task, and one that is begun anew with the one after;
    other tasks' moves are nothing to it."""
    async with followed() as (engine, following):
        later = engine._plan.wall() + 3600.0
        mine = await engine.submit("echo", not_before=later)
        with following.live.watching(mine) as watch:
            while not following.live.covers(following.live.now()):
                await trio.lowlevel.checkpoint()
            watch.reset()
            async with trio.open_nursery() as nursery:
                told = trio.Event()

                async def wait() -> None:
                    await watch.moved()
                    told.set()

                nursery.start_soon(wait)
                stream = EventStream(engine, following, following.live.now())
                await engine.wait([await engine.submit("echo")])
                await upto(stream, engine.statistics().durable_revision)
                assert not told.is_set()
                await engine.cancel(mine)
        assert {} == following.live._watched


# -- the app behind another server ---------------------------------------------------------------


async def test_an_app_of_another_server_follows_by_its_lifespan() -> None:
    """The app alone, served by others, tells news as well: its server's lifespan keeps it going."""
    with trio.fail_after(PATIENCE):
        async with Engine(kinds=registry()) as engine:
            app = create_app(engine, access=Access())
            task_id = await engine.submit("echo", not_before=engine._plan.wall() + 3600.0)
            async with app.test_app():
                answers = []

                async def wait() -> None:
                    answers.append(
                        await ask(
                            cast("App", app.asgi_app),
                            path=f"/v1/tasks/{task_id}",
                            query_string=b"wait=60&since=1.1",
                            state={TRUSTED: True},
                        )
                    )

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait)
                    await engine.wait([await engine.submit("echo")])
                    await engine.cancel(task_id)
            assert answers[0] is not None
            assert (200, "cancelled") == (answers[0].status, json.loads(answers[0].body)["state"])
