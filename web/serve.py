"""Serves an engine over HTTP, in the nursery of whoever calls: control socket, network, or both."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from engine import CrecheError, socket_path, store_dir

from .app import create_app
from .auth import TRUSTED, Access, host_names
from .connection import Connection, Service, Timeouts
from .endpoints import listen_tcp, listen_unix
from .events import BEAT, Following
from .gate import HEAD_LIMIT
from .live import Live
from .problems import RETRY_AFTER, Problem, raw_answer
from .standing import STREAMS, Standing
from .tls import server_context
from .token_file import open_token

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping

    from .ports import EnginePort
    from .tls import Tls

CONNECTIONS: Final = 1_200
"""How many may be open at once: all streams, and room for those who only ask."""

Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]

_TIMEOUTS: Final = Timeouts()
_LOG: Final = logging.getLogger("creche.web")


class Bound(NamedTuple):
    """Where a server listens."""

    unix: Path | None
    """The control socket."""
    tcp: tuple[str, int] | None
    """Address and port, the real one where 0 was asked for."""
    tls: bool = False

    @property
    def url(self) -> str | None:
        """The network address as a URL; None without one."""
        if self.tcp is None:
            return None
        host, port = self.tcp
        scheme = "https" if self.tls else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(
    engine: EnginePort,
    *,
    unix: Path | None = None,
    tcp: tuple[str, int] | None = None,
    token_file: Path | None = None,
    tls: Tls | None = None,
    insecure: bool = False,
    hosts: Collection[str] = (),
    shutdown: trio.Event | None = None,
    grace: float = 5.0,
    timeouts: Timeouts = _TIMEOUTS,
    connections: int = CONNECTIONS,
    streams: int = STREAMS,
    heartbeat: float = BEAT,
    access_log: logging.Logger | None = None,
    task_status: trio.TaskStatus[Bound] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``shutdown`` is set or the caller's scope is cancelled.

    ``await nursery.start(partial(serve, engine, unix=path))`` returns the `Bound` as soon as
    connections are taken. On a unix socket the engine's owner row names it from then until the end.

    Args:
        engine: An open engine, on this thread.
        unix: Path of the control socket; who may enter its folder needs no token. With neither this
            nor ``tcp`` it is the one that belongs to the engine's store.
        tcp: Address and port to listen on; port 0 for any.
        token_file: Holds the token for ``tcp``; made when there is none.
        tls: Serve ``tcp`` over TLS.
        insecure: Allow ``tcp`` without a token, and outside loopback without TLS. Whoever reaches
            the port can then do everything.
        hosts: Names by which clients may call this server, beside the address itself.
        shutdown: Set it to end: nothing more is taken, requests under way may finish.
        grace: Seconds that they have for it.
        timeouts: What a connection may take its time for.
        connections: How many may be open at once; one more is told to come again.
        streams: How many of them may be streams of events.
        heartbeat: Seconds of silence after which a stream says that it is still there.
        access_log: Gets a line for each request.
        task_status: Is given the `Bound`.

    Raises:
        ValueError: ``tcp`` without a token file, and not insecure.
        EndpointInUse: Somebody listens there already.
        EndpointUnsafe: Listening there would open the engine to others.
        TokenFileUnsafe: The token's file cannot be relied on.
        TlsFilesUnusable: The certificate or its key cannot be used.
        OSError: A socket cannot be had.
    """
    if tcp is not None and token_file is None and not insecure:
        raise ValueError("TCP needs a token file (or insecure=True)")
    token = None if token_file is None else open_token(token_file)
    context = None if tls is None or tcp is None else server_context(tls)
    with ExitStack() as cleanup:
        doors = []
        control = network = None
        if unix is None and tcp is None:
            unix = _own_path(engine, cleanup)
        if unix is not None:
            control = listen_unix(unix)
            cleanup.callback(control.socket.close)
            cleanup.callback(control.unlink)
            doors.append(_Door(_listener(control.socket), trusted=True))
        if tcp is not None:
            secured = insecure or (token is not None and tls is not None)
            network = listen_tcp(*tcp, secured=secured)
            cleanup.callback(network.close)
            doors.append(_Door(_listener(network, context), trusted=False))
        bound = Bound(
            control.path if control else None,
            network.getsockname()[:2] if network else None,
            context is not None,
        )
        access = Access(
            token=token,
            hosts=host_names(bound.tcp[0], hosts) if bound.tcp else frozenset(),
            anybody=insecure and token is None,
        )
        following = Following(Live(engine), Standing(streams), heartbeat)
        app = create_app(
            engine,
            access=access,
            following=following,
            body_timeout=timeouts.body,
            access_log=access_log,
        )
        config = Config()
        config.errorlog = _LOG
        config.include_server_header = False
        config.h11_max_incomplete_size = HEAD_LIMIT
        service = Service(ASGIWrapper(app), config, WorkerContext(None), timeouts)
        server = _Server(service, connections)
        async with trio.open_nursery() as clients:
            clients.start_soon(following.live.run)
            async with trio.open_nursery() as accepting:
                for door in doors:
                    await accepting.start(server.accept, door, clients)
                if control:
                    engine.announce(str(control.path))
                    cleanup.callback(_withdraw, engine)
                task_status.started(bound)
                await (trio.Event() if shutdown is None else shutdown).wait()
                accepting.cancel_scope.cancel()
            # From here on nobody finds us, and nobody new is let in.
            cleanup.close()
            # Streams end now, and whoever waits is answered.
            following.live.close()
            following.standing.close()
            await server.retire()
            clients.cancel_scope.deadline = trio.current_time() + grace


