"""What this package needs of an engine: the whole of it, and nothing more."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from engine import (
        CancelAnswer,
        CrecheError,
        EngineStatistics,
        Event,
        Order,
        Page,
        Reader,
        Receipt,
        Reset,
        State,
        TaskSnapshot,
    )


class KindsPort(Protocol):
    """The kinds that may be submitted by name."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        ...

    def schema(self, name: str) -> dict[str, Any]:
        """JSON Schema of a kind's arguments."""
        ...


class EnginePort(Protocol):
    """An open engine, as `engine.Engine` is one; see there for what each verb promises."""

    @property
    def kinds(self) -> KindsPort: ...

    @property
    def draining(self) -> bool: ...

    @property
    def store_path(self) -> Path | None: ...

    @property
    def epoch(self) -> int: ...

    async def submit_each(
        self, orders: Iterable[Order], /, *, atomic: bool = ...
    ) -> builtins.list[Receipt | CrecheError]: ...

    async def get(self, task_id: int, /) -> TaskSnapshot: ...

    async def wait(self, ids: Iterable[int], /) -> builtins.list[TaskSnapshot]: ...

    async def output_json(self, task_id: int, /) -> str: ...

    async def list(
        self, query: str = ..., /, *, after: int | None = ..., limit: int = ...
    ) -> Page: ...

    async def cancel(self, task_id: int, /, *, reason: str | None = ...) -> CancelAnswer: ...

    def events(self, since: str | None = ..., /) -> AsyncIterator[Event | Reset]: ...

    def reader(self) -> Reader: ...

    def counts(self) -> dict[State, int]: ...

    def statistics(self) -> EngineStatistics: ...

    def announce(self, endpoint: str | None, /) -> None: ...
