"""How many short tasks a second, beside a bare thread pool in the same run.

    python bench/throughput.py [tasks] [rounds]

A pool of threads is what a program without creche would use, and it supervises nothing: no
states, no limits, no history. The ratio says what supervision costs. Rounds alternate, so that a
machine that gets slower does so for both; medians and the spread are printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trio

from engine import Engine


def nothing() -> int:
    """The shortest task."""
    return 1


async def nothing_async() -> int:
    """The shortest task without a thread."""
    return 1


def pool(tasks: int) -> None:
    """The peer."""
    with ThreadPoolExecutor(32) as executor:
        for future in [executor.submit(nothing) for _ in range(tasks)]:
            future.result()


def engine(task: Callable[[], object], *, on_file: bool) -> Callable[[int], None]:
    """The same through an engine, in memory or on a file of its own."""

    async def mind(tasks: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "tasks.db" if on_file else None
            async with Engine(store) as minder:
                for _ in range(tasks):
                    minder.submit_nowait(task)

    return lambda tasks: trio.run(mind, tasks)


SUBJECTS: dict[str, Callable[[int], None]] = {
    "ThreadPoolExecutor(32)": pool,
    "callable, in memory": engine(nothing, on_file=False),
    "callable, on a file": engine(nothing, on_file=True),
    "async, in memory": engine(nothing_async, on_file=False),
    "async, on a file": engine(nothing_async, on_file=True),
}


def main(tasks: int = 20_000, rounds: int = 5) -> None:
    """Run all subjects in turn, and print rates and ratios."""
    rates: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(rounds):
        for name, run in SUBJECTS.items():
            began = time.perf_counter()
            run(tasks)
            rates[name].append(tasks / (time.perf_counter() - began))
    peer = rates["ThreadPoolExecutor(32)"]
    print(f"{'':<24}{'tasks/s: median':>16}{'min':>9}{'max':>9}{'ratio to the pool':>20}")
    for name, seen in rates.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(seen, peer, strict=True))
        median = statistics.median(seen)
        print(f"{name:<24}{median:>16,.0f}{min(seen):>9,.0f}{max(seen):>9,.0f}{ratio:>20.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
