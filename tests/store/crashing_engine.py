"""A program that writes moves into a store and tells what is acknowledged, until it is killed."""

from __future__ import annotations

import sys

import trio

from engine.store import open_sqlite
from tests.store.histories import History

IN_FLIGHT = 90
"""Moves that may wait for their commit: enough to die among them, and little to check later."""


async def main(path: str) -> None:
    """Prints ``epoch revision id`` after each commit: its last move, and that move's task."""
    async with open_sqlite(path) as journal, trio.open_nursery() as nursery:
        history = History(journal.recovered.epoch, journal.recovered.next_id)

        last = 0
        more = trio.Event()

        def acknowledged(revision: int) -> None:
            nonlocal last
            last = revision
            more.set()
            task_id = history.entries[revision - 1].snapshot.id
            sys.stdout.write(f"{history.epoch} {revision} {task_id}\n")
            sys.stdout.flush()

        nursery.start_soon(journal.run, acknowledged)
        while True:
            before = len(history.entries)
            history.finish()
            for entry in history.entries[before:]:
                journal.put(entry)
            await trio.lowlevel.checkpoint()
            while history.revision - last > IN_FLIGHT:
                more = trio.Event()
                await more.wait()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
