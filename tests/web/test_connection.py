"""F38, F39: one connection on a mock clock: what may take how long, and which HTTP is spoken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
import trio
import trio.testing
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from tests.web.asgi import answer, hello
from web.auth import Access
from web.connection import Connection, Service, Timeouts
from web.gate import Gate

if TYPE_CHECKING:
    from web.gate import App, Receive, Scope, Send

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


Pair: TypeAlias = tuple[trio.StapledStream[Any, Any], trio.StapledStream[Any, Any]]


class Line(NamedTuple):
    """The client's end."""

    stream: trio.StapledStream[Any, Any]
    connection: Connection
    context: WorkerContext
    ended: trio.Event
    """Set when the server has let go of the connection."""

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hear(self, until: bytes) -> bytes:
        """What comes until it ends with these bytes."""
        heard = b""
        while not heard.endswith(until):
            some = await self.stream.receive_some()
            assert some, f"ended after {heard!r}"
            heard += some
        return heard

    async def rest(self) -> bytes:
        """What comes until the end."""
        return b"".join([bytes(some) async for some in self.stream])


@asynccontextmanager
async def connected(app: App = hello, pair: Pair | None = None) -> AsyncIterator[Line]:
    """A connection to an app; the client hangs up in the end."""
    ours, theirs = trio.testing.memory_stream_pair() if pair is None else pair
    context = WorkerContext(None)
    config = Config()
    config.errorlog = None
    config.include_date_header = False
    service = Service(ASGIWrapper(app), config, context, Timeouts())  # type: ignore[arg-type]  # ASGI by other names
    connection = Connection(theirs, service, state={})
    async with trio.open_nursery() as nursery:
        ended = trio.Event()

        async def run() -> None:
            await connection.run()
            ended.set()

        nursery.start_soon(run)
        yield Line(ours, connection, context, ended)
        await ours.aclose()


class Held:
    """An app that answers when told to."""

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.let_go = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.let_go.wait()
        await answer(send, b"held")


async def ends_after(line: Line, seconds: float) -> bytes:
    """Assert that the server says its last word this many seconds from now."""
    before = trio.current_time()
    said = await line.rest()
    assert seconds == pytest.approx(trio.current_time() - before)
    return said


# -- deadlines -----------------------------------------------------------------------------------


async def test_a_client_that_says_nothing_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    """Before the first request a connection may be idle for 15 s."""
    async with connected() as line:
        assert b"" == await ends_after(line, 15.0)


