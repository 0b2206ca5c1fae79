"""F18, F38, F39, F40: the server on real sockets, from before its first connection to its end."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio

from engine import Engine, store_dir
from tests.web.kinds import registry
from tests.web.served import PATIENCE, Served, control, serving
from web import Bound, EndpointInUse, EndpointUnsafe, Timeouts, Tls, TokenFileUnsafe, serve

SHORT = Timeouts(header=0.05, body=0.05, idle=0.05, write=0.05, linger=0.05)
"""Cut at once what a test cuts; whatever comes in time comes in one piece."""
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def all_of(stream: trio.abc.ReceiveStream) -> bytes:
    """What comes until the end; closes this end then."""
    async with stream:
        return b"".join([bytes(some) async for some in stream])


async def healthy(stream: trio.SocketStream) -> None:
    """Ask for /healthz on a connection that stays open."""
    await stream.send_all(GET)
    said = b""
    while not said.endswith(b'{"status":"ok"}'):
        said += await stream.receive_some()
    assert said.startswith(b"HTTP/1.1 200")


# -- binding -------------------------------------------------------------------------------------


async def test_the_control_socket_is_the_owners_alone() -> None:
    """The socket has mode 0600, is announced while it is there, and is gone afterwards."""
    announced: list[str | None] = []

    class Announcing(Engine):
        def announce(self, endpoint: str | None) -> None:
            announced.append(endpoint)
            super().announce(endpoint)

    async with serving(engine=Announcing(kinds=registry()), unix=True) as served:
        path = served.bound.unix
        assert path is not None
        assert 0o140600 == path.stat().st_mode
        assert [str(path)] == announced
    assert [str(path), None] == announced
    assert not path.exists()


async def test_a_server_says_where_it_listens() -> None:
    """The port is the real one, and the URL leads to it."""
    async with serving(unix=True) as served:
        assert served.bound.tcp is not None
        host, port = served.bound.tcp
        assert "127.0.0.1" == host
        assert 0 < port < 65536
        assert f"http://127.0.0.1:{port}" == served.bound.url
        assert b"HTTP/1.1 200" in await once(served.connect, GET)
        assert b"HTTP/1.1 200" in await once(served.connect_control, GET)
    assert "https://[::1]:9" == Bound(None, ("::1", 9), tls=True).url
    assert Bound(Path("x"), None).url is None


async def once(connect: Callable[[], object], request: bytes) -> bytes:
    """The answer to one request on a connection of its own."""
    stream = await connect()  # type: ignore[misc]  # either of two coroutine functions
    await stream.send_all(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    return await all_of(stream)


async def test_an_embedded_engine_finds_its_own_place(tmp_path: Path) -> None:
    """Without an address the control socket is the one that belongs to the engine's store."""
    store = tmp_path / "tasks.db"
    shutdown = trio.Event()
    async with Engine(store, kinds=registry()) as engine, trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, engine, shutdown=shutdown))
        assert Bound(store_dir(store) / "control.sock", None) == bound
        shutdown.set()
    assert not bound.unix.exists()


async def test_an_engine_in_memory_gets_a_place_that_goes_with_it() -> None:
    """Without a store the socket lies in a fresh folder, which is taken away as well."""
    shutdown = trio.Event()
    async with Engine(kinds=registry()) as engine, trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, engine, shutdown=shutdown))
        assert 0o40700 == bound.unix.parent.stat().st_mode
        shutdown.set()
    assert not bound.unix.parent.exists()


async def refusal(**options: Any) -> BaseException:
    """What `serve` raises when it cannot start."""
    async with Engine(kinds=registry()) as engine:
        with pytest.raises(Exception) as raised, trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(serve, engine, **options))
        error: BaseException = raised.value
        while isinstance(error, BaseExceptionGroup):
            (error,) = error.exceptions
        return error


