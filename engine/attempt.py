"""One attempt of one task, from its slot to its outcome: the straight middle of the main path.

An attempt runs as one task of the nursery: open the body, run it, look until there is an output,
tell the store what came of it. Whoever wants it to end before (a cancel, a timeout, the end of
the engine) calls `stop`, which says at once whether something is still alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from .api import Ended, Finished, MeasuresChecks, Outcome, Pending, Raised, Withdrawn
from .model import Mode, State, Why
from .retry import is_fatal
from .store.state import Course, Live
from .transitions import Cause, Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from .admission import Pool
    from .api import Body, Cadence, Executor, Recipe, Track
    from .clock import Clock
    from .model import TaskSnapshot
    from .polls import Polls
    from .retry import Backoff
    from .store.state import StateStore

LOOKS_MAY_FAIL: Final = 5
"""So many looks in a row may raise before the attempt has failed."""
_FAILED_LOOK_SECONDS: Final = 0.1


class Surroundings(NamedTuple):
    """What every attempt of an engine works with."""

    store: StateStore
    clock: Clock
    executor: Executor
    polls: Polls
    backoff: Backoff
    release: Callable[[Attempt], None]
    """Called once, when the attempt needs its slot no more."""
    pause: Callable[[TaskSnapshot], None]
    """Called with the row of a task that now waits for a further attempt."""


class Attempt:
    """A started task. Made by the supervisor in the move that started it."""

    def __init__(
        self,
        row: TaskSnapshot,
        recipe: Recipe,
        cadence: Cadence,
        around: Surroundings,
        pool: Pool | None,
    ) -> None:
        self.task_id = row.id
        self.pool = pool
        """Where its slot belongs to; None when it has given it back."""
        self._number = row.attempts
        self._scope = trio.CancelScope()
        self.polls_made = row.polls
        self._row = row
        self._recipe = recipe
        self._cadence = cadence
        self._around = around
        self._measures = cadence if isinstance(cadence, MeasuresChecks) else None
        self._body: Body | None = None
        self._began = around.clock.now()
        self._over = False
        self._leaving = False
        self._unready_for: float | None = None

    @property
    def alive(self) -> bool:
        """True while the task's own code is executing."""
        return self._body is not None and self._body.alive

    def stop(self) -> bool:
        """End what can be ended. True when nothing is alive any more and the attempt is over;
        False when the task's code is still executing, and `mind` will conclude when it ends."""
        self._over = self._body is None or self._body.stop()
        if self._over:
            self._scope.cancel()
        return self._over

    def leave(self) -> None:
        """Look no more; a call that is executing may still come to its end. Records nothing."""
        self._leaving = True
        if self._around.store.head(self.task_id).state is State.POLLING:
            self.stop()

    async def mind(self) -> None:
        """Run the attempt to its end."""
        around = self._around
        with self._scope:
            if self._row.recoverable:
                # Should the process die, the next one must know that this one had begun.
                await around.store.durable(self._row.revision)
            async with around.executor.open(self._recipe) as self._body:
                outcome = await self._body.run()
                around.release(self)
                if self._wants_looks(outcome):
                    outcome = await self._poll(outcome)
                self._conclude(outcome)

    def _wants_looks(self, outcome: Outcome) -> bool:
        if self._over or self._around.store.head(self.task_id).state is not State.RUNNING:
            return False
        if isinstance(outcome, Raised):
            return outcome.looking and not is_fatal(outcome.error)
        return isinstance(outcome, Pending)

    async def _poll(self, outcome: Outcome) -> Outcome:
        """Look until there is an outcome that ends the attempt."""
        around, body = self._around, self._body
        assert body is not None
        assert isinstance(outcome, (Pending, Raised))
        row = around.store.move(
            self.task_id,
            Cause.STARTED,
            mode=outcome.mode,
            mode_guessed=outcome.guessed,
            handle=outcome.handle if isinstance(outcome, Pending) else None,
            polling_at=around.clock.wall(),
        )
        if row.handle is not None and row.recoverable:
            await around.store.durable(row.revision)
        live = around.store.live[self.task_id] = Live(self.polls_made)
        if isinstance(outcome, Raised):
            live.failed_looks, live.error = 1, outcome.info
        track = self._cadence.started(row.kind, around.clock.now())
        how = Ended.CENSORED
        try:
            while not self._leaving:
                outcome = await self._look(body, track, live)
                if self._over or around.store.head(self.task_id).state is not State.POLLING:
                    return outcome
                match outcome:
                    case Pending():
                        live.failed_looks, live.error = 0, None
                    case Raised() if live.failed_looks + 1 < LOOKS_MAY_FAIL and not is_fatal(
                        outcome.error
                    ):
                        live.failed_looks, live.error = live.failed_looks + 1, outcome.info
                    case _:
                        how = Ended.DONE if isinstance(outcome, Finished) else Ended.FAILED
                        return outcome
            return Withdrawn()
        finally:
            track.ended(around.clock.now(), how)

    async def _look(self, body: Body, track: Track, live: Live) -> Outcome:
        clock = self._around.clock
        now = clock.now()
        delay = track.next_delay(now)
        if live.failed_looks:
            delay = max(delay, _FAILED_LOOK_SECONDS * 2**live.failed_looks)
        live.next_poll_at = clock.wall_of(now + delay)
        outcome = await self._around.polls.after(delay, body.check_output)
        live.polls = self.polls_made = live.polls + 1
        self._around.store.polls += 1
        live.next_poll_at = None
        if isinstance(outcome, Pending):
            live.unready_for = self._unready_for = now + delay - self._began
        if self._measures is not None:
            self._measures.checked(self._row.kind, body.look_seconds)
        return outcome

    # -- the outcome -----------------------------------------------------------------------------

    def _conclude(self, outcome: Outcome) -> None:
        """Record what came of the attempt, unless it was over before."""
        if self._over:
            return
        row = self._around.store.head(self.task_id)
        if row.state is State.CANCELLING:
            self._conclude_late(row, outcome)
        elif isinstance(outcome, Finished):
            self._succeed(outcome)
        elif isinstance(outcome, Raised):
            self._fail(row, outcome)

    def _succeed(self, outcome: Finished) -> None:
        store = self._around.store
        store.outputs.put(self.task_id, outcome.output)
        live = store.live.get(self.task_id)
        if live is not None:
            live.failed_looks, live.error = 0, None
        store.move(
            self.task_id,
            Cause.OUTPUT,
            Facts(why=store.head(self.task_id).why),
            kept=outcome.kept,
            mode=outcome.mode,
            mode_guessed=False,
            **self.times(),
        )

    def _fail(self, row: TaskSnapshot, outcome: Raised) -> None:
        store = self._around.store
        again = (
            row.attempts < row.attempts_allowed
            and self._recipe.reusable
            and not is_fatal(outcome.error)
        )
        store.live.pop(self.task_id, None)
        if again:
            self._pause(Cause.RAISED, Facts(attempts_left=True), outcome)
            return
        store.outputs.put(self.task_id, outcome.error)
        mode = outcome.mode if row.mode is Mode.AUTO else row.mode
        store.move(self.task_id, Cause.RAISED, error=outcome.info, mode=mode, **self.times())

    def _conclude_late(self, row: TaskSnapshot, outcome: Outcome) -> None:
        """The body has ended, of a task that had to end before."""
        store = self._around.store
        if isinstance(outcome, Finished) and row.why is Why.ASKED:
            self._succeed(outcome)
            return
        late = None
        if isinstance(outcome, Finished):
            late = "an output came after its time was over"
        elif isinstance(outcome, Raised):
            late = f"{outcome.info.type}: {outcome.info.message[:500]}"
        again = self._retries_after_timeout(row)
        if again:
            self._pause(Cause.BODY_ENDED, Facts(why=row.why, attempts_left=True), outcome)
        else:
            store.move(
                self.task_id, Cause.BODY_ENDED, Facts(why=row.why), late=late, **self.times()
            )

    def _retries_after_timeout(self, row: TaskSnapshot) -> bool:
        return (
            row.why is Why.ATTEMPT_TIMEOUT
            and row.attempts < row.attempts_allowed
            and self._recipe.reusable
        )

    def _pause(self, cause: Cause, facts: Facts, outcome: Outcome) -> None:
        around = self._around
        error = outcome.info if isinstance(outcome, Raised) else None
        due = around.clock.wall() + around.backoff.delay(self._number)
        around.pause(
            around.store.move(
                self.task_id, cause, facts, not_before=due, why=None, rung=None, error=error
            )
        )

    def times(self) -> Course:
        """What the last move of an attempt says of its course."""
        clock = self._around.clock
        return {
            "finished_at": clock.wall(),
            "duration": clock.now() - self._began,
            "polls": self.polls_made,
            "unready_for": self._unready_for,
        }
