"""Asks the engine to end tasks, one or many, and sums the answers up in words."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from engine import Rung

from .ports import ControlRefused, ControlUnreachable
from .text import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .link import Link

AT_ONCE: Final = 16
"""Questions under way at the same moment."""

WORDS: Final[Mapping[str, str]] = {
    Rung.DROPPED: "dropped before it started",
    Rung.STOPPED_LOOKING: "no longer looked at; its work may go on elsewhere",
    Rung.UNWOUND: "cancelled at a checkpoint",
    Rung.WAITING_FOR_BODY: "cancelling: a thread cannot be stopped, it ends with its call",
    Rung.ABANDONED: "abandoned while its call goes on",
    Rung.ALREADY_FINAL: "had ended already",
}
"""What each rung of the ladder means for the person who asked."""


class Told(NamedTuple):
    """What came of asking."""

    rungs: Mapping[str, int]
    failed: Mapping[int, str]
    """Tasks that the engine would not or could not cancel, and its words."""

    @property
    def sentence(self) -> str:
        """All of it in a line or two."""
        several = sum(self.rungs.values()) + len(self.failed) > 1
        said = [
            f"{count(n)} {WORDS.get(rung, rung)}" if several else WORDS.get(rung, rung)
            for rung, n in self.rungs.items()
        ]
        if self.failed:
            words = next(iter(self.failed.values()))
            said.append(f"{count(len(self.failed))} not cancelled: {words}" if several else words)
        return "\n".join(said)


async def cancel_all(
    link: Link, ids: Iterable[int], *, answered: Callable[[int], None], reason: str | None = None
) -> Told:
    """Ask for the end of tasks, some at a time, and wait for every answer.

    Args:
        link: The line to the engine.
        ids: The tasks.
        answered: Called with each task's id as soon as its answer is there, good or bad.
        reason: Words to be kept with the tasks.

    Returns:
        The answers; an engine that goes away meanwhile fails the tasks that are left.
    """
    rungs: Counter[str] = Counter()
    failed: dict[int, str] = {}
    waiting = iter(ids)

    async def ask() -> None:
        for task_id in waiting:
            try:
                answer = await link.cancel(task_id, reason)
            except (ControlUnreachable, ControlRefused) as error:
                failed[task_id] = str(error)
            else:
                rungs[str(answer.get("rung", "cancelled"))] += 1
            answered(task_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask())
    return Told(rungs, failed)