async def test_a_dead_engines_socket_is_replaced(tmp_path: Path) -> None:
    """A socket that nobody listens on is in nobody's way."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(tcp=None) as served:
        del served
    async with Engine(kinds=registry()) as engine, trio.open_nursery() as nursery:
        shutdown = trio.Event()
        await nursery.start(partial(serve, engine, unix=path, shutdown=shutdown))
        assert b"HTTP/1.1 200" in await once(partial(trio.open_unix_socket, str(path)), GET)
        shutdown.set()


async def test_a_live_engines_socket_is_not_taken(tmp_path: Path) -> None:
    """Where somebody listens, the second one does not start, and the first one goes on."""
    async with serving(unix=True) as served:
        assert isinstance(await refusal(unix=served.bound.unix), EndpointInUse)
        assert isinstance(await refusal(tcp=served.bound.tcp, insecure=True), EndpointInUse)
        assert b"HTTP/1.1 200" in await once(served.connect_control, GET)


async def test_another_engines_socket_is_left_alone(tmp_path: Path) -> None:
    """At its end a server takes away the name of its own socket only."""
    async with serving(unix=True) as served:
        assert served.bound.unix is not None
        served.bound.unix.unlink()
        served.bound.unix.touch()
        served.shutdown.set()
        await gone(served)
        assert served.bound.unix.is_file()


async def gone(served: Served) -> None:
    """Wait until nobody is let in any more."""
    while True:
        try:
            stream = await served.connect()
        except OSError:
            return
        await stream.aclose()


@pytest.mark.parametrize(
    ("options", "refused", "words"),
    [
        ({"tcp": ("127.0.0.1", 0)}, ValueError, "needs a token file"),
        ({"tcp": ("0.0.0.0", 0), "token_file": "TOKEN"}, EndpointUnsafe, "token and TLS"),
        ({"tcp": ("::", 0), "token_file": "TOKEN"}, EndpointUnsafe, "token and TLS"),
        ({"tcp": ("192.0.2.1", 0), "token_file": "TOKEN"}, EndpointUnsafe, "token and TLS"),
        ({"tcp": ("0.0.0.0", 0), "tls": "TLS"}, ValueError, "needs a token file"),
        ({"tcp": ("example.org", 0), "insecure": True}, EndpointUnsafe, "numeric address"),
        ({"tcp": ("192.0.2.1", 0), "insecure": True}, OSError, ""),
        ({"tcp": ("127.0.0.1", 0), "token_file": "OPEN"}, TokenFileUnsafe, "mode is 0644"),
        ({"unix": "FILE"}, EndpointUnsafe, "something else of this name"),
        ({"unix": "LONG"}, EndpointUnsafe, "over 100 bytes"),
        ({"unix": "SHARED"}, EndpointUnsafe, "may be written by others"),
    ],
)
async def test_a_start_that_would_open_a_hole_is_refused(
    options: dict[str, Any], refused: type[Exception], words: str, tmp_path: Path
) -> None:
    """What is not safe does not start, says why, and leaves nothing behind."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "open").write_text("A" * 43)
    (private / "open").chmod(0o644)
    (private / "file").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    places = {
        "TOKEN": private / "token",
        "OPEN": private / "open",
        "FILE": private / "file",
        "LONG": private / ("n" * 100),
        "SHARED": tmp_path / "shared" / "control.sock",
        "TLS": TLS,
    }
    filled = {
        name: places.get(value, value) if isinstance(value, str) else value
        for name, value in options.items()
    }
    error = await refusal(**filled)
    assert isinstance(error, refused)
    assert words in str(error)
    assert [] == list((tmp_path / "shared").iterdir())


# -- over the wire -------------------------------------------------------------------------------


async def test_curl_reaches_the_control_socket() -> None:
    """`curl --unix-socket` submits and reads, without a token."""
    async with serving(unix=True) as served:
        base = ["curl", "--silent", "--show-error", "--unix-socket", str(served.bound.unix)]
        sent = await trio.run_process(
            [*base, "--json", '{"kind":"echo"}', "http://localhost/v1/tasks"], capture_stdout=True
        )
        task_id = msgspec.json.decode(sent.stdout)["id"]
        await served.engine.wait([task_id])
        got = await trio.run_process(
            [*base, "--http2", f"http://localhost/v1/tasks/{task_id}"], capture_stdout=True
        )
        assert "succeeded" == msgspec.json.decode(got.stdout)["state"]


async def test_many_clients_at_once() -> None:
    """Fifty clients that ask at the same moment are all answered, on connections that stay open."""
    async with serving() as served:
        answered = 0

        async def ask() -> None:
            nonlocal answered
            async with await served.connect() as stream:
                for _ in range(4):
                    await healthy(stream)
                    answered += 1

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask)
        assert 200 == answered


