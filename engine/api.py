"""The seams: what one part of the engine may ask of another.

Each protocol here has one behavioural suite under ``tests/contract/`` that runs on every
implementation. Readers of the code find the parts of the engine by these names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import trio

    from .model import (
        Changes,
        ErrorInfo,
        Event,
        Mode,
        OutputMark,
        Owner,
        Page,
        Reset,
        State,
        TaskSnapshot,
    )
    from .query import Query

# -- the body seam: where a task's code lives ----------------------------------------------------


class Finished(NamedTuple):
    """The body gave its output; ``kept`` is what a store can keep of it, where there is a store."""

    output: object
    mode: Mode
    kept: KeptOutput | None = None


class Pending(NamedTuple):
    """The body has started its work, or was looked at, and there is no output yet."""

    mode: Mode
    guessed: bool
    handle: str | None = None


class Raised(NamedTuple):
    """The body raised. ``looking``: in a check_output() that may be asked again."""

    error: BaseException
    info: ErrorInfo
    mode: Mode
    looking: bool = False
    guessed: bool = False


class Withdrawn(NamedTuple):
    """The call was taken back before any of the body's code had run."""


Outcome: TypeAlias = Finished | Pending | Raised | Withdrawn
"""What came of one call of a body. An outcome is a value: a body never raises."""


class Body(Protocol):
    """One attempt's task object, in the one place where it lives.

    Calls never overlap. Everything that the task's code can do, raise and return arrives as an
    `Outcome`; only the engine's own cancellation passes through.
    """

    @property
    def alive(self) -> bool:
        """True while the task's own code is executing, and cannot be stopped by the engine."""
        ...

    async def run(self) -> Outcome:
        """Make the object if need be, call its run(), and settle its mode."""
        ...

    async def check_output(self) -> Outcome:
        """Look once; `Pending` when there is nothing yet."""
        ...

    @property
    def look_seconds(self) -> float:
        """How long the last check_output() took, without any waiting for a thread."""
        ...

    def stop(self) -> bool:
        """End what the engine can end: take back a call that no thread has begun, unwind a
        coroutine. True when nothing of the body is alive, False while some of it still is."""
        ...


class Executor(Protocol):
    """Opens bodies."""

    def open(self, recipe: Recipe) -> AbstractAsyncContextManager[Body]:
        """Open one attempt's body; leaving the block lets the object go."""
        ...

    def price(self, recipe: Recipe) -> int:
        """What starting this body will cost the loop, in tenths of starting a thread; at least 1.

        To be asked once, right before the body is opened.
        """
        ...


class Recipe(NamedTuple):
    """How to make a task's body: held in memory while the task is live, never stored."""

    make: Callable[[], object]
    """Gives the object, the callable or the coroutine function; called in the body's own thread."""
    mode: Mode
    """As declared; AUTO when nothing was."""
    reusable: bool
    """True when a second attempt is possible."""
    kind: str = ""
    """What its run() is timed under: tasks of one kind are expected to take alike."""
    asks: bool = False
    """True when the object is asked for its ``creche_mode`` once it is made."""


# -- the cadence seam: when to look --------------------------------------------------------------


class Ended(StrEnum):
    """How a stretch of polling came to its end, for a cadence that learns."""

    DONE = "done"
    FAILED = "failed"
    CENSORED = "censored"


class Track(Protocol):
    """The looks at one polling task. ``now`` is in seconds on any monotonic clock."""

    def next_delay(self, now: float, hints: Mapping[str, float] | None = None) -> float:
        """Seconds from ``now`` to the next look, never negative."""
        ...

    def ended(self, now: float, how: Ended | str) -> None:
        """The task needs no more looks."""
        ...


class Cadence(Protocol):
    """When to look at polling tasks."""

    def started(self, kind: str, now: float) -> Track:
        """A task of this kind has had its run() return at ``now``."""
        ...


@runtime_checkable
class MeasuresChecks(Protocol):
    """A cadence that also wants to know how long looks take."""

    def checked(self, kind: str, seconds: float) -> None:
        """One check_output() of this kind took so many seconds in its thread, the call alone."""
        ...


# -- the thread seam -----------------------------------------------------------------------------

_T = TypeVar("_T")