class _Door(NamedTuple):
    listener: trio.abc.Listener[Any]
    trusted: bool


class _Server:
    """Keeps count of the connections that are open."""

    def __init__(self, service: Service, limit: int) -> None:
        self._service = service
        self._limit = limit
        self._open: set[Connection] = set()

    async def accept(
        self,
        door: _Door,
        clients: trio.Nursery,
        *,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take connections until cancelled, then close the listener."""
        handle = partial(self._serve, {TRUSTED: door.trusted})
        await trio.serve_listeners(
            handle, [door.listener], handler_nursery=clients, task_status=task_status
        )

    async def retire(self) -> None:
        """Close what is idle, and the others after the answer under way."""
        await self._service.context.terminated.set()
        for connection in self._open:
            connection.retire()

    async def _serve(self, state: Mapping[str, object], stream: Stream) -> None:
        if len(self._open) >= self._limit:
            await self._turn_away(stream)
            return
        raw = (
            stream.transport_stream.socket if isinstance(stream, trio.SSLStream) else stream.socket
        )
        connection = Connection(
            stream,
            self._service,
            state=state,
            client=_address(raw.getpeername),
            server=_address(raw.getsockname),
        )
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)

    async def _turn_away(self, stream: Stream) -> None:
        problem = Problem(
            503,
            "too_many_connections",
            detail=f"{self._limit} connections are open here already",
            headers={"Retry-After": str(RETRY_AFTER)},
        )
        try:
            with trio.move_on_after(self._service.timeouts.linger):
                await stream.send_all(raw_answer(problem))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)


def _withdraw(engine: EnginePort) -> None:
    """Take the endpoint out of the owner row, unless the store has ended before us."""
    with suppress(CrecheError):
        engine.announce(None)


def _own_path(engine: EnginePort, cleanup: ExitStack) -> Path:
    """The place of the control socket of this engine's store."""
    path = socket_path(engine.store_path, os.environ)
    if engine.store_path is None or path.parent != store_dir(engine.store_path):
        cleanup.callback(path.parent.rmdir)
    return path


def _listener(
    made: socket.socket, context: ssl.SSLContext | None = None
) -> trio.SocketListener | trio.SSLListener[trio.SocketStream]:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(made))
    if context is None:
        return listener
    return trio.SSLListener(listener, context, https_compatible=True)


def _address(ask: Callable[[], Any]) -> tuple[str, int] | None:
    """An end of a connection; None on a unix socket, and for a client that has gone already."""
    try:
        found = ask()
    except OSError:
        return None
    return found[:2] if isinstance(found, tuple) else None
