"""What can go wrong, one small class a situation.

`CrecheError` is the common base. The classes below `TaskEnded` are raised by ``result()``: they
say how a task ended without an output. The others refuse a request and have changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import ErrorInfo, State, TaskSnapshot


class CrecheError(Exception):
    """Base of everything that this package raises on purpose."""


# -- how a task ended without an output ----------------------------------------------------------


class TaskEnded(CrecheError):
    """A task has ended, or has to end, without an output."""

    def __init__(self, snapshot: TaskSnapshot, *, body_alive: bool = False) -> None:
        self.snapshot = snapshot
        self.task_id = snapshot.id
        self.body_alive = body_alive
        super().__init__(self._sentence())

    @property
    def error(self) -> ErrorInfo | None:
        """The task's own last error, where there was one."""
        return self.snapshot.error

    def _sentence(self) -> str:
        task = self.snapshot
        words = f"task {task.id} ({task.name or task.kind}) {self._verb()}"
        if task.error is not None:
            words += f": {task.error.type}: {task.error.message[:500]}"
        elif task.reason:
            words += f": {task.reason}"
        if self.body_alive:
            words += " (its body is still alive and holds its slot until it ends)"
        return words

    def _verb(self) -> str:
        return "ended"


class TaskFailed(TaskEnded):
    """Its body raised, or gave nothing that could be taken; ``__cause__`` is the exception
    itself where it is still in memory."""

    def _verb(self) -> str:
        return "failed"


class TaskCancelled(TaskEnded):
    """It was cancelled; with ``body_alive`` its code may still act in this process."""

    def _verb(self) -> str:
        return "was cancelled"


class TaskTimedOut(TaskEnded):
    """An attempt's timeout, the deadline or the start-by time has passed."""

    def _verb(self) -> str:
        return "timed out"


class TaskLost(TaskEnded):
    """The process that held it died, and the work cannot be found or must not run again."""

    def _verb(self) -> str:
        return "was lost"


# -- requests that are refused -------------------------------------------------------------------


class TaskNotFound(CrecheError):
    """No task of this id exists (any more)."""

    def __init__(self, task_id: int) -> None:
        self.task_id = task_id
        super().__init__(f"no task {task_id}; it was never accepted here, or retention deleted it")


class TaskNotInMemory(CrecheError):
    """The task has ended long ago and is only in the file."""

    def __init__(self, task_id: int) -> None:
        self.task_id = task_id
        super().__init__(
            f"task {task_id} is no longer in memory: use 'await engine.get({task_id})'"
        )


class OutputNotKept(CrecheError):
    """The task succeeded, but its output is gone: it could not be stored, or was dropped."""

    def __init__(self, task_id: int, why: str) -> None:
        self.task_id = task_id
        super().__init__(f"task {task_id} succeeded, but its output was not kept: {why}")


class OutputNotReady(CrecheError):
    """The task has not ended yet."""

    def __init__(self, snapshot: TaskSnapshot) -> None:
        self.snapshot = snapshot
        super().__init__(f"task {snapshot.id} is {snapshot.state}: its output is not there yet")


class EngineClosed(CrecheError):
    """The engine is not open (yet), drains, or has been left."""

    def __init__(self, what: str = "the engine is not open") -> None:
        super().__init__(f"{what}: submit inside 'async with Engine()'")


class WrongThread(CrecheError, RuntimeError):
    """The engine was told to act from a thread that is not its own."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        super().__init__(
            f"{verb}() was called in another thread than the engine's: "
            f"use trio.from_thread.run_sync(engine.{verb}, …)"
        )


class QueueFull(CrecheError):
    """As many tasks are live as the engine admits."""

    def __init__(self, live: int, limit: int) -> None:
        self.live = live
        self.limit = limit
        super().__init__(
            f"{live} tasks are live, the limit is {limit}: submit again when some ended"
        )


class NotATask(CrecheError, TypeError):
    """The object cannot be minded: it has no way to be run."""


class BadOption(CrecheError, ValueError):
    """An argument of submit() or of the engine is outside what is possible."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.option = option
        self.value = value
        super().__init__(f"{option}={value!r}: expected {expected}")