async def test_one_connection_too_many_is_told_to_come_again() -> None:
    """Over the limit a connection gets a 503 and its end; there is room when one has gone."""
    async with serving(connections=2) as served:
        first, second = await served.connect(), await served.connect()
        for stream in (first, second):
            await healthy(stream)
        third = await served.connect()
        said = await all_of(third)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"too_many_connections" in said
        await first.aclose()
        while not (await once(served.connect, GET)).startswith(b"HTTP/1.1 200"):
            pass
        await second.aclose()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", b""),
        (b"GET /heal", b"HTTP/1.1 408"),
        (GET[:-2], b"HTTP/1.1 408"),
        (POST, b"HTTP/1.1 408"),
        (POST + b"Content-Length: 9\r\nBEARER\r\n\r\n{", b"HTTP/1.1 408"),
        (POST + b"Transfer-Encoding: chunked\r\nBEARER\r\n\r\n1\r\n{\r\n", b"HTTP/1.1 408"),
        (POST + b"Content-Length: 9999999\r\nBEARER\r\n\r\n", b"HTTP/1.1 413"),
        (POST + b"Content-Length: 9\r\n\r\n", b"HTTP/1.1 401"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n", b"HTTP/1.1 400"),
    ],
)
async def test_a_client_that_stops_in_the_middle_is_cut(said: bytes, status: bytes) -> None:
    """Whatever a client leaves unfinished, it is answered as far as there is an answer, and cut."""
    async with serving(timeouts=SHORT) as served:
        stream = await served.connect()
        bearer = f"Authorization: Bearer {served.token}\r\n".encode()
        await stream.send_all(said.replace(b"BEARER\r\n", bearer))
        heard = await all_of(stream)
        assert heard.startswith(status)
        assert heard.count(b"HTTP/1.1 ") == (1 if status else 0)


async def test_an_answer_leaves_no_connection_open() -> None:
    """After an answer the idle connection is cut as well, and the server forgets it."""
    async with serving(timeouts=SHORT) as served:
        stream = await served.connect()
        await stream.send_all(GET)
        assert (await all_of(stream)).startswith(b"HTTP/1.1 200")


async def test_an_offer_of_http2_stays_an_offer() -> None:
    """`Upgrade: h2c` on a real socket gives HTTP/1.1, with no word of switching."""
    async with serving() as served:
        offer = GET[:-2] + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        stream = await served.connect()
        async with stream:
            await stream.send_all(offer + GET[:-2] + b"Connection: close\r\n\r\n")
            heard = await all_of(stream)
        assert 2 == heard.count(b"HTTP/1.1 200")
        assert b"101" not in heard
        assert b"upgrade" not in heard.lower()


# -- TLS -----------------------------------------------------------------------------------------

HERE = Path(__file__).parent / "tls"
TLS = Tls(HERE / "localhost.pem", HERE / "localhost.key")


