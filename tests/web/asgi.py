"""ASGI apps to put behind a gate or a connection, and a client to drive a gate with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

if TYPE_CHECKING:
    from web.gate import App, Gate, Message, Receive, Scope, Send


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and answers with its length."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    await answer(send, f"{scope['method']} {scope['path']} {length}".encode())


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


async def ask(
    gate: Gate | App,
    *,
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (("host", "localhost"),),
    body: Iterable[bytes] = (b"",),
    **scope: Any,
) -> Answered | None:
    """Send one request through ASGI; None when nothing was answered."""
    sent: list[Message] = []
    chunks = list(body)

    async def receive() -> Message:
        if not chunks:
            await trio.sleep_forever()
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        sent.append(message)

    await gate(
        {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "state": {},
            **scope,
        },
        receive,
        send,
    )
    if not sent:
        return None
    start, *rest = sent
    return Answered(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message["body"] for message in rest),
        bool(rest) and not rest[-1]["more_body"],
    )
