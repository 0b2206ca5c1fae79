"""Both clients of the control socket, against a real engine and what may sit there instead."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from engine import Engine
from tests.cli.stores import Answer
from tui.control import AsyncControl, SyncControl
from tui.ports import ControlRefused, ControlUnreachable
from web import serve


class Client(NamedTuple):
    """Either client, with calls that can be awaited."""

    stats: Callable[[], Awaitable[Any]]
    task: Callable[[int], Awaitable[Any]]
    cancel: Callable[..., Awaitable[Any]]
    close: Callable[[], Awaitable[None]]


def asynchronous(endpoint: str, **options: float) -> Client:
    control = AsyncControl(endpoint, **options)
    return Client(control.stats, control.task, control.cancel, control.aclose)


def synchronous(endpoint: str, **options: float) -> Client:
    control = SyncControl(endpoint, **options)

    def awaitable(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def called(*arguments: object) -> Any:
            return await trio.to_thread.run_sync(call, *arguments)

        return called

    return Client(
        awaitable(control.stats),
        awaitable(control.task),
        awaitable(control.cancel),
        awaitable(control.close),
    )


Connect = Callable[..., Client]

both = pytest.mark.parametrize("connect", [asynchronous, synchronous])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def unconnected() -> Iterator[None]:
    """Allow for httpcore's blocking backend, which drops what could not connect unclosed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@asynccontextmanager
async def engine_at(path: Path) -> AsyncIterator[Engine]:
    """An engine that answers at this socket."""
    async with Engine() as engine, trio.open_nursery() as nursery:
        end = trio.Event()

        async def serving(task_status: trio.TaskStatus[object]) -> None:
            await serve(engine, unix=path, shutdown=end, task_status=task_status)

        await nursery.start(serving)
        yield engine
        end.set()


@contextmanager
def saying(path: Path, answer: bytes) -> Iterator[None]:
    """Something else that listens at this socket: it answers one request with these bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        yield
        thread.join()


@both
async def test_it_asks_and_tells_a_real_engine(connect: Connect, path: Path) -> None:
    """Statistics, a task and a cancel are the documented JSON of the HTTP API."""
    async with engine_at(path) as engine:
        client = connect(str(path))
        task = await engine.submit(Answer(1), name="later", not_before=2e9)
        assert (1, False) == ((stats := await client.stats())["live"], stats["draining"])
        assert ("waiting", "later") == ((one := await client.task(task))["state"], one["name"])
        answer = await client.cancel(task, "not needed")
        assert ("dropped", "cancelled") == (answer["rung"], answer["task"]["state"])
        assert "not needed" == answer["task"]["reason"]
        assert "already_final" == (await client.cancel(task))["rung"]
        await client.close()


async def test_it_submits_what_the_engine_knows(path: Path) -> None:
    """The kinds are the engine's own, and the answer to a submission is the task."""
    async with engine_at(path) as engine:
        with SyncControl(str(path)) as control:
            kinds = await trio.to_thread.run_sync(control.kinds)
            assert {"kinds"} == kinds.keys()
            body: dict[str, object] = {
                "kind": "sample",
                "arguments": {"value": 2, "scale": 0},
                "name": "two",
            }
            task = await trio.to_thread.run_sync(control.submit, body)
        assert "two" == task["name"]
        assert 4 == await engine.result(int(str(task["id"])))


@both
async def test_a_refusal_carries_the_problem(connect: Connect, path: Path) -> None:
    """Status, code and words of the engine's problem document are kept."""
    async with engine_at(path):
        client = connect(str(path))
        with pytest.raises(ControlRefused, match="99") as refused:
            await client.task(99)
        assert (404, "task_not_found") == (refused.value.status, refused.value.code)
        await client.close()


@both
@pytest.mark.usefixtures("unconnected")
async def test_nobody_there_is_unreachable(connect: Connect, path: Path) -> None:
    """A socket that is gone is named, with what to do."""
    client = connect(str(path))
    with pytest.raises(ControlUnreachable, match="creche serve") as unreachable:
        await client.stats()
    assert str(path) == unreachable.value.endpoint
    await client.close()


@both
@pytest.mark.usefixtures("unconnected")
async def test_a_stale_socket_is_unreachable(connect: Connect, path: Path) -> None:
    """A socket whose owner has died is no different from none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    client = connect(str(path))
    with pytest.raises(ControlUnreachable):
        await client.stats()
    await client.close()


@both
async def test_silence_is_unreachable(connect: Connect, path: Path) -> None:
    """An engine that hangs costs a call its patience, not for ever."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(path))
        mute.listen()
        client = connect(str(path), patience=0.05)
        with pytest.raises(ControlUnreachable, match=r"no answer within 0\.05 s"):
            await client.stats()
        await client.close()


@both
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<html>hi>",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + b'{"a":1',
    ],
)
async def test_what_is_no_engine_is_unreachable(
    connect: Connect, path: Path, answer: bytes
) -> None:
    """An answer that no engine of ours would give is an error of ours, never a crash."""
    with saying(path, answer):
        client = connect(str(path))
        with pytest.raises(ControlUnreachable):
            await client.stats()
        await client.close()


@both
async def test_a_problem_without_words_still_has_some(connect: Connect, path: Path) -> None:
    """A refusal that says nothing is told by its status."""
    reply = b"HTTP/1.1 418 teapot\r\ncontent-length: 2\r\n\r\n{}"
    with saying(path, reply):
        client = connect(str(path))
        with pytest.raises(ControlRefused) as refused:
            await client.stats()
        await client.close()
    assert (418, "unknown") == (refused.value.status, refused.value.code)
    assert "" != str(refused.value)


@both
async def test_a_closed_client_is_unreachable(connect: Connect, path: Path) -> None:
    """After close every call says so, and closing again does nothing."""
    async with engine_at(path):
        client = connect(str(path))
        await client.stats()
        await client.close()
        await client.close()
        with pytest.raises(ControlUnreachable, match="closed"):
            await client.stats()
