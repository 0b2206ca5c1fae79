"""The owner of the nursery: takes tasks in, starts them, and ends them when their time has come.

Everything here runs on the loop's thread and is synchronous, but for the loops that `run` starts.
The journey of a task through this file: `accept` → `_start` → its own `Attempt`, and `stop` at any
moment.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Unpack

import trio

from .admission import Admission, Pool
from .attempt import Attempt, Surroundings
from .errors import BadArguments, KeyReused, KindNotFound
from .model import Mode, Rung, State, TaskSnapshot, Why
from .polls import Polls
from .store.recovery import recover
from .submission import Submission, recipe_of
from .timers import Due, Timer, Timers
from .transitions import Cause, Facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .api import Cadence, Executor, Recipe
    from .clock import Clock
    from .kinds.registry import Registry
    from .retry import Backoff
    from .store.state import Course, StateStore

_log = logging.getLogger(__name__)

COROUTINES: Final = 10_000
"""Async functions that may run at once: they need no thread, only memory."""
_SAMPLE_SECONDS: Final = 5.0
_SAMPLES_PER_ROUND: Final = 1_000
_STOPS_PER_TICK: Final = 200

_STOP_OF_TIMER: Final = {
    Due.START_BY: Why.START_BY,
    Due.DEADLINE: Why.DEADLINE,
    Due.ATTEMPT_TIMEOUT: Why.ATTEMPT_TIMEOUT,
}
_REASONS: Final = {
    Why.START_BY: "it had not started in time",
    Why.DEADLINE: "its deadline has passed",
    Why.ATTEMPT_TIMEOUT: "the attempt took longer than its timeout",
}


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
        self._timers = Timers(self._time_is_over, self._timer_matters)
        self._around = Surroundings(
            store, clock, executor, Polls(), backoff, self._release, self._queue
        )
        self._changed = trio.Event()
        self._sampled = 0
        store.listen(self._published)

    def run(self) -> None:
        """Start the loops; they end with the nursery."""
        for loop in (self.admission.run, self._timers.run, self._keep_house):
            self._nursery.start_soon(loop, name=f"creche: {loop.__qualname__}")

    # -- in ----------------------------------------------------------------------------------------

    def accept(self, submissions: Iterable[Submission]) -> list[TaskSnapshot]:
        """Take new tasks in, all or none; they start as soon as they may and there is a slot.

        An idempotency key that is known gives the task it belongs to. Raises KeyReused.
        """
        submissions = list(submissions)
        for submission in submissions:
            self._known(submission)  # raises before anything is taken in
        return [self._known(submission) or self._accept(submission) for submission in submissions]

    def _known(self, submission: Submission) -> TaskSnapshot | None:
        draft = submission.draft
        if draft.unique_key is None:
            return None
        row = self._store.known_as(draft.unique_key)
        if row is not None and (row.kind, row.arguments) != (draft.kind, draft.arguments):
            raise KeyReused(draft.unique_key, row.id)
        return row

    def _accept(self, submission: Submission) -> TaskSnapshot:
        draft = submission.draft
        row = self._store.accept(draft, deferred=draft.not_before is not None)
        self._take(row, submission.recipe, submission.cadence)
        return row

    def recover(self, rows: Iterable[TaskSnapshot], kinds: Registry, *, clean: bool) -> None:
        """Take over what the last engine on this store has left."""
        for row in recover(self._store, rows, clean=clean):
            try:
                recipe = recipe_of(row, kinds)
            except (KindNotFound, BadArguments) as error:
                _log.warning("task %d stays %s: %s", row.id, row.state, error)
                self.stranded.add(row.id)
            else:
                self._take(row, recipe, None)

    def _take(self, row: TaskSnapshot, recipe: Recipe, cadence: Cadence | None) -> None:
        self._recipes[row.id] = (recipe, cadence)
        for wall, due in ((row.start_by, Due.START_BY), (row.deadline, Due.DEADLINE)):
            if wall is not None:
                self._timers.add(self._clock.moment_of(wall), row.id, due)
        self._queue(row)

    def _queue(self, row: TaskSnapshot) -> None:
        """Put a ready task into its queue; set the timer of one that has to wait."""
        if row.state is State.WAITING:
            moment = self._clock.moment_of(row.not_before or 0.0)
            self._timers.add(moment, row.id, Due.START, row.attempts)
        else:
            pool = self.coroutines if row.mode is Mode.ASYNC else self.threads
            self.admission.enqueue(pool, row.id, row.priority)

    # -- on ----------------------------------------------------------------------------------------

    def _start(self, task_id: int, pool: Pool) -> bool:
        """Begin an attempt in a slot of this pool; False when the task is not queued any more."""
        recipe, cadence = self._recipes.get(task_id, (None, None))
        if recipe is None:
            return False
        row = self._store.head(task_id)
        if row.state is not State.QUEUED:
            return False
        row = self._store.move(
            task_id,
            Cause.ADMITTED,
            attempts=row.attempts + 1,
            started_at=self._clock.wall(),
            polling_at=None,
            unready_for=None,
            reason=None,
        )
        attempt = Attempt(row, recipe, cadence or self._cadence, self._around, pool)
        self.attempts[task_id] = attempt
        if row.timeout is not None:
            moment = self._clock.now() + row.timeout
            self._timers.add(moment, task_id, Due.ATTEMPT_TIMEOUT, row.attempts)
        self._nursery.start_soon(self._mind, attempt, name=f"creche: task {task_id}")
        return True

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

    # -- out ---------------------------------------------------------------------------------------

    def stop(self, task_id: int, why: Why, reason: str | None) -> Rung:
        """End a task before its time, as far as that is possible; says how far that was.

        Raises TaskNotFound or TaskNotInMemory.
        """
        row = self._store.head(task_id)
        if row.state.final:
            return Rung.ALREADY_FINAL
        if row.state is State.CANCELLING:
            return self._stop_for_more(row, why, reason)
        attempt = self.attempts.get(task_id)
        if attempt is None:
            return self._record_stop(row, why, reason, Rung.DROPPED)
        if attempt.stop():
            polling = row.state is State.POLLING
            rung = Rung.STOPPED_LOOKING if polling else Rung.DROPPED
            return self._record_stop(row, why, reason, rung, **attempt.times())
        rung = Rung.UNWOUND if row.mode is Mode.ASYNC else Rung.WAITING_FOR_BODY
        self._store.move(
            task_id,
            Cause.STOPPED,
            Facts(body_alive=True, why=why),
            why=why,
            reason=reason,
            rung=rung,
        )
        return rung

    def _record_stop(
        self, row: TaskSnapshot, why: Why, reason: str | None, rung: Rung, **times: Unpack[Course]
    ) -> Rung:
        """Nothing of the task is alive: it is over, or waits for another attempt."""
        recipe, _ = self._recipes.get(row.id, (None, None))
        again = recipe is not None and recipe.reusable and row.attempts < row.attempts_allowed
        if why is Why.ATTEMPT_TIMEOUT and again:
            due = self._clock.wall() + self._around.backoff.delay(row.attempts)
            facts = Facts(why=why, attempts_left=True)
            self._queue(
                self._store.move(row.id, Cause.STOPPED, facts, not_before=due, reason=reason)
            )
        else:
            times.setdefault("finished_at", self._clock.wall())
            self._store.move(
                row.id, Cause.STOPPED, Facts(why=why), why=why, reason=reason, rung=rung, **times
            )
        return rung

    def _stop_for_more(self, row: TaskSnapshot, why: Why, reason: str | None) -> Rung:
        if row.why is Why.ATTEMPT_TIMEOUT and why in {Why.ASKED, Why.DEADLINE}:
            facts = Facts(body_alive=True, why=why, stopping_for=row.why)
            self._store.move(row.id, Cause.STOPPED, facts, why=why, reason=reason)
        return row.rung or Rung.WAITING_FOR_BODY

    def _time_is_over(self, timer: Timer) -> None:
        if not self._timer_matters(timer):
            return
        row = self._store.head(timer.task_id)
        if timer.due is not Due.START:
            why = _STOP_OF_TIMER[timer.due]
            self.stop(row.id, why, _REASONS[why])
        elif self.admission.open:
            self._queue(self._store.move(row.id, Cause.DUE))

    def _timer_matters(self, timer: Timer) -> bool:
        if timer.task_id not in self._recipes:
            return False
        row = self._store.head(timer.task_id)
        match timer.due:
            case Due.START:
                return row.state is State.WAITING and row.attempts == timer.attempt
            case Due.START_BY:
                return row.attempts == 0 and not row.state.final
            case Due.ATTEMPT_TIMEOUT:
                started = row.state in {State.RUNNING, State.POLLING}
                return started and row.attempts == timer.attempt
            case Due.DEADLINE:
                return not row.state.final

    def _published(self, row: TaskSnapshot) -> None:
        if row.state.final:
            self._recipes.pop(row.id, None)
            self._ring()

    def _ring(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # -- the end -----------------------------------------------------------------------------------

    async def all_final(self) -> None:
        """Wait until no task is live, but for those that nothing can be done for."""
        while self._store.index.live > len(self.stranded):
            await self._changed.wait()

    async def no_attempts(self) -> None:
        """Wait until no attempt is under way."""
        while self.attempts:
            await self._changed.wait()

    async def stop_all(self, reason: str) -> None:
        """Start nothing more, and cancel every task."""
        self.admission.open = False
        for number, task_id in enumerate(self._store.index.live_ids()):
            if task_id not in self.stranded:
                self.stop(task_id, Why.ASKED, reason)
            if number % _STOPS_PER_TICK == 0:
                await trio.lowlevel.checkpoint()

    def leave_all(self) -> None:
        """Start nothing more and look no more; what is in a thread may still come to its end.
        Rows stay as they are."""
        self.admission.open = False
        for attempt in list(self.attempts.values()):
            attempt.leave()

    def abandon_all(self) -> int:
        """Mark the tasks whose code is still executing; returns how many there are."""
        alive = [attempt for attempt in self.attempts.values() if attempt.alive]
        for attempt in alive:
            self._store.sample(attempt.task_id, rung=Rung.ABANDONED)
        return len(alive)

    async def _keep_house(self) -> None:
        """Let rows on disk catch up with polling tasks, and follow the system's clock."""
        while True:
            await trio.sleep(_SAMPLE_SECONDS)
            self._clock.check()
            polling = list(self._store.live)
            start = self._sampled if self._sampled < len(polling) else 0
            for task_id in polling[start : start + _SAMPLES_PER_ROUND]:
                self._store.sample(task_id)
            self._sampled = start + _SAMPLES_PER_ROUND
