"""What can happen to a task, in words: the vocabulary of the table in `transitions`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .model import State, Why


class Cause(StrEnum):
    """What happened to a task."""

    SUBMITTED = "submitted"
    DUE = "due"
    """Its not-before time, its pause or what it waited on is over."""
    ADMITTED = "admitted"
    """It got a slot; an attempt begins."""
    STARTED = "started"
    """run() has returned without an output."""
    OUTPUT = "output"
    """The output is in hand."""
    RAISED = "raised"
    """The attempt ended with an error."""
    STOPPED = "stopped"
    """It has to end: asked, or a time has passed; `Facts.why` says which."""
    BODY_ENDED = "body_ended"
    """The body that kept it `cancelling` has ended without an output."""
    BLOCKED = "blocked"
    """What it waited on did not succeed."""
    CRASHED = "crashed"
    """Its process died; seen at the next opening of the store."""
    QUARANTINED = "quarantined"
    """It is taken for the cause of crashes, or its row cannot be read."""


class Facts(NamedTuple):
    """What is true at the moment of a move."""

    body_alive: bool = False
    attempts_left: bool = False
    """For RAISED: also that the error may be retried."""
    why: Why | None = None
    """Why it has to end."""
    stopping_for: Why | None = None
    """Why a `cancelling` task already has to end."""
    deferred: bool = False
    """For SUBMITTED: it may not start yet."""
    recoverable: bool = False
    """The body can be made again from the row."""
    may_run_again: bool = True
    """False for at-most-once work that had started."""
    has_handle: bool = False
    """The running work can be found again."""


class Step(NamedTuple):
    """One row of the table, taken."""

    move: str
    target: State
