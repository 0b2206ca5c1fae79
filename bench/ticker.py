"""How late a program's own ticker gets while the engine starts and minds 10,000 sample tasks.

    python bench/ticker.py [tasks] [scale] [seconds] [store]

Prints how long the submissions took in all, and how late a 10 ms ticker was from the first
checkpoint after them: by ticks, and by time (the share of the time in which the loop was later
than that; a freeze counts as long as it lasts). The same ticker without any task is the peer.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import trio

from engine import Engine
from engine.samples import gen_task

PERIOD = 0.010


async def ticks(seconds: float) -> list[float]:
    """How late each tick came."""
    late: list[float] = []
    end = trio.current_time() + seconds
    due = trio.current_time()
    while due < end:
        due = max(due + PERIOD, trio.current_time())
        await trio.sleep_until(due)
        late.append(trio.current_time() - due)
    return late


def describe(title: str, late: list[float]) -> None:
    """One line of milliseconds."""
    ordered = sorted(late)
    weights = sorted((tick, max(tick, PERIOD)) for tick in late)
    total, passed, p99_of_time = sum(weight for _, weight in weights), 0.0, 0.0
    for tick, weight in weights:
        passed += weight
        if passed >= 0.99 * total:
            p99_of_time = tick
            break
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(
        f"{title:<12} {len(late):>5} ticks, late by p50 {p50 * 1e3:6.2f} ms, "
        f"p99 {p99 * 1e3:6.2f} ms, "
        f"p99 of the time {p99_of_time * 1e3:6.2f} ms, max {ordered[-1] * 1e3:6.2f} ms"
    )


async def main(tasks: int, scale: float, seconds: float, store: Path | None) -> None:
    """Measure the peer, then the engine."""
    describe("no tasks", await ticks(min(seconds, 3.0)))
    boxes = [gen_task(n, scale=scale, rng=random.Random(n)) for n in range(tasks)]
    with trio.move_on_after(seconds + 5):
        async with Engine(store, grace=0.5) as engine:
            began = time.perf_counter()
            for box in boxes:
                engine.submit_nowait(box)
            print(f"{tasks:,} submissions took {time.perf_counter() - began:.3f} s in all")
            await trio.lowlevel.checkpoint()
            describe("with tasks", await ticks(seconds))
            counts = {str(state): count for state, count in engine.counts().items() if count}
            print(f"after {seconds:g} s: {counts}, {engine.statistics().polls:,} looks")
            await engine.drain(0)


if __name__ == "__main__":
    given = sys.argv[1:]
    trio.run(
        main,
        int(given[0]) if given else 10_000,
        float(given[1]) if len(given) > 1 else 0.05,
        float(given[2]) if len(given) > 2 else 10.0,
        Path(given[3]) if len(given) > 3 else None,
    )