class RunSync(Protocol):
    """`trio.to_thread.run_sync`, or a stand-in that keeps virtual time.

    A stand-in may have an async method ``stall(seconds)`` that really takes that long, whatever its
    clock says; without it `trio.sleep` is taken.
    """

    def __call__(
        self,
        sync_fn: Callable[..., _T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = ...,
        abandon_on_cancel: bool = ...,
    ) -> Awaitable[_T]: ...


# -- the store seam ------------------------------------------------------------------------------


class KeptOutput(NamedTuple):
    """An output as the store can keep it."""

    text: str | None
    """Strict JSON; None when it cannot be kept."""
    mark: OutputMark
    checksum: int | None


class Entry(NamedTuple):
    """One recorded move on its way to the disk: full row, event, and the output if it has one."""

    snapshot: TaskSnapshot
    event: Event
    output: str | None = None


class Recovered(NamedTuple):
    """What a journal found when it was opened."""

    epoch: int
    """The epoch of this opening: one more than the last."""
    next_id: int
    """The first id that was never used."""
    unfinished: Sequence[TaskSnapshot]
    """Rows that were live when the last engine ended, in order of id."""
    counts: Mapping[State, int]
    """Rows a state, the unfinished ones included."""
    clean: bool
    """True when the last engine closed in good order."""


class Journal(Protocol):
    """Makes recorded moves durable, in order, in groups.

    ``put`` and ``sample`` are called on the loop's thread only and never wait. After an error
    nothing is written any more: ``run`` raises `StoreFailed`, and what was put and not reported as
    committed must count as lost.
    """

    recovered: Recovered

    def put(self, entry: Entry) -> None:
        """Take one move; revisions come in ascending order without a gap."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """What is put inside goes into one transaction, whatever its size."""
        ...

    def sample(self, snapshot: TaskSnapshot) -> None:
        """Take a newer row of a live task that has not moved (polls made, next look)."""
        ...

    def reserve_ids(self, below: int) -> None:
        """Make durable that ids below this one may be in use; reported by `ids_reserved`."""
        ...

    @property
    def ids_reserved(self) -> int:
        """Ids below this one may be given out."""
        ...

    def announce(self, endpoint: str | None) -> None:
        """Write the control socket's path into the owner row."""
        ...

    async def run(self, committed: Callable[[int], None]) -> None:
        """Write until `close`; calls ``committed(revision)`` on the loop's thread after each commit
        with the last revision in it."""
        ...

    def close(self, next_id: int) -> None:
        """Let `run` write what it has, give unused ids back, mark a clean end, and return."""
        ...

    def find_unique(self, key: str) -> TaskSnapshot | None:
        """The task of an idempotency key that is no longer in memory, read from the disk."""
        ...

    def reader(self) -> Reader | None:
        """A reader of all that is committed, for what memory no longer holds; None when nothing is
        kept beyond memory. To be used in a thread: it reads a disk."""
        ...


# -- the reader seam -----------------------------------------------------------------------------


class Reader(Protocol):
    """Reads a store, from inside its engine's process or from any other.

    Every call is synchronous and bounded; it sees committed final states only.
    """

    def get(self, task_id: int) -> TaskSnapshot:
        """The task; raises TaskNotFound."""
        ...

    def page(self, query: Query, *, after: int | None = None, limit: int = 50) -> Page:
        """Matching tasks with ids below ``after`` (None: from the newest), newest first."""
        ...

    def counts(self) -> dict[State, int]:
        """Tasks a state, every state present. O(states)."""
        ...

    def cursor(self) -> str:
        """The newest published revision; "" before the first."""
        ...

    def changes(self, since: str, *, limit: int = 1000) -> Changes:
        """The tasks that moved after the cursor ``since``, each once."""
        ...

    def events(self, since: str, *, limit: int = 1000) -> Sequence[Event | Reset]:
        """Events after the cursor ``since`` ("": from the oldest kept), in order; a `Reset` comes
        first where some are no longer kept."""
        ...

    def output(self, task_id: int) -> str:
        """The output's JSON text.

        Raises TaskNotFound; OutputNotReady while the task is live; TaskEnded when it ended without
        an output; OutputNotKept; StoreUnreadable when the stored text is damaged.
        """
        ...

    def owner(self) -> Owner | None:
        """Who runs the store's engine; None where nobody ever did (in memory)."""
        ...

    def close(self) -> None:
        """Let go of the store; further calls raise."""
        ...