async def test_tls_opens_the_network() -> None:
    """With a token and TLS a server may listen anywhere; it speaks TLS 1.2 and up, and HTTP/1.1."""
    context = ssl.create_default_context(cafile=str(TLS.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(tcp=("0.0.0.0", 0), tls=TLS, timeouts=SHORT) as served:
        assert served.bound.tcp is not None
        assert served.bound.tls
        port = served.bound.tcp[1]
        async with httpx.AsyncClient(verify=context, trust_env=False) as asking:
            headers = {"Authorization": f"Bearer {served.token}"}
            for _ in range(2):
                answer = await asking.get(f"https://localhost:{port}/v1/stats", headers=headers)
                assert 200 == answer.status_code
        stream = await trio.open_ssl_over_tcp_stream(
            "localhost", port, ssl_context=context, https_compatible=True
        )
        async with stream:
            await stream.do_handshake()
            assert "http/1.1" == stream.selected_alpn_protocol()
            await stream.send_all(GET[:-2] + b"Connection: close\r\n\r\n")
            assert (await all_of(stream)).startswith(b"HTTP/1.1 200")


async def test_plain_words_to_a_tls_port_end_the_connection() -> None:
    """A client without TLS, or that stops in the handshake, is cut."""
    async with serving(tls=TLS, timeouts=SHORT) as served:
        for said in (GET, b"", b"\x16\x03\x01"):
            stream = await served.connect()
            async with stream:
                await stream.send_all(said)
                try:
                    heard = await all_of(stream)
                except trio.BrokenResourceError:
                    heard = b""
                assert b"HTTP" not in heard


# -- the end -------------------------------------------------------------------------------------


async def test_an_idle_client_does_not_hold_up_the_end() -> None:
    """A connection that asks for nothing is closed when the server ends, before any timeout."""
    async with serving(unix=True, grace=PATIENCE) as served:
        streams = [await served.connect(), await served.connect(), await served.connect_control()]
        await healthy(streams[0])
        served.shutdown.set()
        for stream in streams:
            assert b"" == await all_of(stream)
        await gone(served)


class Slow(Engine):
    """An engine whose listing takes until it is let go."""

    def __init__(self) -> None:
        super().__init__(kinds=registry())
        self.asked = trio.Event()
        self.let_go = trio.Event()

    async def get(self, task_id: int) -> object:  # type: ignore[override]  # only ever waits, then lists
        self.asked.set()
        await self.let_go.wait()
        return await super().get(task_id)


async def test_a_request_under_way_is_answered_at_the_end() -> None:
    """When the server ends, what was asked before is answered, and nobody new is let in."""
    slow = Slow()
    async with serving(engine=slow, grace=PATIENCE) as served:
        await served.engine.submit("echo")
        statuses = []

        async def ask() -> None:
            statuses.append((await served.client.get("/v1/tasks/1")).status_code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await slow.asked.wait()
            served.shutdown.set()
            await gone(served)
            slow.let_go.set()
        assert [200] == statuses


async def test_a_request_that_takes_too_long_is_cut_at_the_end() -> None:
    """When the server ends, a request that is not answered within the grace is cut."""
    slow = Slow()
    async with serving(engine=slow, grace=0.05) as served:
        await served.engine.submit("echo")
        stream = await served.connect()
        bearer = f"Authorization: Bearer {served.token}\r\n\r\n".encode()
        await stream.send_all(b"GET /v1/tasks/1 HTTP/1.1\r\nHost: localhost\r\n" + bearer)
        await slow.asked.wait()
        served.shutdown.set()
        assert b"" == await all_of(stream)


async def test_a_cancelled_server_is_gone_at_once() -> None:
    """Cancelling the caller's scope ends the server, and takes its socket away."""
    async with Engine(kinds=registry()) as engine, trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, engine))
        nursery.cancel_scope.cancel()
    assert not bound.unix.exists()


# -- the process ---------------------------------------------------------------------------------


def surroundings() -> dict[str, object]:
    """What of the process a library must not touch."""
    umask = os.umask(0o077)
    os.umask(umask)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return {
        "handlers": [(each.name, list(each.handlers)) for each in loggers if each.handlers],
        "levels": {each.name: each.level for each in loggers if each.level},
        "umask": umask,
        "gc": (gc.isenabled(), gc.get_threshold()),
        "switch interval": sys.getswitchinterval(),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "threads": {each.name for each in threading.enumerate() if "Trio" not in each.name},
    }


async def test_the_process_stays_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """Serving, answering, failing and ending touch no global of the process, and print nothing."""
    before = surroundings()
    async with serving(unix=True) as served, control(served.bound) as owner:
        await served.client.get("/v1/stats")
        await served.client.post("/v1/tasks", content=b"[", headers={"Content-Type": "x"})
        await owner.get("/nothing")
        await once(served.connect, b"BREW\r\n\r\n")
        assert before == surroundings()
    assert before == surroundings()
    assert ("", "") == capfd.readouterr()


async def test_requests_are_logged_only_where_asked(caplog: pytest.LogCaptureFixture) -> None:
    """Without an access log nothing is written of a request; with one, a line, and no token."""
    caplog.set_level(logging.INFO)
    log = logging.getLogger("test.access")
    for access_log, lines in ((None, 0), (log, 1)):
        caplog.clear()
        async with serving(access_log=access_log) as served:
            await served.client.get("/v1/stats")
        records = [record for record in caplog.records if "httpx" not in record.name]
        assert lines == len(records)
        for record in records:
            assert "/v1/stats" in record.getMessage()
            assert served.token not in record.getMessage()
