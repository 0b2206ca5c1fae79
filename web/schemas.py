"""Shapes of the JSON that comes in and goes out; the OpenAPI document is made of them.

What comes in is decoded by these types. What goes out is built by the functions of the engine that
the command line uses as well; a test holds it against the types here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from engine import Effect, Mode, OutputMark, Rung, State, Why

from .problems import ProblemDocument

_TEXT: Final = 1_000
_TAGS: Final = 64
BATCH: Final = 10_000
"""Tasks in a batch."""
WAIT: Final = 60
"""Seconds that a request may ask to wait."""
_INTEGERS: Final = 2**53
"""Beyond this a reader that has only doubles rounds."""

Moment: TypeAlias = Annotated[
    str, Meta(description="RFC 3339, in UTC.", extra_json_schema={"format": "date-time"})
]
Milliseconds: TypeAlias = Annotated[float, Meta(description="Milliseconds.")]
Duration: TypeAlias = Annotated[
    float, Meta(ge=0, le=_INTEGERS, description="Milliseconds from now, or from the start.")
]
Text: TypeAlias = Annotated[str, Meta(max_length=_TEXT)]

# -- what comes in -------------------------------------------------------------------------------


class SubmitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A task of a registered kind."""

    kind: Annotated[
        str, Meta(min_length=1, max_length=80, description="One of the names in /v1/kinds.")
    ]
    arguments: Annotated[dict[str, Any], Meta(description="As the kind's schema says.")] = {}
    name: Annotated[Text | None, Meta(description="For people; the kind when left out.")] = None
    key: Annotated[Text | None, Meta(description="Groups tasks that belong together.")] = None
    priority: Annotated[
        int, Meta(ge=-_INTEGERS, le=_INTEGERS, description="Higher starts first.")
    ] = 0
    tags: Annotated[list[Text], Meta(max_length=_TAGS)] = []
    timeout_ms: Annotated[
        Duration | None, Meta(description="What one attempt may take, from its start.")
    ] = None
    deadline_ms: Annotated[
        Duration | None, Meta(description="From now until it is over, whatever was tried.")
    ] = None
    start_by_ms: Annotated[
        Duration | None, Meta(description="From now until it must have started.")
    ] = None
    not_before: Annotated[
        Annotated[datetime, Meta(tz=True)] | None,
        Meta(description="It does not start before this time; RFC 3339 with its offset."),
    ] = None
    attempts: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=_INTEGERS,
                description="How often it may be begun in all; the kind's own when left out.",
            ),
        ]
        | None
    ) = None
    unique_key: Annotated[
        Text | None,
        Meta(description="Idempotency key: submitting it again gives the same task."),
    ] = None


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tasks of registered kinds; each is checked by itself."""

    tasks: Annotated[list[Any], Meta(max_length=BATCH)]


class ShownBatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tasks of registered kinds, each with options of its own."""

    tasks: Annotated[list[SubmitBody], Meta(max_length=BATCH)]


class BatchQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Together or one by one."""

    atomic: Annotated[bool, Meta(description="Take all of them in, or none.")] = False


class TaskQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether to wait for news of it."""

    wait: Annotated[
        float, Meta(ge=0, le=WAIT, description="Seconds to wait until it has moved.")
    ] = 0
    since: Annotated[
        str | None,
        Meta(description="A task's `revision` or an event's `id`: what has moved since is news."),
    ] = None


class EventQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From where on."""

    since: Annotated[
        str | None,
        Meta(description="The `id` of the last event seen; empty for the oldest that is kept."),
    ] = None


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; it stays with the task."""

    reason: Text | None = None


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which tasks, and how many of them."""

    q: Annotated[
        str, Meta(description="Terms that must all hold, such as `state:failed,lost age>5m name`.")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="Tasks on a page.")] = 50
    cursor: Annotated[
        str | None, Meta(description="Where the last page ended; opaque, from its `next`.")
    ] = None
    count: Annotated[
        Literal["exact"] | None, Meta(description="Count all that match; may read every task.")
    ] = None


# -- what goes out -------------------------------------------------------------------------------


class TaskError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bounded, printable copy of an exception."""

    type: str
    message: str
    traceback: str
    notes: list[str]
    causes: list[TaskError]
    members: list[TaskError]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is known of one task at one moment."""

    id: int
    state: State
    mode: Mode
    mode_guessed: bool
    shown_mode: str
    kind: str
    name: str
    key: str | None
    priority: int
    tags: list[str]
    unique_key: str | None
    parent: int | None
    retry_of: int | None
    held: bool
    not_before: Moment | None
    start_by: Moment | None
    timeout_ms: Milliseconds | None
    deadline: Moment | None
    attempts: Annotated[int, Meta(description="Begun so far.")]
    attempts_allowed: int
    crashes: int
    effect: Effect
    recoverable: bool
    arguments: Any
    handle: Any
    revision: Annotated[str, Meta(description="epoch.revision of the last move; its ETag too.")]
    submitted_at: Moment
    changed_at: Moment
    started_at: Moment | None
    polling_at: Moment | None
    finished_at: Moment | None
    age_ms: Milliseconds
    duration_ms: Milliseconds | None
    polls: int
    next_poll_at: Moment | None
    unready_for_ms: Milliseconds | None
    lag_ms: Annotated[
        tuple[float, float] | None,
        Meta(description="Bounds of the time from the output's being there to its being found."),
    ]
    failed_looks: int
    why: Why | None
    rung: Rung | None
    reason: str | None
    error: TaskError | None
    late: str | None
    output_mark: OutputMark | None
    checksum: int | None
    schema_version: int


class TaskList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A page of tasks, newest first."""

    tasks: list[Task]
    next: Annotated[str | None, Meta(description="The cursor of the next page.")]
    count: Annotated[
        int | msgspec.UnsetType, Meta(description="All that match; with count=exact only.")
    ] = msgspec.UNSET


class BatchAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What became of one task of a batch."""

    status: Annotated[int, Meta(description="What a submission of its own would have answered.")]
    id: Annotated[int | msgspec.UnsetType, Meta(description="The task, if it is taken in.")] = (
        msgspec.UNSET
    )
    replayed: Annotated[
        bool, Meta(description="Its unique_key was known: this is the task of the first time.")
    ] = False
    problem: Annotated[
        ProblemDocument | msgspec.UnsetType, Meta(description="Why it is not taken in.")
    ] = msgspec.UNSET


class BatchAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a batch, in its order."""

    results: list[BatchAnswer]
    accepted: Annotated[int, Meta(description="Taken in, replayed ones included.")]
    refused: int


class Cancelled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cancel really did."""

    rung: Annotated[Rung, Meta(description="How far it had to go.")]
    task: Annotated[Task, Meta(description="As it is after it.")]


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tasks in each state."""

    waiting: int
    queued: int
    running: int
    polling: int
    cancelling: int
    succeeded: int
    failed: int
    cancelled: int
    timed_out: int
    lost: int


class Stats(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An engine's figures."""

    epoch: int
    started_at: Moment
    uptime_ms: Milliseconds
    counts: Counts
    live: int
    live_limit: int
    capacity: int
    slots_taken: int
    threads_busy: int
    poll_capacity: int
    looks_busy: int
    coroutines: int
    attempts: int
    polls: int
    submitted: int
    finished: int
    stranded: int
    zombies: int
    revision: str
    durable_revision: str
    backlog: int
    ids_reserved: int
    draining: bool


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of task that can be submitted."""

    name: str
    arguments: Annotated[dict[str, Any], Meta(description="JSON Schema (2020-12).")]


class KindList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All kinds, by name."""

    kinds: list[Kind]


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word on how it stands."""

    status: str


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which creche this is."""

    name: str
    version: str
    api: str
    epoch: Annotated[int, Meta(description="Which life of the store.")]
