"""The frozen values that everything else passes around.

A task is known to the outside by its `TaskSnapshot`: one immutable record, the same object for
the store, the readers and the caller. What happened to it is a list of `Event`s. Nothing here
awaits, opens or knows where it is kept.

Times named ``*_at`` are wall-clock seconds since the epoch (for people); durations are monotonic
seconds (for arithmetic). Identifiers grow in order of submission.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

SCHEMA_VERSION: Final = 1
"""Version of the task record, written into each row."""


class State(StrEnum):
    """Where a task is in its life; the legal moves are in `engine.transitions`."""

    WAITING = "waiting"
    """Not before a time, or between two attempts, or on another task."""
    QUEUED = "queued"
    """Ready, waits for a slot."""
    RUNNING = "running"
    """Its body holds a thread, a process or a coroutine."""
    POLLING = "polling"
    """run() has returned, the output is not there yet; looked at from time to time."""
    CANCELLING = "cancelling"
    """Must end, but a body that cannot be stopped from outside is still alive."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    """The process that held it died and the work cannot be found again."""

    @property
    def final(self) -> bool:
        """True for a state that never changes again."""
        return self in FINAL


FINAL: Final = frozenset(
    {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.TIMED_OUT, State.LOST}
)
LIVE: Final = frozenset(State) - FINAL


class Mode(StrEnum):
    """How a task's output is to be had."""

    AUTO = "auto"
    """Not known yet: settled by what run() and the first check_output() answer."""
    BLOCKING = "blocking"
    POLLING = "polling"
    ASYNC = "async"


class Effect(StrEnum):
    """What may be done with a task that had started when its process died."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Durability(StrEnum):
    """What an acknowledged write survives."""

    POWER = "power"
    """A loss of power: each group of writes is flushed to the disk."""
    PROCESS = "process"
    """The death of the process: writes are handed to the operating system."""
    NONE = "none"
    """Neither, for certain."""


class Why(StrEnum):
    """Why a task has to end before its body says so."""

    ASKED = "asked"
    ATTEMPT_TIMEOUT = "attempt_timeout"
    DEADLINE = "deadline"
    START_BY = "start_by"


class Rung(StrEnum):
    """How far up the ladder a cancel had to go: what really was done to the task."""

    DROPPED = "dropped"
    """It had not started; it never will."""
    STOPPED_LOOKING = "stopped_looking"
    """A polling task is no longer asked; the work it started may go on elsewhere."""
    UNWOUND = "unwound"
    """A coroutine was cancelled at a checkpoint."""
    WAITING_FOR_BODY = "waiting_for_body"
    """A call is in progress in a thread, which nothing can stop; the task ends with it."""
    ABANDONED = "abandoned"
    """The engine left while the call was still in progress."""
    ALREADY_FINAL = "already_final"
    """Nothing was left to cancel."""


class OutputMark(StrEnum):
    """What the store could keep of an output."""

    KEPT = "kept"
    CHANGED_BY_JSON = "changed_by_json"
    """Stored, but it does not come back equal (a tuple comes back as a list)."""
    NOT_SERIALISABLE = "not_serialisable"
    """Only in memory, and gone with the process."""
    TOO_LARGE = "too_large"
    """Over the cap; only in memory, and gone with the process."""


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bounded, printable copy of an exception; see `engine.envelope` for the bounds."""

    type: str
    message: str
    traceback: str = ""
    notes: tuple[str, ...] = ()
    causes: tuple[ErrorInfo, ...] = ()
    members: tuple[ErrorInfo, ...] = ()


class TaskSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True, array_like=True):
    """All that is known of one task at one moment. Immutable, safe to keep and to share.

    The order of the fields is the order of the columns in the store (`array_like`): add new ones
    at the end and raise `SCHEMA_VERSION`.
    """

    id: int
    state: State
    mode: Mode = Mode.AUTO
    mode_guessed: bool = False
    """True while an undeclared task is taken for a polling one (shown ``polling?``)."""
    kind: str = ""
    """The registered kind, else the qualified name of the class or function."""
    name: str = ""
    key: str | None = None
    """Tasks of one key belong together (a customer, a host)."""
    priority: int = 0
    """Higher starts first; equal ones in order of submission."""
    tags: tuple[str, ...] = ()
    unique_key: str | None = None
    """Idempotency key: one task a key, however often it is submitted."""
    parent: int | None = None
    retry_of: int | None = None
    held: bool = False
    not_before: float | None = None
    """Wall time before which it does not start (also the end of a pause between attempts)."""
    start_by: float | None = None
    """Wall time after which it does not start any more."""
    timeout: float | None = None
    """Seconds an attempt may take, counted from its start."""
    deadline: float | None = None
    """Wall time at which it is over, however many attempts are left."""
    attempts: int = 0
    """Attempts begun so far."""
    attempts_allowed: int = 1
    crashes: int = 0
    """Ends of the process seen while it was started, in a row."""
    effect: Effect = Effect.AT_LEAST_ONCE
    recoverable: bool = False
    """True for a registered kind: another process can make the body again from `arguments`."""
    arguments: str | None = None
    """JSON text; registered kinds only."""
    handle: str | None = None
    """JSON text: what a polling body needs to find its work again."""
    epoch: int = 0
    """Which life of the store made the last move."""
    revision: int = 0
    """Number of the last recorded move within its epoch."""
    submitted_at: float = 0.0
    changed_at: float = 0.0
    started_at: float | None = None
    """Start of the last attempt."""
    polling_at: float | None = None
    """When run() of the last attempt had returned without an output."""
    finished_at: float | None = None
    duration: float | None = None
    """Seconds from the start of the last attempt to its end."""
    polls: int = 0
    """Looks made after run(), over all attempts (look 0 is not counted)."""
    next_poll_at: float | None = None
    unready_for: float | None = None
    """Seconds from the attempt's start to the last look that found nothing: the output came
    between this moment and `duration`."""
    failed_looks: int = 0
    """check_output() calls that raised, in a row."""
    why: Why | None = None
    """Why it has to end, or had to; stays visible when it succeeded first."""
    rung: Rung | None = None
    reason: str | None = None
    """The words given with a cancel, or what the engine has to say of the last move."""
    error: ErrorInfo | None = None
    """Of the last attempt; while polling, of the last look that raised."""
    late: str | None = None
    """What a body had to say after its task had to end: an output or an error, in words."""
    output_mark: OutputMark | None = None
    checksum: int | None = None
    """CRC-32 of the stored output's JSON text."""
    schema_version: int = SCHEMA_VERSION

    @property
    def cursor(self) -> str:
        """The last move's id, ``epoch.revision``."""
        return f"{self.epoch}.{self.revision}"

    @property
    def shown_mode(self) -> str:
        """The mode for people: ``polling?`` while it is only a guess."""
        return f"{self.mode}?" if self.mode_guessed else str(self.mode)

    def age(self, now: float) -> float:
        """Seconds since submission at the wall time ``now`` (since its end, it does not grow)."""
        end = now if self.finished_at is None else self.finished_at
        return max(0.0, end - self.submitted_at)


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One recorded move of one task. Published only after its commit."""

    epoch: int
    revision: int
    task_id: int
    move: str
    """The row of the table of moves, ``T1`` … ``T17``."""
    previous: State | None
    state: State
    at: float
    attempt: int = 0
    reason: str | None = None

    @property
    def cursor(self) -> str:
        """``epoch.revision``: where to resume after this event."""
        return f"{self.epoch}.{self.revision}"


class Reset(msgspec.Struct, frozen=True):
    """In place of events that are no longer kept: read the state again, then go on from here."""

    cursor: str


class Page(msgspec.Struct, frozen=True):
    """Some tasks of a listing, newest first."""

    tasks: tuple[TaskSnapshot, ...]
    next_after: int | None
    """Pass it as ``after`` to go on; None at the end. May be set on a short or empty page: the
    work of one call is bounded, and a rare match can lie further on."""


class Changes(msgspec.Struct, frozen=True):
    """What moved since a cursor: the present snapshots, each task once."""

    tasks: tuple[TaskSnapshot, ...]
    cursor: str
    """Where to go on."""
    reset: bool = False
    """True when the cursor was too old or of another life: read the pages again."""
    more: bool = False
    """True when the limit cut the answer short: ask again at once."""


class Owner(msgspec.Struct, frozen=True):
    """Who runs, or last ran, the engine of a store."""

    pid: int
    epoch: int
    endpoint: str | None
    """Path of the control socket, None for an engine without one."""
    started_at: float
    clean: bool
    """True when that engine has closed the store in good order."""
    alive: bool
    """True while that engine holds the store."""
    version: str = ""


def parse_cursor(text: str) -> tuple[int, int]:
    """Split ``epoch.revision`` into its two numbers; "" is ``(0, 0)``, before everything.

    Raises ValueError when it is anything else.
    """
    if not text:
        return (0, 0)
    epoch, dot, revision = text.partition(".")
    if not (dot and epoch.isascii() and epoch.isdigit() and revision.isascii()):
        raise ValueError(f"not a cursor: {text[:40]!r} (expected epoch.revision)")
    if not revision.isdigit() or len(text) > 40:
        raise ValueError(f"not a cursor: {text[:40]!r} (expected epoch.revision)")
    return (int(epoch), int(revision))
