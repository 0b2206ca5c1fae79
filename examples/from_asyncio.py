"""creche in an asyncio program: a server that stretches passwords for its clients.

The work blocks; the engine minds it in threads, and asyncio awaits each result as a future. Run it
with ``python examples/from_asyncio.py``: 40 clients come over loopback, one of them does not wait
for its answer. The exit status is 0 only when every answer is right and no work was lost.
"""

# ruff: noqa: INP001, T201 - a script, and what it prints is what it is for

from __future__ import annotations

import asyncio
import hashlib
import sys
from functools import partial

from engine import EnginePortal, State

CLIENTS = 40
ROUNDS = 20_000
SECONDS = 30.0
"""After which the program gives itself up."""


def stretched(password: bytes) -> str:
    """The work: it blocks, and knows neither creche nor asyncio."""
    return hashlib.pbkdf2_hmac("sha256", password, b"salt", ROUNDS).hex()


async def serve(
    engine: EnginePortal, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one client: a line in, a line out."""
    try:
        password = (await reader.readline()).rstrip(b"\n")
        task_id = engine.submit_nowait(partial(stretched, password), key="stretch")
        answer = await asyncio.wrap_future(engine.result_future(task_id))
        writer.write(f"{answer}\n".encode())
        await writer.drain()
    finally:
        writer.close()


async def ask(port: int, password: bytes) -> str:
    """A client's part."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(password + b"\n")
        return (await reader.readline()).decode().rstrip("\n")
    finally:
        writer.close()
        await writer.wait_closed()


async def give_up(engine: EnginePortal) -> int:
    """Begin to wait for a task, then stop waiting: the task goes on all the same."""
    task_id = engine.submit_nowait(partial(stretched, b"nobody waits"), key="stretch")
    waiting = asyncio.wrap_future(engine.result_future(task_id))
    waiting.cancel()
    await asyncio.wait([waiting])
    return task_id


async def main(engine: EnginePortal) -> bool:
    """Serve all clients; True when each has got the right answer."""
    server = await asyncio.start_server(partial(serve, engine), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    passwords = [f"password {number}".encode() for number in range(CLIENTS)]
    async with server:
        answers = await asyncio.gather(*(ask(port, password) for password in passwords))
        given_up = await give_up(engine)
    # Whatever waits for the disk or for a task goes to a thread, not through the loop.
    (row,) = await asyncio.to_thread(engine.wait, [given_up])
    return row.state is State.SUCCEEDED and answers == [stretched(word) for word in passwords]


if __name__ == "__main__":
    with EnginePortal(capacity=4) as portal:
        right = asyncio.run(asyncio.wait_for(main(portal), SECONDS))
        done = portal.counts()[State.SUCCEEDED]
    print(f"{done} passwords stretched for {CLIENTS} clients: {'right' if right else 'wrong'}")
    sys.exit(0 if right and done == CLIENTS + 1 else 1)
