"""Those who wait for tasks: told once, when a task is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from .model import State, Why

if TYPE_CHECKING:
    from .model import TaskSnapshot

_AT_ONCE: Final = 1_000
"""So many tasks are looked at before the loop gets its turn."""


def is_answered(row: TaskSnapshot) -> bool:
    """True when ``result()`` has an answer: the task is final, or certainly will not succeed in
    time (it must end, and only its body is still alive)."""
    if row.state is not State.CANCELLING:
        return row.state.final
    return row.why is not Why.ATTEMPT_TIMEOUT or row.attempts >= row.attempts_allowed


class Waiters:
    """Callbacks by task. Costs nothing for tasks that nobody waits for."""

    def __init__(self, answered: Callable[[int], bool]) -> None:
        self._answered = answered
        self._waiters: dict[int, list[Callable[[int], None]]] = {}
        self._closed = False

    def published(self, row: TaskSnapshot) -> None:
        """A move is visible: tell those whom it answers."""
        if row.id in self._waiters and is_answered(row):
            for told in self._waiters.pop(row.id):
                told(row.id)

    def close(self) -> None:
        """No more moves will come: tell everybody, and let nobody wait any more."""
        self._closed = True
        waiters, self._waiters = self._waiters, {}
        for task_id, told in waiters.items():
            for tell in told:
                tell(task_id)

    async def wait(self, ids: Iterable[int], note: Callable[[int], None] | None = None) -> None:
        """Wait until each of these tasks is answered, or `close` is called.

        ``note(task_id)`` is called at the very moment; when the waiter has its turn, the task may
        be further on.
        """
        missing = set(ids)
        all_told = trio.Event()

        def told(task_id: int) -> None:
            if note is not None:
                note(task_id)
            missing.discard(task_id)
            if not missing:
                all_told.set()

        mine: list[int] = []
        try:
            for number, task_id in enumerate(tuple(missing), start=1):
                if self._listen(task_id, told):
                    mine.append(task_id)
                if number % _AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
            if missing:
                await all_told.wait()
        finally:
            for task_id in mine:
                self._forget(task_id, told)

    async def arrivals(self, ids: Iterable[int]) -> Arrivals:
        """Each of these tasks once, as soon as it is answered or `close` is called."""
        arrivals = Arrivals(set(ids))
        for number, task_id in enumerate(tuple(arrivals.missing), start=1):
            self._listen(task_id, arrivals.told)
            if number % _AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return arrivals

    def _listen(self, task_id: int, told: Callable[[int], None]) -> bool:
        """Have ``told`` called once for this task: at once, and False, when it is answered."""
        if self._closed or self._answered(task_id):
            told(task_id)
            return False
        self._waiters.setdefault(task_id, []).append(told)
        return True

    def _forget(self, task_id: int, told: Callable[[int], None]) -> None:
        callbacks = self._waiters.get(task_id)
        if callbacks and told in callbacks:
            callbacks.remove(told)
            if not callbacks:
                del self._waiters[task_id]


class Arrivals:
    """Tasks in the order in which they are answered.

    No generator: one that is left before its end would have to be closed. These callbacks cost
    nothing but memory until their tasks are answered.
    """

    def __init__(self, missing: set[int]) -> None:
        self.missing = missing
        self._arrived: deque[int] = deque()
        self._bell = trio.Event()

    def told(self, task_id: int) -> None:
        """This task is answered."""
        self.missing.discard(task_id)
        self._arrived.append(task_id)
        self._bell.set()

    async def next(self) -> int | None:
        """The next task; None when all have come."""
        while not self._arrived:
            if not self.missing:
                return None
            self._bell = trio.Event()
            await self._bell.wait()
        return self._arrived.popleft()
