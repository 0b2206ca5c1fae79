"""Ending tasks before their time: asked for, or because a time has passed.

The ladder is climbed only as far as the task makes it necessary, and the answer names the rung:
what is queued is dropped; a polling task is not looked at any more; a coroutine is unwound; and for
a call that is executing in a thread there is nothing but to wait for its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

from .model import Mode, Rung, State, TaskSnapshot, Why
from .moves import Cause, Facts
from .timers import Due, Timer, Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .attempt import Attempt
    from .clock import Clock
    from .pauses import Pauses
    from .store.changes import Course
    from .store.state import StateStore

_WHY: Final = {
    Due.START_BY: Why.START_BY,
    Due.DEADLINE: Why.DEADLINE,
    Due.ATTEMPT_TIMEOUT: Why.ATTEMPT_TIMEOUT,
}
_EARLY_SECONDS: Final = 0.001
_REASONS: Final = {
    Why.START_BY: "it had not started in time",
    Why.DEADLINE: "its deadline has passed",
    Why.ATTEMPT_TIMEOUT: "the attempt took longer than its timeout",
}


class Cancellation:
    """Stops the tasks of one supervisor, and owns the timers that ask for it."""

    def __init__(
        self,
        store: StateStore,
        clock: Clock,
        pauses: Pauses,
        attempts: Mapping[int, Attempt],
        due: Callable[[TaskSnapshot], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._pauses = pauses
        self._attempts = attempts
        self._due = due
        self.timers = Timers(self._fire, self._matters)

    def accepted(self, row: TaskSnapshot) -> None:
        """Set the timers that run from a task's submission."""
        for wall, due in ((row.start_by, Due.START_BY), (row.deadline, Due.DEADLINE)):
            if wall is not None:
                self.timers.add(self._clock.moment_of(wall), row.id, due)

    def started(self, row: TaskSnapshot) -> None:
        """Set the timer that runs from an attempt's start."""
        if row.timeout is not None:
            moment = self._clock.now() + row.timeout
            self.timers.add(moment, row.id, Due.ATTEMPT_TIMEOUT, row.attempts)

    def waits(self, row: TaskSnapshot) -> None:
        """Set the timer of a task that may not start before some time."""
        moment = self._clock.moment_of(row.not_before or 0.0)
        self.timers.add(moment, row.id, Due.START, row.attempts)

    def stop(self, task_id: int, why: Why, reason: str | None) -> Rung:
        """End a task before its time, as far as that is possible; says how far that was.

        Raises TaskNotFound or TaskNotInMemory.
        """
        row = self._store.head(task_id)
        if row.state.final:
            return Rung.ALREADY_FINAL
        if row.state is State.CANCELLING:
            return self._stop_for_more(row, why, reason)
        attempt = self._attempts.get(task_id)
        if attempt is None or row.state in {State.WAITING, State.QUEUED}:
            return self._over(row, why, reason, Rung.DROPPED, finished_at=self._clock.wall())
        if attempt.stop():
            rung = Rung.STOPPED_LOOKING if row.state is State.POLLING else Rung.DROPPED
            return self._over(row, why, reason, rung, **attempt.course())
        rung = Rung.UNWOUND if row.mode is Mode.ASYNC else Rung.WAITING_FOR_BODY
        facts = Facts(body_alive=True, why=why)
        self._store.move(task_id, Cause.STOPPED, facts, why=why, reason=reason, rung=rung)
        return rung

    def _over(
        self,
        row: TaskSnapshot,
        why: Why,
        reason: str | None,
        rung: Rung,
        **course: Unpack[Course],
    ) -> Rung:
        """Nothing of the task is alive: it is over, or waits for another attempt."""
        if why is Why.ATTEMPT_TIMEOUT and row.attempts < row.attempts_allowed:
            facts = Facts(why=why, attempts_left=True)
            polls = course.get("polls", row.polls)
            self._pauses.pause(row, Cause.STOPPED, facts, polls=polls, reason=reason)
        else:
            facts = Facts(why=why)
            self._store.move(
                row.id, Cause.STOPPED, facts, why=why, reason=reason, rung=rung, **course
            )
        return rung

    def _stop_for_more(self, row: TaskSnapshot, why: Why, reason: str | None) -> Rung:
        """A task whose attempt has overstayed, and that shall have no other one either."""
        pending = row.why is Why.ATTEMPT_TIMEOUT and row.attempts < row.attempts_allowed
        if pending and why in {Why.ASKED, Why.DEADLINE}:
            facts = Facts(attempts_left=True, why=why, stopping_for=row.why)
            self._store.move(row.id, Cause.STOPPED, facts, why=why, reason=reason)
        return row.rung or Rung.WAITING_FOR_BODY

    # -- timers ------------------------------------------------------------------------------------

    def _fire(self, timer: Timer) -> None:
        if not self._matters(timer):
            return
        if timer.due is Due.START:
            self._fire_start(self._store.head(timer.task_id))
        else:
            why = _WHY[timer.due]
            self.stop(timer.task_id, why, _REASONS[why])

    def _fire_start(self, row: TaskSnapshot) -> None:
        if self._clock.wall() + _EARLY_SECONDS < (row.not_before or 0.0):
            self.waits(row)  # somebody has set the clock back
        else:
            self._due(row)

    def clock_was_set(self) -> None:
        """Not-before times are of the wall clock: set their timers anew. O(timers), and rare."""
        for task_id in self.timers.waiting_to_start():
            row = self._store.known(task_id)
            if row is not None and row.state is State.WAITING:
                self.waits(row)

    def _matters(self, timer: Timer) -> bool:
        row = self._store.known(timer.task_id)
        if row is None or row.state.final:
            return False
        match timer.due:
            case Due.START:
                return row.state is State.WAITING and row.attempts == timer.attempt
            case Due.START_BY:
                return row.attempts == 0
            case Due.ATTEMPT_TIMEOUT:
                started = row.state in {State.RUNNING, State.POLLING}
                return started and row.attempts == timer.attempt
            case Due.DEADLINE:
                return True
