"""A real engine behind a real socket, and a client that holds every answer to the document."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import trio

from engine import Engine
from tests.web.kinds import registry
from web import Bound, open_token, serve
from web.operations import JSON
from web.problems import ProblemDocument

PATIENCE = 20.0
"""Seconds after which a test that waits for something is given up; none is ever reached."""


class Served(NamedTuple):
    engine: Engine
    bound: Bound
    token: str
    client: httpx.AsyncClient
    """Over the network, with the token."""
    shutdown: trio.Event

    async def connect(self) -> trio.SocketStream:
        """A bare connection over the network."""
        assert self.bound.tcp is not None
        return await trio.open_tcp_stream(*self.bound.tcp)

    async def connect_control(self) -> trio.SocketStream:
        """A bare connection to the control socket."""
        assert self.bound.unix is not None
        return await trio.open_unix_socket(str(self.bound.unix))

    async def submit(self, kind: str, **body: object) -> int:
        """Submit over HTTP and return the id."""
        answer = await self.client.post("/v1/tasks", json={"kind": kind, **body})
        assert 202 == answer.status_code, answer.text
        found: int = answer.json()["id"]
        return found

    async def finished(self, kind: str, **body: object) -> int:
        """Submit over HTTP, wait for the end, and return the id."""
        task_id = await self.submit(kind, **body)
        await self.engine.wait([task_id])
        return task_id


@asynccontextmanager
async def serving(
    *, engine: Engine | None = None, unix: bool = False, **options: Any
) -> AsyncIterator[Served]:
    """Serve a fresh engine in memory, or the given one that is not open yet."""
    with tempfile.TemporaryDirectory(prefix="creche") as folder, trio.fail_after(PATIENCE):
        token_file = Path(folder) / "token"
        shutdown = trio.Event()
        options.setdefault("tcp", ("127.0.0.1", 0))
        options.setdefault("token_file", token_file)
        if unix:
            options["unix"] = Path(folder) / "control.sock"
        async with engine or Engine(kinds=registry()) as opened, trio.open_nursery() as nursery:
            bound = await nursery.start(partial(serve, opened, shutdown=shutdown, **options))
            token = open_token(token_file)
            async with client(bound, token) as asking:
                yield Served(opened, bound, token, asking, shutdown)
            shutdown.set()
            # What a test has left behind must not hold it up.
            await opened.drain(0.0)


def client(bound: Bound, token: str | None) -> httpx.AsyncClient:
    """A client over the network that refuses answers which are not documented."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(
        base_url=bound.url or "",
        headers=headers,
        event_hooks={"response": [document().check]},
        trust_env=False,
        timeout=PATIENCE,
    )


def control(bound: Bound) -> httpx.AsyncClient:
    """A client over the control socket."""
    return httpx.AsyncClient(
        base_url="http://localhost",
        transport=httpx.AsyncHTTPTransport(uds=str(bound.unix)),
        trust_env=False,
        timeout=PATIENCE,
    )


class Document:
    """What /openapi.json promises, held against what really comes."""

    def __init__(self) -> None:
        from web.openapi import openapi
        from web.rows import resources

        engine = Engine(kinds=registry())
        self.rows = [row for resource in resources(engine) for row in resource.operations]
        self.paths: Mapping[str, Any] = openapi(resources(engine))["paths"]

    async def check(self, response: httpx.Response) -> None:
        """Assert that an answer is documented for its path and method, its body included."""
        await response.aread()
        status, sent = response.status_code, response.headers.get("content-type")
        assert "nosniff" == response.headers["x-content-type-options"]
        if response.request.method == "HEAD":
            assert b"" == response.content
            return
        if status >= 400:
            assert "application/problem+json" == sent
            problem = msgspec.json.decode(response.content, type=ProblemDocument)
            assert status == problem.status
            assert response.headers["x-request-id"] == problem.request_id
        path, method = response.request.url.path, response.request.method
        row = next(
            (
                row
                for row in self.rows
                if row.method == method
                and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", row.path), path)
            ),
            None,
        )
        if row is None:
            assert status in {400, 401, 403, 404, 405, 421, 431}, (method, path, status)
            return
        documented = self.paths[row.path][method.lower()]["responses"]
        assert str(status) in documented, (method, path, status)
        for answer in row.answers:
            if answer.status == status:
                assert (answer.media if answer.body else None) == sent
                if answer.media != JSON:
                    return
                if answer.body:
                    msgspec.json.decode(response.content, type=answer.body)
                else:
                    assert b"" == response.content


@functools.cache
def document() -> Document:
    """The document; made once, as it is the same for every app."""
    return Document()


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error."""
    return response.status_code, response.json()["code"]