async def test_a_client_that_has_no_more_to_say_is_cut(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """After an answer a connection may be idle for 15 s, each time anew."""
    async with connected() as line:
        for _ in range(3):
            await line.say(GET)
            await line.hear(b"GET /a 0")
            await trio.sleep(14.0)
        await line.say(GET)
        await line.hear(b"GET /a 0")
        assert b"" == await ends_after(line, 15.0)


@pytest.mark.parametrize("pause", [0.0, 0.5, 4.0])
async def test_a_head_that_trickles_in_is_cut(
    pause: float, autojump_clock: trio.testing.MockClock
) -> None:
    """From its first byte a head has 5 s in all, however many bytes come meanwhile; then 408."""
    async with connected() as line:
        await line.say(b"G")
        before = trio.current_time()

        async def trickle() -> None:
            for byte in GET[1:-1]:
                await trio.sleep(pause or 1e6)
                await line.say(bytes([byte]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            said = await line.rest()
            assert 5.0 == pytest.approx(trio.current_time() - before)
            nursery.cancel_scope.cancel()
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"Connection: close" in head
        assert 408 == json.loads(body)["status"]


async def test_a_head_in_time_is_served(autojump_clock: trio.testing.MockClock) -> None:
    """A head that takes less than 5 s is as good as one that comes at once."""
    async with connected() as line:
        for byte in GET:
            await line.say(bytes([byte]))
            await trio.sleep(4.9 / len(GET))
        assert (await line.hear(b"GET /a 0")).startswith(b"HTTP/1.1 200")


async def test_an_app_may_take_its_time(autojump_clock: trio.testing.MockClock) -> None:
    """While the app works on a request no deadline runs; the idle time begins after its answer."""
    app = Held()
    async with connected(app) as line:
        await line.say(GET)
        await trio.sleep(10_000.0)
        app.let_go.set()
        await line.hear(b"held")
        assert b"" == await ends_after(line, 15.0)


async def test_a_client_that_does_not_read_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    """What was written must be taken within 30 s; then the app is told that its client is gone."""

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        async def pour() -> None:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour)
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()

    # Without a buffer: what is not read has not been taken.
    async with connected(flood, trio.testing.lockstep_stream_pair()) as line:
        before = trio.current_time()
        await line.say(GET)
        await trio.sleep(29.9)
        assert not line.ended.is_set()
        await line.ended.wait()
        assert 30.0 == pytest.approx(trio.current_time() - before)


async def test_what_is_still_coming_after_the_last_word_is_thrown_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """After an answer that ends the connection its rest is read for 1 s, and goes nowhere."""

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"early", 413)

    async with connected(early) as line:
        await line.say(POST)
        said = await line.hear(b"early")
        assert b"connection: close" in said
        await line.say(b"more")
        assert b"" == await line.rest()
        before = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                while True:
                    await line.say(b"and more")
                    await trio.sleep(0.3)

            nursery.start_soon(talk)
            await line.ended.wait()
            nursery.cancel_scope.cancel()
        assert 1.0 == pytest.approx(trio.current_time() - before)


async def test_an_answer_before_its_request_has_come_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """An app that answers without reading is done with it, however much of the body is waiting."""

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep(1.0)
        await answer(send, b"early", 401)

    async with connected(Gate(early, Access(), lambda: "id")) as line:
        head = b"POST /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        await line.say(head + b"1\r\nx\r\n" * 100)
        said = await line.rest()
        assert said.startswith(b"HTTP/1.1 401")
        assert said.endswith(b"early")
        await line.ended.wait()
        assert 2.0 == pytest.approx(trio.current_time())


async def test_half_an_answer_ends_the_connection(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After a defect in mid-answer the client sees the connection end, and no end of the answer."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async with connected(Gate(broken, Access(), lambda: "id")) as line:
        await line.say(GET.replace(b"Host: x", b"Host: localhost"))
        said = await ends_after(line, 0.0)
    assert b"half" in said
    assert not said.endswith(b"0\r\n\r\n")
    assert 1 == len(caplog.records)


async def test_a_client_that_goes_takes_its_request_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """When the client hangs up, the app hears of it, and the connection ends with the app."""
    ended = trio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with connected(waits) as line:
        await line.say(GET)
        await trio.testing.wait_all_tasks_blocked()
    assert ended.is_set()


# -- the end of the server -----------------------------------------------------------------------


async def test_an_idle_connection_retires_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """A connection that is between two requests is closed when the server ends."""
    async with connected() as line:
        await line.say(GET)
        await line.hear(b"GET /a 0")
        await line.context.terminated.set()
        line.connection.retire()
        assert b"" == await ends_after(line, 0.0)


async def test_a_busy_connection_retires_after_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A request under way is answered when the server ends, and nothing after it."""
    app = Held()
    async with connected(app) as line:
        await line.say(GET + GET)
        await app.asked.wait()
        await line.context.terminated.set()
        line.connection.retire()
        await trio.sleep(3.0)
        app.let_go.set()
        said = await ends_after(line, 0.0)
        assert 1 == said.count(b"HTTP/1.1 200")
        assert said.endswith(b"held")


# -- which HTTP ----------------------------------------------------------------------------------


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("before", [b"", GET])
async def test_the_preface_of_http2_is_refused(
    before: bytes, size: int, autojump_clock: trio.testing.MockClock
) -> None:
    """HTTP/2 by prior knowledge is a 505, first or later on a connection, in one piece or many."""
    async with connected() as line:
        for piece in pieces(before + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", size):
            await line.say(piece)
        said = await line.rest()
    assert (1 if before else 0) == said.count(b"HTTP/1.1 200")
    last = said[said.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
    assert 505 == json.loads(last.partition(b"\r\n\r\n")[2])["status"]


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0", b"3.0"])
async def test_another_version_is_refused(
    version: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """A request of any version but 1.0 and 1.1 is a 505."""
    async with connected() as line:
        await line.say(GET.replace(b"1.1", version))
        assert (await line.rest()).startswith(b"HTTP/1.1 505")


@pytest.mark.parametrize("token", [b"h2c", b"H2C", b" h2c ", b"h2c, websocket"])
async def test_an_offer_of_http2_is_passed_over(
    token: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """A request that would rather be HTTP/2 is answered in HTTP/1.1, and so is the next one."""
    upgrade = GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\n"
    upgrade += b"Upgrade: " + token + b"\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    async with connected() as line:
        for request in (upgrade, GET):
            await line.say(request)
            said = await line.hear(b"GET /a 0")
            assert said.startswith(b"HTTP/1.1 200")


async def test_requests_in_one_piece_are_answered_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Requests that come before the answer to the first are answered one after the other."""
    async with connected() as line:
        await line.say((GET + POST + b"0123456789") * 3)
        said = await line.hear(b"/b 10")
        while said.count(b"HTTP/1.1 200") < 6:
            said += await line.hear(b"/b 10")
    bodies = [part.split(b"HTTP")[0] for part in said.split(b"\r\n\r\n")[1:]]
    assert [b"GET /a 0", b"POST /b 10"] * 3 == bodies


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"hello\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, b"431"),
    ],
)
async def test_what_is_no_request_is_refused(
    request_: bytes, status: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    """Bytes that are no request never reach the app; they are answered, and the connection ends."""
    async with connected() as line:
        await line.say(request_)
        said = await line.rest()
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in said
