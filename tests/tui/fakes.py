"""Stand-ins for the engine's side of the control socket."""

from __future__ import annotations

import asyncio

from tui.ports import ControlRefused, ControlUnreachable

STATS: dict[str, object] = {
    "slots_taken": 3,
    "capacity": 16,
    "zombies": 0,
    "draining": False,
    "uptime_ms": 125_000,
}


class FakeControl:
    """Answers as an engine would, and notes what it was asked."""

    def __init__(self, endpoint: str = "/run/fake.sock") -> None:
        self.endpoint = endpoint
        self.silent = False
        self.refused: dict[int, str] = {}
        self.rung = "stopped_looking"
        self.cancelled: list[tuple[int, str | None]] = []
        self.answered = asyncio.Event()
        self.closed = False
        self.tasks: dict[int, dict[str, object]] = {}
        self.facts: dict[str, object] = dict(STATS)

    async def stats(self) -> dict[str, object]:
        self.answered.set()
        self._answer()
        return self.facts

    async def task(self, task_id: int) -> dict[str, object]:
        self._answer()
        return self.tasks.get(task_id, {"id": task_id})

    async def cancel(self, task_id: int, reason: str | None = None) -> dict[str, object]:
        self._answer()
        if task_id in self.refused:
            raise ControlRefused(409, "conflict", self.refused[task_id])
        self.cancelled.append((task_id, reason))
        return {"task_id": task_id, "rung": self.rung}

    async def aclose(self) -> None:
        self.closed = True

    def _answer(self) -> None:
        if self.silent or self.closed:
            raise ControlUnreachable(self.endpoint, "connection refused")
