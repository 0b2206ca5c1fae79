"""The stream of events, over real sockets."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
import trio

from engine import Engine, Order
from tests.web.kinds import registry
from tests.web.served import Served, problem, serving
from tests.web.sse import CutOff, Ends, Stream, stream
from web import Timeouts

EVENTS = b"GET /v1/events?since= HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"


async def end(served: Served, number: int) -> list[int]:
    """Submit so many tasks, of which a few fail, and wait for the end of all."""
    orders = [Order.of("failing" if n % 10 == 0 else "echo") for n in range(number)]
    receipts = await served.engine.submit_each(orders, atomic=True)
    ids = [receipt.task_id for receipt in receipts]  # type: ignore[union-attr]  # none is an error
    await served.engine.wait(ids)
    return ids


async def read(opened: Stream, number: int) -> list[tuple[str | None, str]]:
    """Id and kind of the next messages, comments left out."""
    found = []
    async for message in opened:
        if message.comment is None:
            found.append((message.id, message.event))
            if len(found) == number:
                break
    return found


# -- what comes ----------------------------------------------------------------------------------


async def test_a_stream_tells_every_move_from_now_on() -> None:
    """First comes the place where the stream begins, then each move as it is recorded, in order and
    in the documented JSON."""
    async with serving() as served:
        await end(served, 1)
        begin = served.engine.reader().cursor()
        async with stream(served) as opened:
            assert (begin, "message", None) == (await anext(opened))[:3]
            task_id = await served.submit("echo")
            states = []
            async for message in opened:
                assert ("task.state", message.id) == (message.event, message.data["id"])
                assert (task_id, "task.state") == (message.data["task_id"], message.data["type"])
                states.append(message.data["state"])
                if states[-1] == "succeeded":
                    break
            assert ["queued", "running", "succeeded"] == states
            revision = int(begin.split(".")[1])
            assert f"1.{revision + 3}" == message.id


async def test_a_stream_goes_on_after_a_cursor() -> None:
    """`since`, and stronger than it Last-Event-ID, is where a stream begins; empty is the oldest;
    no event is left out and none comes twice."""
    async with serving() as served:
        await end(served, 5)
        last = served.engine.statistics().revision
        for since, header, first in [
            ("", None, 1),
            ("1.4", None, 5),
            (None, "1.7", 8),
            ("1.4", "1.7", 8),
            ("", "1.7", 8),
            ("0.0", None, 1),
            ("0.99", None, 1),
        ]:
            headers = {} if header is None else {"Last-Event-ID": header}
            async with stream(served, since, headers) as opened:
                await anext(opened)
                expected = [(f"1.{n}", "task.state") for n in range(first, last + 1)]
                assert expected == await read(opened, len(expected))


async def test_a_stream_crosses_the_lives_of_a_store(tmp_path: Path) -> None:
    """The events of earlier engines on the same store come first, from the disk."""
    store = tmp_path / "tasks.db"
    async with Engine(store, kinds=registry()) as engine:
        await engine.wait([await engine.submit("echo")])
        earlier = engine.statistics().revision
    async with serving(engine=Engine(store, kinds=registry())) as served:
        async with stream(served, "") as opened:
            await end(served, 1)
            await anext(opened)
            expected = [f"1.{n}" for n in range(1, earlier + 1)] + [f"2.{n}" for n in (1, 2, 3)]
            assert expected == [found for found, _ in await read(opened, len(expected))]
        async with stream(served, "2.1") as opened:
            await anext(opened)
            assert ["2.2", "2.3"] == [found for found, _ in await read(opened, 2)]


@pytest.mark.parametrize("cursor", ["1.999", "7.1", "9223372036854775807.1"])
async def test_a_place_that_never_was_is_a_reset(cursor: str) -> None:
    """After a cursor of another store the client is told to read the tasks again, and goes on."""
    async with serving() as served:
        await end(served, 1)
        async with stream(served, cursor) as opened:
            await anext(opened)
            first, *others = await read(opened, 4)
            assert "reset" == first[1]
            assert [("1.1", "task.state"), ("1.2", "task.state"), ("1.3", "task.state")] == others


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "1. 2", "1_0.2", "٣.٤", "1.2\x00"),
        *('"1.2"', "null", "1.2e3", "+1.2", "9" * 60),
        *("9223372036854775808.1", "1.9223372036854775808"),
    ],
)
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """A cursor that is none is a 400 that names where it stood, and holds no slot."""
    async with serving(streams=1) as served:
        answer = await served.client.get("/v1/events", params={"since": cursor})
        assert (400, "bad_cursor") == problem(answer)
        assert "since" == answer.json()["errors"][0]["parameter"]
        if cursor.isascii() and cursor.isprintable():
            answer = await served.client.get("/v1/events", headers={"Last-Event-ID": cursor})
            assert (400, "bad_cursor") == problem(answer)
            assert "Last-Event-ID" == answer.json()["errors"][0]["parameter"]
        async with stream(served) as opened:
            assert 200 == opened.status


async def test_a_stream_is_asked_for_as_one() -> None:
    """A client that takes no event stream is told so; unknown parameters are refused; a HEAD ends
    at once and holds no slot."""
    async with serving(streams=1) as served:
        for accept, status in {
            "text/event-stream": 200,
            "*/*": 200,
            "application/json": 406,
        }.items():
            async with stream(served, None, {"Accept": accept}) as opened:
                assert status == opened.status
                if status == 200:
                    assert "content-type: text/event-stream\r\n" in opened.head
                    assert "cache-control: no-store\r\n" in opened.head
            await released(served)
        answer = await served.client.get("/v1/events?from=1.2")
        assert (400, "unknown_parameter") == problem(answer)
        for _ in range(3):
            assert 200 == (await served.client.head("/v1/events")).status_code


# -- silence, and the end ------------------------------------------------------------------------


async def test_a_silent_stream_says_that_it_is_there() -> None:
    """After each span of silence there is a comment, again and again, and it moves nothing."""
    async with serving(heartbeat=0.02) as served, stream(served, "") as opened:
        await anext(opened)
        for _ in range(3):
            assert "heartbeat" == (await anext(opened)).comment
        await end(served, 1)
        assert ["1.1", "1.2", "1.3"] == [found for found, _ in await read(opened, 3)]
        assert "heartbeat" == (await anext(opened)).comment


@pytest.mark.parametrize("by", ["drain", "shutdown"])
@pytest.mark.parametrize("unix", [False, True])
async def test_a_stream_ends_with_the_engine_and_with_the_server(by: str, unix: bool) -> None:
    """When the engine drains, or the server ends, each stream comes to a proper end at once, with
    all that had happened."""
    async with serving(unix=unix) as served:
        ids = await end(served, 20)
        both_open = [trio.Event(), trio.Event()]
        seen = [Ends(), Ends()]

        async def follow(nth: int, since: str | None) -> None:
            async with stream(served, since, unix=unix) as opened:
                await anext(opened)
                both_open[nth].set()
                await seen[nth].take_all(opened)

        async with trio.open_nursery() as following:
            following.start_soon(follow, 0, "")
            following.start_soon(follow, 1, None)
            for event in both_open:
                await event.wait()
            if by == "drain":
                await served.engine.drain(0.0)
            else:
                served.shutdown.set()
        assert [sorted(ids), []] == [sorted(one.seen) for one in seen]


async def test_while_the_engine_drains_a_stream_tells_the_rest() -> None:
    """A client that comes again while the engine drains gets what it had missed, and the end."""
    async with serving() as served:
        ids = await end(served, 3)
        await served.engine.drain(0.0)
        seen = Ends()
        async with stream(served, "1.2") as opened:
            await seen.take_all(opened)
        assert sorted(ids) == sorted(seen.seen)


# -- slots ---------------------------------------------------------------------------------------


async def released(served: Served) -> None:
    """Open and close a stream as soon as there is a slot."""
    while True:
        async with stream(served) as opened:
            if opened.status == 200:
                return
            assert 503 == opened.status


async def test_one_stream_too_many_is_asked_to_come_again() -> None:
    """Over the limit a stream is a 503 with Retry-After, everything else is answered; a client that
    goes, however early, frees its slot."""
    async with serving(streams=2) as served:
        async with stream(served), stream(served):
            answer = await served.client.get("/v1/events")
            assert (503, "too_many_streams") == problem(answer)
            assert "1" == answer.headers["retry-after"]
            assert 200 == (await served.client.get("/v1/stats")).status_code
        for _ in range(5):
            raw = await served.connect()
            await raw.send_all(EVENTS % served.token.encode())
            await raw.aclose()
        for _ in range(5):
            await released(served)


# -- readers that are cut, and readers that do not read -------------------------------------------


async def test_a_client_that_is_cut_sees_every_end_once() -> None:
    """A client that is cut off again and again, and comes again with its cursor, sees the final
    state of every task exactly once, and every move before it."""
    rng = random.Random(11)
    async with serving() as served:
        seen = Ends()
        ids: list[int] = []

        async def work() -> None:
            for _ in range(10):
                ids.extend(await end(served, 30))

        cuts = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            while len(seen.seen) < 300:
                headers = {"Last-Event-ID": seen.last} if seen.last else {}
                async with stream(served, "", headers) as opened:
                    patience = rng.randrange(1, 40)
                    async for message in opened:
                        seen.take(message)
                        patience -= 1
                        if not patience or len(seen.seen) == 300:
                            break
                cuts += 1
        assert sorted(ids) == sorted(seen.seen)
        assert (900, 0) == (seen.moves, seen.left_out)
        assert cuts > 20
        for task_id, state in seen.seen.items():
            assert state == served.engine.status(task_id).state


async def test_readers_that_do_not_read_hold_up_nobody() -> None:
    """Of 20 clients 5 never read; the other 15 see the end of all 300 tasks."""
    async with serving() as served:
        sleepers = [await served.connect() for _ in range(5)]
        for sleeper in sleepers:
            await sleeper.send_all(EVENTS % served.token.encode())
        readers = [Ends() for _ in range(15)]
        async with trio.open_nursery() as nursery:
            for reader in readers:
                nursery.start_soon(reader.follow, served, 300)
            ids = []
            for _ in range(10):
                ids += await end(served, 30)
        assert [sorted(ids)] * 15 == [sorted(reader.seen) for reader in readers]
        for sleeper in sleepers:
            await sleeper.aclose()


class Ended(logging.Handler):
    """Says when a request is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = trio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "/v1/events" in record.getMessage():
            self.over.set()


async def test_a_reader_that_does_not_read_is_cut_and_can_come_again() -> None:
    """Once the socket is full and nothing was taken for the time of a write, the stream is cut in
    the middle; with the cursor of the last whole event its client misses no end."""
    log = logging.getLogger("test.access.events")
    ended = Ended()
    log.addHandler(ended)
    log.setLevel(logging.INFO)
    timeouts = Timeouts(write=0.05)
    async with serving(unix=True, timeouts=timeouts, access_log=log, streams=1) as served:
        sleeper = await served.connect_control()
        await sleeper.send_all(b"GET /v1/events?since= HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ids: list[int] = []
        while not ended.over.is_set() and len(ids) < 10_000:
            ids += await end(served, 100)
        await ended.over.wait()
        seen, opened = Ends(), Stream(sleeper)
        await opened.open()
        with pytest.raises(CutOff):
            await seen.take_all(opened)
        await sleeper.aclose()
        assert 0 < len(seen.seen) < len(ids)
        await seen.follow(served, len(ids), unix=True)
        assert sorted(ids) == sorted(seen.seen)
