"""Kinds of one's own: tasks that can be submitted by name, from anywhere, and survive a crash.

Run it with ``python examples/own_kinds.py``, or serve its registry and submit from a shell:

    creche serve --app own_kinds:registry
    creche submit checksum text=hello
    creche submit countdown steps=3 --wait
"""

# ruff: noqa: INP001, T201 - a script, and what it prints is what it is for

from __future__ import annotations

import sys
import zlib
from typing import Annotated

import trio
from msgspec import Meta

from engine import Engine, Registry

registry = Registry()


@registry.kind("checksum", attempts=3)
def checksum(
    text: str, algorithm: Annotated[str, Meta(pattern="^(crc32|adler32)$")] = "crc32"
) -> int:
    """Check sum of a text."""
    data = text.encode()
    return zlib.crc32(data) if algorithm == "crc32" else zlib.adler32(data)


@registry.kind("countdown", key="clocks")
class Countdown:
    """Counts down, one step a look."""

    creche_mode = "polling"

    def __init__(self, steps: Annotated[int, Meta(ge=0, le=1_000)]) -> None:
        self._left = steps

    def run(self) -> None:
        """Nothing to start: each look is a step."""

    def check_output(self) -> str | None:
        """The word, when all steps are done."""
        self._left -= 1
        return "lift-off" if self._left < 0 else None


@registry.kind("greet", timeout=10, secret=("password",))
async def greet(user: str, password: Annotated[str, Meta(min_length=8)]) -> str:
    """Greet a user who has a password; async kinds run in the nursery, without a thread."""
    await trio.lowlevel.checkpoint()
    return f"{user} has a password of {len(password)} characters"


async def main() -> int:
    """Submit one task of each kind by name, and print what came of them."""
    async with Engine(kinds=registry) as engine:
        tasks = [
            await engine.submit("checksum", arguments={"text": "hello"}),
            await engine.submit("countdown", arguments={"steps": 3}),
            await engine.submit("greet", arguments={"user": "ada", "password": "correct horse"}),
        ]
        outputs = [await engine.result(task) for task in tasks]
        for task, output in zip(tasks, outputs, strict=True):
            row = engine.status(task)
            print(f"{row.kind} ({row.shown_mode}): {output}")
    right = [907_060_870, "lift-off", "ada has a password of 13 characters"]
    return 0 if outputs == right else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
