"""What changes of a row: with a recorded move, and in memory between two moves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

from msgspec.structs import replace

if TYPE_CHECKING:
    from ..model import ErrorInfo, Mode, OutputMark, Rung, TaskSnapshot, Why


class Course(TypedDict, total=False):
    """What a row says of an attempt's course."""

    duration: float | None
    finished_at: float | None
    polls: int
    unready_for: float | None


class Changes(Course, total=False):
    """The fields of a row that a move may change, besides its state."""

    attempts: int
    crashes: int
    error: ErrorInfo | None
    failed_looks: int
    handle: str | None
    late: str | None
    mode: Mode
    mode_guessed: bool
    next_poll_at: float | None
    not_before: float | None
    polling_at: float | None
    reason: str | None
    rung: Rung | None
    started_at: float | None
    why: Why | None
    output_mark: OutputMark | None
    checksum: int | None


class Live:
    """What only memory knows of a task that is being looked at; merged into its row on reading."""

    __slots__ = ("error", "failed_looks", "next_poll_at", "polls", "sampled_at", "unready_for")

    def __init__(self, polls: int) -> None:
        self.polls = polls
        self.next_poll_at: float | None = None
        self.unready_for: float | None = None
        self.failed_looks = 0
        self.sampled_at = -math.inf
        """When the row on disk was last brought up to these facts (monotonic)."""
        self.error: ErrorInfo | None = None

    def onto(self, row: TaskSnapshot) -> TaskSnapshot:
        """The row with these facts in it."""
        return replace(
            row,
            polls=self.polls,
            next_poll_at=self.next_poll_at,
            unready_for=self.unready_for,
            failed_looks=self.failed_looks,
            error=self.error,
        )
