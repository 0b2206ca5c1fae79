"""The demo's server: what `creche demo` runs in a child of its own.

It ends with its parent, however that ends: the parent holds one end of a pipe, and the system
closes it even for a process that was killed.
"""

from __future__ import annotations

import contextlib
import random
import select
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from .serve import Endpoints, Settings, run

if TYPE_CHECKING:
    from engine import Engine

GRACE: Final = 1.0
"""Seconds that sample tasks, which only sleep, may go on after the demo was told to stop."""
_SEEDS: Final = 2**53
_AT_ONCE: Final = 1_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants; the child's only argument, as JSON."""

    store: str
    tasks: int
    scale: float
    seed: int
    lifeline: int
    """Descriptor of the pipe that the parent holds."""
    folder: str | None
    """What to remove when the parent is gone and cannot do it any more."""
    path: list[str]
    """The parent's ``sys.path``: the child runs the same code, from wherever that came."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The one line that the child writes to its stdout, as JSON."""

    control: str


def main(job: Job) -> int:
    """Serve the store with its sample tasks until told to stop; the child's whole life."""

    def ready(endpoints: Endpoints) -> None:
        line = msgspec.json.encode(Ready(control=endpoints.control)).decode()
        # A parent that died meanwhile is seen by the lifeline.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    async def begin(engine: Engine) -> None:
        await submit(engine, job)

    settings = Settings(store=Path(job.store), grace=GRACE, seed=job.seed)
    run(settings, ready=ready, begin=begin, lifeline=job.lifeline)
    if job.folder is not None and is_cut(job.lifeline):
        shutil.rmtree(job.folder, ignore_errors=True)
    return 0


async def submit(engine: Engine, job: Job) -> None:
    """Submit the sample tasks: all at once, but for a breath of the loop after every thousand."""
    import trio

    rng = random.Random(job.seed)
    for value in range(1, job.tasks + 1):
        arguments = {"value": value, "scale": job.scale, "seed": rng.randrange(_SEEDS)}
        engine.submit_nowait("sample", arguments=arguments, name=f"sample {value}")
        if value % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()


def is_cut(lifeline: int) -> bool:
    """True when nobody holds the other end of the pipe; nothing is ever written to it."""
    readable, _, _ = select.select([lifeline], [], [], 0)
    return bool(readable)
