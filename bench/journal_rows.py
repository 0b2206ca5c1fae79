"""Durable moves per second of the journal, and what each index of the file costs.

    python bench/journal_rows.py [--tasks N] [--repeat R] [--durability LEVEL]

Each run writes the lives of N tasks (submitted, started, finished: three moves and an output each)
beside a loop that never idles, and ends when the last move is durable. "in order": a task ends
before the next is submitted. "at random": all are submitted first, then end in random order, which
touches the whole table. CPU is that of the whole process; the file's size is per task, after a
clean end. Shown is the best of R runs: noise only ever adds time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import trio

from engine.api import Entry
from engine.model import Event, OutputMark, State, TaskSnapshot
from engine.store import SqliteJournal, open_sqlite

VARIANTS: Final = {
    "as shipped": (),
    "without tasks_live": ("DROP INDEX tasks_live",),
    "without tasks_unique_key": ("DROP INDEX tasks_unique_key",),
    "+ tasks (epoch, revision)": ("CREATE INDEX more ON tasks (epoch, revision)",),
    "+ tasks (state)": ("CREATE INDEX more ON tasks (state)",),
    "+ tasks (kind)": ("CREATE INDEX more ON tasks (kind)",),
    "+ events (task_id)": ("CREATE INDEX more ON events (task_id)",),
}
A_TICK: Final = 20
"""Moves put between two checkpoints of the busy loop."""


class Result(NamedTuple):
    """What one run took."""

    seconds: float
    cpu: float
    bytes: int
    commits: int


def lives(epoch: int, tasks: int, order: str) -> Iterator[Entry]:
    """The moves of all tasks, one after the other."""
    chance = random.Random(7)
    text = '{"value":42,"squares":[1,4,9]}'
    checksum = zlib.crc32(text.encode())
    revision = 0

    def moved(task_id: int, move: str, previous: State | None, state: State) -> Entry:
        nonlocal revision
        revision += 1
        row = TaskSnapshot(
            id=task_id,
            state=state,
            kind="sample",
            name=f"sample {task_id}",
            key="bench",
            recoverable=True,
            arguments=f'{{"value":{task_id},"scale":0.05}}',
            attempts=0 if previous is None else 1,
            epoch=epoch,
            revision=revision,
            submitted_at=1_700_000_000.25,
            changed_at=1_700_000_000.25 + revision / 1024,
            started_at=None if previous is None else 1_700_000_001.5,
            output_mark=OutputMark.KEPT if state.final else None,
            checksum=checksum if state.final else None,
        )
        event = Event(epoch, revision, task_id, move, previous, state, row.changed_at, row.attempts)
        return Entry(row, event, text if state.final else None)

    def end(task_id: int) -> Iterator[Entry]:
        yield moved(task_id, "T3", State.QUEUED, State.RUNNING)
        yield moved(task_id, "T6", State.RUNNING, State.SUCCEEDED)

    ids = list(range(1, tasks + 1))
    for task_id in ids:
        yield moved(task_id, "T1", None, State.QUEUED)
        if order == "in order":
            yield from end(task_id)
    if order == "at random":
        chance.shuffle(ids)
        for task_id in ids:
            yield from end(task_id)


async def write(journal: SqliteJournal, entries: list[Entry]) -> int:
    """Put all entries beside a busy loop; gives the number of commits when all are durable."""
    commits = 0
    durable = 0

    def committed(revision: int) -> None:
        nonlocal commits, durable
        commits += 1
        durable = revision

    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, committed)
        for at in range(0, len(entries), A_TICK):
            for entry in entries[at : at + A_TICK]:
                journal.put(entry)
            await trio.lowlevel.checkpoint()
        while durable < entries[-1].event.revision:
            await trio.lowlevel.checkpoint()
        journal.close(entries[-1].snapshot.id + 1)
    return commits


async def run(tasks: int, order: str, changes: tuple[str, ...], durability: str) -> Result:
    """One run in a fresh store."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "bench.db"
        async with open_sqlite(path, durability=durability) as journal:
            db = apsw.Connection(str(path))
            for statement in changes:
                db.execute(statement)
            db.close()
            entries = list(lives(journal.recovered.epoch, tasks, order))
            cpu, began = time.process_time(), time.perf_counter()
            commits = await write(journal, entries)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return Result(seconds, cpu, path.stat().st_size, commits)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--durability", default="power", choices=["power", "process", "none"])
    options = parser.parse_args()
    moves = 3 * options.tasks
    print(f"{'':28}{'order':>10}{'moves/s':>10}{'us CPU':>8}{'B/task':>8}{'commits':>9}")
    for name, changes in VARIANTS.items():
        for order in ("in order", "at random"):
            runs = [
                trio.run(run, options.tasks, order, changes, options.durability)
                for _ in range(options.repeat)
            ]
            best = min(runs, key=lambda result: result.seconds)
            print(
                f"{name:28}{order:>10}{moves / best.seconds:>10,.0f}"
                f"{min(r.cpu for r in runs) / moves * 1e6:>8.1f}"
                f"{best.bytes / options.tasks:>8.0f}{best.commits:>9}"
            )


if __name__ == "__main__":
    main()
