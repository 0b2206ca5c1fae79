"""One connection: bytes in, bytes out, and a deadline on every state it can be in.

Hypercorn turns the bytes into ASGI calls (`http1`); this file owns the socket. A connection that
asks for nothing, a head that comes one byte at a time, a client that never reads its answer: each
holds memory and a descriptor, and each has its time here. The body of a request is timed where it
is read, by the app.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import ConnectionState

from .http1 import Http1, VersionRefused
from .problems import Problem, raw_answer

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.events import Event
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper

Address: TypeAlias = tuple[str, int] | None

CUT: Final = "creche.cut"
"""Key of an ASGI scope's state: call it to end the connection without another word."""

_RECEIVE: Final = 64 * 1024
_LOG: Final = logging.getLogger("creche.web")


class Timeouts(NamedTuple):
    """How long a connection may take for what, in seconds."""

    header: float = 5.0
    """From the first byte of a request to the end of its headers; also for a TLS handshake."""
    body: float = 10.0
    """For a whole body, from the moment the app asks for it."""
    idle: float = 15.0
    """Between two requests, and before the first."""
    write: float = 30.0
    """Until the client has taken what was written."""
    linger: float = 1.0
    """For bytes still on their way when an answer ended the connection; without it they would make
    the kernel throw the answer away."""


class _Phase(Enum):
    IDLE = auto()
    HEAD = auto()
    BUSY = auto()
    """A request is with the app."""
    LINGER = auto()
    """All is said; what still comes is thrown away."""
    CLOSED = auto()


class Service(NamedTuple):
    """What all connections of a server share."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    timeouts: Timeouts


class Connection:
    """Serves one stream from its first byte to its last.

    Args:
        stream: The client; closed when `run` returns.
        service: The app and its settings.
        state: Copied into the ``state`` of each request's scope.
        client: The peer's address, None for a unix socket.
        server: Our own.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        service: Service,
        *,
        state: Mapping[str, object],
        client: Address = None,
        server: Address = None,
    ) -> None:
        self._stream = stream
        self._service = service
        self._state = ConnectionState({**state, CUT: self._cut})
        self._client = client
        self._server = server
        self._sending = trio.Lock()
        self._broken = False
        self._phase = _Phase.IDLE
        self._reading = trio.CancelScope()
        self._handling = trio.CancelScope()
        timeouts = service.timeouts
        self._time_for: Final = {
            _Phase.IDLE: timeouts.idle,
            _Phase.HEAD: timeouts.header,
            _Phase.BUSY: float("inf"),
            _Phase.LINGER: timeouts.linger,
            _Phase.CLOSED: 0.0,
        }
        self._deadline = 0.0

    async def run(self) -> None:
        """Serve requests until the client goes, a deadline passes, or `retire` ends it.

        A defect that is met on the way ends this connection, is logged, and raises nothing.
        """
        try:
            if await self._shake_hands():
                with trio.CancelScope() as scope:
                    async with TaskGroup() as tasks:
                        await self._serve(tasks)
                        # The client is gone: what an app still does, nobody will see.
                        scope.deadline = trio.current_time() + self._service.timeouts.linger
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone, there is nobody to tell
        except* Exception:  # noqa: BLE001  one connection's defect must not end the others
            _LOG.exception("connection ended by a defect")
        finally:
            # Bounded: a TLS goodbye to a client that does not listen must not hold up a shutdown.
            with trio.move_on_after(self._service.timeouts.linger, shield=True):
                await self._stream.aclose()

    def retire(self) -> None:
        """Close it now if it is idle, else after the answer under way."""
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.CLOSED)

    async def _shake_hands(self) -> bool:
        if isinstance(self._stream, trio.SSLStream):
            with trio.move_on_after(self._service.timeouts.header) as scope:
                await self._stream.do_handshake()
            return not scope.cancelled_caught
        return True

    async def _serve(self, tasks: TaskGroup) -> None:
        service = self._service
        protocol = Http1(
            service.app,
            service.config,
            service.context,
            tasks,
            self._state,
            isinstance(self._stream, trio.SSLStream),
            self._client,
            self._server,
            self._send,
        )
        self._enter(_Phase.IDLE)
        try:
            await self._read(protocol)
        finally:
            # The app learns that its client is gone, and ends what it does for it. One that reads
            # nothing does not learn it.
            with trio.move_on_after(service.timeouts.linger):
                await protocol.handle(Closed())

    async def _read(self, protocol: Http1) -> None:
        while self._phase is not _Phase.CLOSED:
            with trio.CancelScope(deadline=self._deadline) as self._reading:
                data = bytes(await self._stream.receive_some(_RECEIVE))
            if self._reading.cancelled_caught:
                if self._phase is not _Phase.HEAD:
                    return
                await self._refuse(Problem(408, detail="the headers did not arrive in time"))
            elif not data:
                return
            elif self._phase is not _Phase.LINGER:
                await self._take(protocol, data)

    async def _take(self, protocol: Http1, data: bytes) -> None:
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD)
        try:
            with trio.CancelScope() as self._handling:
                await protocol.handle(RawData(data))
        except VersionRefused as refused:
            await self._refuse(Problem(505, detail=f"{refused}: use HTTP/1.1"))

    async def _refuse(self, problem: Problem) -> None:
        await self._write(raw_answer(problem))
        await self._finish()

    def _enter(self, phase: _Phase) -> None:
        """Go on to a phase, and give it its time from now."""
        if self._phase is _Phase.CLOSED:
            return
        self._phase = phase
        self._deadline = trio.current_time() + self._time_for[phase]
        if phase is _Phase.CLOSED:
            self._reading.cancel()
            self._handling.cancel()
        else:
            self._reading.deadline = self._deadline

    def _cut(self) -> None:
        self._enter(_Phase.CLOSED)

    async def _send(self, event: Event) -> None:
        """Do what the protocol asks for, from a task of the app or of the reader."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Updated):
            self._enter(_Phase.IDLE if event.idle else _Phase.BUSY)
        else:
            await self._finish()

    async def _write(self, data: bytes) -> None:
        async with self._sending:
            if self._broken or self._phase is _Phase.CLOSED:
                return
            # Until all is written: an app that is cancelled here leaves half an answer on the wire.
            self._broken = True
            with trio.move_on_after(self._service.timeouts.write):
                try:
                    await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
                else:
                    self._broken = False
            if self._broken:
                self._enter(_Phase.CLOSED)

    async def _finish(self) -> None:
        """Say no more, and let the reader throw away what is still on its way."""
        if self._broken:
            self._enter(_Phase.CLOSED)
        if self._phase in {_Phase.LINGER, _Phase.CLOSED}:
            return
        self._enter(_Phase.LINGER)
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                # This does not wait; a caller that is being cancelled shall say goodbye as well.
                with trio.CancelScope(shield=True):
                    await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                self._enter(_Phase.CLOSED)
        # The reader may wait for room in a queue that nobody empties any more, or, with a second
        # request in hand, for its turn that does not come.
        self._handling.cancel()