class KindNotFound(CrecheError):
    """No kind of this name is registered with the engine."""

    def __init__(self, kind: str, known: tuple[str, ...]) -> None:
        self.kind = kind
        self.known = known
        names = ", ".join(known) or "none"
        super().__init__(f"no kind {kind[:80]!r} is registered here (registered: {names})")


class KindExists(CrecheError):
    """A kind of this name is registered already."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"a kind {kind!r} is registered already: give the new one another name")


class BadArguments(CrecheError, ValueError):
    """The arguments do not fit the kind's schema."""

    def __init__(self, kind: str, problem: str) -> None:
        self.kind = kind
        self.problem = problem
        super().__init__(f"arguments of kind {kind!r}: {problem}")


class KeyReused(CrecheError):
    """The idempotency key belongs to a task that was submitted with another content."""

    def __init__(self, key: str, task_id: int | None) -> None:
        self.key = key
        self.task_id = task_id
        """None when it is used twice within one submission."""
        user = "another task of this submission" if task_id is None else f"task {task_id}"
        super().__init__(f"key {key[:80]!r} is used for {user} with other content: use a new key")


class BatchRefused(CrecheError):
    """Of orders that were to be taken in together some cannot be; none was."""

    def __init__(self, errors: Mapping[int, CrecheError]) -> None:
        self.errors = dict(errors)
        """What is wrong with each of these, by its place among the orders, from 0."""
        place, first = next(iter(self.errors.items()))
        super().__init__(
            f"none was submitted, {len(self.errors)} cannot be; first number {place}: {first}"
        )


class BadQuery(CrecheError, ValueError):
    """A query does not follow the grammar; ``start`` and ``end`` mark the bad part."""

    def __init__(self, text: str, start: int, end: int, problem: str) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.problem = problem
        super().__init__(f"{problem}: {text[start:end][:80]!r} at {start}")


class BadCadence(CrecheError):
    """A cadence has raised, or has given a delay that is none; the task that it was asked for has
    failed."""

    def __init__(self, verb: str, problem: str) -> None:
        self.verb = verb
        self.problem = problem
        super().__init__(f"the task's cadence: {verb}() gave {problem}, not a number of seconds")


class IllegalMove(CrecheError):
    """A move that the table of transitions does not allow: a defect; nothing was changed."""

    def __init__(self, state: State | None, cause: str, facts: object) -> None:
        self.state = state
        self.cause = cause
        self.facts = facts
        super().__init__(f"no move from {state or 'nothing'} when {cause} ({facts})")


# -- the store -----------------------------------------------------------------------------------


class StoreError(CrecheError):
    """Base of what can be wrong with a store."""

    def __init__(self, path: Path | str, problem: str) -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class StoreInUse(StoreError):
    """Another engine holds the store."""

    def __init__(self, path: Path | str, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            path,
            f"an engine runs on this store already ({holder}); stop it, or use another --store",
        )


class StoreUnsafe(StoreError):
    """The file or its folder belongs to, or may be written by, somebody else."""


class StoreUnreadable(StoreError):
    """Not a store, damaged, or of another version."""


class StoreFailed(StoreError):
    """Writing failed: what was not acknowledged may be missing, and the engine has stopped."""


class StoreNotFound(StoreError):
    """There is no store at this place yet."""


# -- an engine in a thread of its own -------------------------------------------------------------


class WouldDeadlock(CrecheError, RuntimeError):
    """A portal was used on the thread of its own engine, which would wait for itself for ever."""

    def __init__(self) -> None:
        super().__init__(
            "this is the thread of the portal's own engine, which must not wait for itself: "
            "call it from another one, as with 'await trio.to_thread.run_sync(portal.submit, …)'"
        )


class UsedAfterFork(CrecheError, RuntimeError):
    """A portal was used in a process that was forked while it was open."""

    def __init__(self, owner: int) -> None:
        self.owner = owner
        """The process that has the engine."""
        super().__init__(
            f"the engine runs in process {owner}, and this one was forked from it: open a portal "
            "after the fork, or ask that process"
        )
