"""The owner of the nursery: takes tasks in, and starts each when its turn has come.

Everything here runs on the loop's thread and is synchronous, but for the loops that `run` starts.
The journey of a task: `accept` → `_queue` → `_start` → its own `Attempt`. How it may have to end
before is in `cancellation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .admission import Admission
from .attempt import Attempt
from .cancellation import Cancellation
from .model import Mode, State, TaskSnapshot
from .moves import Cause
from .pauses import Pauses
from .polls import Polls
from .surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .api import Cadence, Executor, Recipe
    from .clock import Clock
    from .pools import Pool
    from .retry import Backoff
    from .store.state import StateStore
    from .submission import Submission

COROUTINES: Final = 10_000
"""Async functions that may run at once: they need no thread, only memory."""


class Supervisor:
    """Minds all tasks of one engine inside one nursery."""

    def __init__(
        self,
        nursery: trio.Nursery,
        store: StateStore,
        clock: Clock,
        executor: Executor,
        *,
        capacity: int,
        cadence: Cadence,
        backoff: Backoff,
    ) -> None:
        self.attempts: dict[int, Attempt] = {}
        self.stranded: set[int] = set()
        """Live rows that no registered kind fits: kept, and nothing can be done for them here."""
        self.admission = Admission(self._start)
        self.threads = self.admission.pool(capacity)
        self.coroutines = self.admission.pool(COROUTINES)
        self._nursery = nursery
        self._store = store
        self._clock = clock
        self._cadence = cadence
        self._recipes: dict[int, tuple[Recipe, Cadence | None]] = {}
        self._changed = trio.Event()
        pauses = Pauses(store, clock, backoff, self._queue)
        self._around = Surroundings(store, clock, executor, Polls(), pauses, self._release)
        self.cancellation = Cancellation(store, clock, pauses, self.attempts, self._due)
        store.listen(self._published)

    @trio.lowlevel.enable_ki_protection  # called in the user's frames; half a move breaks the rest
    def accept(self, submissions: Iterable[Submission]) -> list[TaskSnapshot]:
        """Take these in, all or none; a known idempotency key gives its task. Raises KeyReused."""
        submissions, find = list(submissions), self._store.unique.find
        self._store.unique.check(submission.draft for submission in submissions)
        with self._store.together():
            return [find(submitted.draft) or self._accept(submitted) for submitted in submissions]

    def _accept(self, submission: Submission) -> TaskSnapshot:
        row = self._store.accept(submission.draft)
        self.take(row, submission.recipe, submission.cadence)
        return row

    def take(self, row: TaskSnapshot, recipe: Recipe, cadence: Cadence | None) -> None:
        """Take a row over that the store has already."""
        self._recipes[row.id] = (recipe, cadence)
        self.cancellation.accepted(row)
        self._queue(row)

    def _queue(self, row: TaskSnapshot) -> None:
        """Put a ready task into its queue; set the timer of one that has to wait."""
        if row.state is State.WAITING:
            self.cancellation.waits(row)
        else:
            pool = self.coroutines if row.mode is Mode.ASYNC else self.threads
            self.admission.enqueue(pool, row.id, row.priority)

    def _due(self, row: TaskSnapshot) -> None:
        """What a task has waited for is there."""
        if self.admission.open:
            self._queue(self._store.move(row.id, Cause.DUE))

    def _start(self, task_id: int, pool: Pool) -> int:
        """Begin an attempt in a slot of this pool.

        Returns what that costs (`api.Executor.price`), 0 when the task is not queued any more.
        """
        row = self._store.known(task_id)
        if row is None or row.state is not State.QUEUED:
            return 0
        recipe, cadence = self._recipes[task_id]
        row = self._store.move(
            task_id,
            Cause.ADMITTED,
            attempts=row.attempts + 1,
            started_at=self._clock.wall(),
            polling_at=None,
            unready_for=None,
            failed_looks=0,
            error=None,
            reason=None,
        )
        attempt = Attempt(row, recipe, cadence or self._cadence, self._around, pool)
        self.attempts[task_id] = attempt
        self.cancellation.started(row)
        self._nursery.start_soon(self._mind, attempt, name=f"creche: task {task_id}")
        return self._around.executor.price(recipe)

    @trio.lowlevel.enable_ki_protection
    async def _mind(self, attempt: Attempt) -> None:
        try:
            await attempt.mind()
        finally:
            self._release(attempt)
            if self.attempts.get(attempt.task_id) is attempt:
                del self.attempts[attempt.task_id]
            self._ring()

    def _release(self, attempt: Attempt) -> None:
        if attempt.pool is not None:
            self.admission.release(attempt.pool)
            attempt.pool = None

    def _published(self, row: TaskSnapshot) -> None:
        if row.state.final:
            self._recipes.pop(row.id, None)
            self.stranded.discard(row.id)
            self._ring()

    def _ring(self) -> None:
        if not self.attempts or self._store.index.live <= len(self.stranded):
            self._changed.set()
            self._changed = trio.Event()

    async def all_final(self) -> None:
        """Wait until no task is live, but for those that nothing can be done for."""
        while self._store.index.live > len(self.stranded):
            await self._changed.wait()

    async def no_attempts(self) -> None:
        """Wait until no attempt is under way."""
        while self.attempts:
            await self._changed.wait()
