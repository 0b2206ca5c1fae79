"""Reads a stream of server-sent events from a bare socket, as a browser would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

from engine import FINAL

if TYPE_CHECKING:
    import trio

    from tests.web.served import Served

ENDS = {str(state) for state in FINAL}


class Message(NamedTuple):
    """What stands between two empty lines."""

    id: str | None
    event: str
    data: Any = None
    comment: str | None = None

    @property
    def place(self) -> tuple[int, int]:
        """Its id as numbers."""
        assert self.id is not None
        epoch, revision = self.id.split(".")
        return int(epoch), int(revision)


class CutOff(Exception):
    """The connection has ended in the middle of the answer."""


class Stream:
    """An open stream; iterated over, it ends with the answer."""

    def __init__(self, socket: trio.SocketStream) -> None:
        self.status = 0
        self.head = ""
        self._socket = socket
        self._raw = b""
        self._body = b""
        self._whole = False

    async def open(self) -> None:
        """Read the head of the answer."""
        while b"\r\n\r\n" not in self._raw:
            await self._receive()
        head, _, self._raw = self._raw.partition(b"\r\n\r\n")
        self.head = head.decode().lower()
        self.status = int(self.head.split()[1])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while b"\n\n" not in self._body:
            if self._whole:
                assert self._body == b"", "it ends in the middle of a message"
                raise StopAsyncIteration
            await self._chunk()
        text, _, self._body = self._body.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in text.decode().split("\n") if line[0] != ":")
        data = json.loads(fields["data"]) if "data" in fields else None
        comment = text.decode()[2:] if text.startswith(b":") else None
        return Message(fields.get("id"), fields.get("event", "message"), data, comment)

    async def _chunk(self) -> None:
        while b"\r\n" not in self._raw:
            await self._receive()
        size, _, self._raw = self._raw.partition(b"\r\n")
        length = int(size, 16)
        while len(self._raw) < length + 2:
            await self._receive()
        self._body += self._raw[:length]
        self._raw = self._raw[length + 2 :]
        self._whole = length == 0

    async def _receive(self) -> None:
        some = await self._socket.receive_some()
        if not some:
            raise CutOff
        self._raw += some


@asynccontextmanager
async def stream(
    served: Served,
    since: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    unix: bool = False,
    method: str = "GET",
) -> AsyncIterator[Stream]:
    """Ask for the events; inside, the head of the answer is there."""
    socket = await (served.connect_control if unix else served.connect)()
    async with socket:
        query = "" if since is None else "?" + urlencode({"since": since})
        lines = {"Host": "localhost", "Authorization": f"Bearer {served.token}", **(headers or {})}
        await socket.send_all(
            f"{method} /v1/events{query} HTTP/1.1\r\n".encode()
            + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()
            + b"\r\n"
        )
        opened = Stream(socket)
        await opened.open()
        yield opened


class Ends:
    """What one client has seen: every final state once, and no event twice."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}
        self.last = ""
        self.left_out = 0
        self.moves = 0

    def take(self, message: Message) -> None:
        """One message."""
        if message.event == "coalesced":
            self.left_out += message.data["left_out"]
            return
        if message.event == "task.state":
            assert message.id == message.data["id"]
            assert not self.last or message.place > tuple(map(int, self.last.split(".")))
            self.moves += 1
            if message.data["state"] in ENDS:
                assert message.data["task_id"] not in self.seen
                self.seen[message.data["task_id"]] = message.data["state"]
        if message.id is not None:
            self.last = message.id

    async def take_all(self, opened: Stream) -> None:
        """Every message until the end."""
        async for message in opened:
            self.take(message)

    async def follow(self, served: Served, number: int, *, unix: bool = False) -> None:
        """Follow from where it stands until it knows the end of so many tasks."""
        async with stream(served, self.last, unix=unix) as opened:
            async for message in opened:
                self.take(message)
                if len(self.seen) == number:
                    return
