"""Real stores for the command line to look at, made by a real engine that has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from engine import Engine

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;ZXZpbA==\x07",
    "[/] [@click=app.quit]x[/] [bold]",
    "\u202egnp.exe\u2066 \u200f\u200b",
    "\x9b2J\x85\x00\x7f\r\nnext line",
    "\ud7ff\ufeff\u2028\U000e0001",
)
"""Names that would steer a terminal, become markup, or turn a line around."""


class Answer:
    """A task that answers at once."""

    def __init__(self, output: object) -> None:
        self._output = output

    def run(self) -> None:
        pass

    def check_output(self) -> object:
        return self._output


class Failure:
    """A task that fails with these words."""

    def __init__(self, words: str) -> None:
        self._words = words

    def run(self) -> None:
        error = ValueError(self._words)
        error.add_note(self._words)
        raise error

    def check_output(self) -> None:
        return None


def make_store(path: Path, fill: Callable[[Engine], Awaitable[None]]) -> Path:
    """Fill a new store, wait for all of its tasks, and close it in good order."""

    async def main() -> None:
        async with Engine(path) as engine:
            await fill(engine)

    trio.run(main)
    return path


def mixed_store(path: Path) -> Path:
    """Three tasks: 1 has succeeded with 14, 2 has failed, 3 was cancelled for a reason."""

    async def fill(engine: Engine) -> None:
        await engine.wait([await engine.submit(Answer(14), name="answer", key="k", tags=["t"])])
        await engine.wait([await engine.submit(Failure("no luck"), name="failure")])
        later = await engine.submit(Answer(0), name="later", not_before=2e9)
        await engine.cancel(later, reason="not needed")

    return make_store(path, fill)


def hostile_store(path: Path) -> Path:
    """Tasks whose every text is hostile: names, keys, tags, outputs, errors and reasons."""

    async def fill(engine: Engine) -> None:
        for words in HOSTILE:
            task = await engine.submit(
                Answer({"words": words}), name=words, key=words, tags=[words]
            )
            failure = await engine.submit(Failure(words), name=words)
            await engine.wait([task, failure])
            later = await engine.submit(Answer(0), name=words, not_before=2e9)
            await engine.cancel(later, reason=words)

    return make_store(path, fill)
