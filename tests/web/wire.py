"""Talks to a server in bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from web import Timeouts, Tls

if TYPE_CHECKING:
    import trio

    from tests.web.served import Served

SHORT = Timeouts(header=0.05, body=0.05, idle=0.05, write=0.05, linger=0.05)
"""Cut at once what a test cuts; whatever comes in time comes in one piece."""
HERE = Path(__file__).parent / "tls"
TLS = Tls(HERE / "localhost.pem", HERE / "localhost.key")
"""Of nobody, for localhost."""

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


async def once(connect: Callable[[], Awaitable[trio.SocketStream]], request: bytes) -> bytes:
    """The answer to one request on a connection of its own."""
    stream = await connect()
    await stream.send_all(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    return await all_of(stream)


async def gone(served: Served) -> None:
    """Wait until nobody is let in any more."""
    while True:
        try:
            stream = await served.connect()
        except OSError:
            return
        await stream.aclose()
