"""What the terminal's side asks of an engine that runs: live facts and commands.

Rows come from the store's file; everything here goes over the control socket, and is there only
while an engine is. `tui.control` implements it; tests bring their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from engine import CrecheError


class ControlUnreachable(CrecheError):
    """No engine answers at the endpoint: it has ended, hangs, or the path is stale."""

    def __init__(self, endpoint: str, problem: str) -> None:
        self.endpoint = endpoint
        self.problem = problem
        super().__init__(
            f"no engine answers at {endpoint}: {problem}; start it with 'creche serve'"
        )


class ControlRefused(CrecheError):
    """The engine answered, and said no: its problem document in words."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        super().__init__(detail or f"the engine refused ({status} {code})")


class Control(Protocol):
    """Asks one engine; every answer is the documented JSON of `engine.wire`.

    Each call has a time limit of its own and raises `ControlUnreachable` when no answer came, or
    `ControlRefused` when the answer was a problem document.
    """

    async def stats(self) -> dict[str, object]:
        """The engine's statistics, as ``GET /v1/stats``."""
        ...

    async def task(self, task_id: int) -> dict[str, object]:
        """One task with what only memory knows, as ``GET /v1/tasks/{id}``."""
        ...

    async def cancel(self, task_id: int, reason: str | None = None) -> dict[str, object]:
        """Ask for a task's end; the answer names the rung that was reached."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection; further calls raise `ControlUnreachable`."""
        ...


Connect: TypeAlias = Callable[[str], Control]
"""Makes a `Control` for an endpoint, as an owner row names it; does not wait and does not raise."""
