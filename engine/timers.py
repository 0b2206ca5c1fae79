"""All the moments at which something is over or due, on one heap with one sleeping task."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

import trio

_SLACK: Final = 1_000
_BATCH: Final = 500


class Due(StrEnum):
    """What a timer is for."""

    START = "start"
    """A waiting task may start."""
    START_BY = "start_by"
    ATTEMPT_TIMEOUT = "attempt_timeout"
    DEADLINE = "deadline"


class Timer(NamedTuple):
    """A moment (of `trio.current_time`), and what it is for."""

    moment: float
    task_id: int
    due: Due
    attempt: int


class Timers:
    """Calls ``fire(timer)`` for each timer when its moment comes.

    A timer is never taken back: whoever is called looks whether it still matters. Those of ended
    tasks are swept out when they become more than half of all.
    """

    def __init__(self, fire: Callable[[Timer], None], matters: Callable[[Timer], bool]) -> None:
        self._fire = fire
        self._matters = matters
        self._heap: list[Timer] = []
        self._sweep_at = _SLACK
        self._scope = trio.CancelScope()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, moment: float, task_id: int, due: Due, attempt: int = 0) -> None:
        """Set a timer; one in the past fires at the next opportunity."""
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._heap, Timer(moment, task_id, due, attempt))
        self._scope.deadline = min(self._scope.deadline, moment)

    def waiting_to_start(self) -> set[int]:
        """The tasks that wait for a time. O(timers)."""
        return {timer.task_id for timer in self._heap if timer.due is Due.START}

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            with trio.CancelScope(
                deadline=self._heap[0].moment if self._heap else math.inf
            ) as scope:
                self._scope = scope
                await trio.sleep_forever()
            for _ in range(_BATCH):
                if not self._heap or self._heap[0].moment > trio.current_time():
                    break
                self._fire(heapq.heappop(self._heap))

    def _sweep(self) -> None:
        self._heap = [timer for timer in self._heap if self._matters(timer)]
        heapq.heapify(self._heap)
        self._sweep_at = 2 * len(self._heap) + _SLACK
