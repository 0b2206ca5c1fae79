"""F18: a server's start, what it refuses to start as, and its end."""

from __future__ import annotations

import gc
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine import Engine, open_reader, store_dir
from tests.web.kinds import registry
from tests.web.served import PATIENCE, serving
from tests.web.wire import GET, TLS, all_of, gone, healthy, once
from web import (
    Bound,
    EndpointInUse,
    EndpointUnsafe,
    Tls,
    TlsFilesUnusable,
    TokenFileUnsafe,
    serve,
)

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


def announced(store: Path) -> str | None:
    """The endpoint that other processes find in the owner row."""
    reader = open_reader(store)
    owner = reader.owner()
    reader.close()
    assert owner is not None
    return owner.endpoint


async def test_an_embedded_engine_finds_its_own_place(tmp_path: Path) -> None:
    """Without an address the control socket is the one that belongs to the engine's store; the
    owner row names it from its first connection to its last."""
    store = tmp_path / "tasks.db"
    shutdown = trio.Event()
    async with Engine(store, kinds=registry()) as engine, trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, engine, shutdown=shutdown))
        assert Bound(store_dir(store) / "control.sock", None) == bound
        await engine.submit("echo")  # durable, and so is what was written before
        assert str(bound.unix) == announced(store)
        shutdown.set()
    assert not bound.unix.exists()
    assert announced(store) is None


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


@pytest.mark.parametrize(
    ("options", "refused", "words"),
    [
        ({"tcp": ("127.0.0.1", 0)}, ValueError, "needs a token file"),
        (
            {"tcp": ("0.0.0.0", 0), "token_file": "TOKEN"},
            EndpointUnsafe,
            "--tls-cert",
        ),
        ({"tcp": ("::", 0), "token_file": "TOKEN"}, EndpointUnsafe, "say --insecure"),
        (
            {"tcp": ("192.0.2.1", 0), "token_file": "TOKEN"},
            EndpointUnsafe,
            "token_file=",
        ),
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


@pytest.mark.parametrize(
    ("certificate", "key", "blamed", "words"),
    [
        ("none", "key", "none", "No such file"),
        ("certificate", "none", "none", "No such file"),
        ("folder", "key", "folder", "Is a directory"),
        ("noise", "key", "noise", "no certificate in PEM form"),
        ("certificate", "noise", "noise", "no key in PEM form that fits"),
        ("certificate", "locked", "locked", "without one"),
        ("certificate", "other", "other", "no key in PEM form that fits"),
        ("certificate", "other_type", "other_type", "no key in PEM form that fits"),
    ],
)
async def test_tls_files_that_are_no_use_are_named(
    certificate: str, key: str, blamed: str, words: str, tmp_path: Path
) -> None:
    """A certificate or key that cannot be used is told by its name, before anything is bound."""
    places = {"certificate": TLS.certificate, "key": TLS.key}
    for name in ("none", "folder", "noise"):
        places[name] = tmp_path / name
    places["folder"].mkdir()
    places["noise"].write_text("no PEM\n")
    for name in ("locked", "other", "other_type"):
        places[name] = TLS.key.with_name(f"{name}.key")
    control = tmp_path / "control" / "control.sock"
    tls = Tls(places[certificate], places[key])
    address = ("127.0.0.1", 0)
    error = await refusal(unix=control, tcp=address, token_file=tmp_path / "token", tls=tls)
    assert isinstance(error, TlsFilesUnusable)
    assert places[blamed] == error.path
    assert str(error).startswith(f"TLS file {places[blamed]}: ")
    assert words in str(error)
    assert not control.parent.exists()


async def test_a_start_that_fails_late_lets_go_of_what_it_had(tmp_path: Path) -> None:
    """The control socket is closed and its name free when the network cannot be had after it."""
    control = tmp_path / "control.sock"
    async with serving() as served:
        error = await refusal(unix=control, tcp=served.bound.tcp, insecure=True)
    assert isinstance(error, EndpointInUse)
    gc.collect()  # a socket left open is a ResourceWarning now, and so an error
    assert not control.exists()


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
