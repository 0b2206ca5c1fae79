"""One attempt of one task, from its slot to its outcome: the straight middle of the main path.

An attempt runs as one task of the nursery: open the body, run it, look until there is an output,
tell the store what came of it. Whoever wants it to end before (a cancel, a timeout, the end of
the engine) calls `stop`, which says at once whether something is still alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from .api import Ended, Finished, Outcome, Pending, Raised, Withdrawn
from .envelope import envelope
from .errors import BadCadence
from .late import conclude_late
from .model import Mode, State, Why
from .moves import Cause, Facts
from .retry import is_fatal
from .store.changes import Course, Live

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api import Body, Cadence, Recipe, Track
    from .model import TaskSnapshot
    from .pools import Pool
    from .surroundings import Surroundings

LOOKS_MAY_FAIL: Final = 5
"""So many looks in a row may raise before the attempt has failed."""
_FAILED_LOOK_SECONDS: Final = 0.1


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
        self._row = row
        self._recipe = recipe
        self._cadence = cadence
        # Not isinstance: a protocol's takes longer than all the rest of this.
        self._checked: Callable[[str, float], None] | None = getattr(cadence, "checked", None)
        self._around = around
        self._scope = trio.CancelScope()
        self._body: Body | None = None
        self._began = around.clock.now()
        self.leaving = self._over = False  # leaving: set by whoever wants no more looks
        self._polls = row.polls
        self._unready_for: float | None = None

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
                if isinstance(outcome, (Pending, Raised)) and self._may_look(outcome):
                    try:
                        outcome = await self._look_until_there(outcome, self._body)
                    except BadCadence as error:
                        outcome = Raised(error, envelope(error), Mode.POLLING)
                if not self._over:
                    self._conclude(outcome)

    def stop(self) -> bool:
        """End what can be ended. True when nothing is alive any more and the attempt is over;
        False when the task's code is still executing, and `mind` will conclude when it ends."""
        self._over = self._body is None or self._body.stop()
        if self._over:
            self._scope.cancel()
        return self._over

    @property
    def alive(self) -> bool:
        """True while the task's own code is executing."""
        return self._body is not None and self._body.alive

    def course(self) -> Course:
        """What the attempt's last move says of it."""
        clock = self._around.clock
        return {
            "finished_at": clock.wall(),
            "duration": clock.now() - self._began,
            "polls": self._polls,
            "unready_for": self._unready_for,
        }

    def _may_look(self, outcome: Pending | Raised) -> bool:
        if self._over or self._around.store.head(self.task_id).state is not State.RUNNING:
            return False
        return isinstance(outcome, Pending) or (outcome.looking and not is_fatal(outcome.error))

    async def _look_until_there(self, first: Pending | Raised, body: Body) -> Outcome:
        """Look until there is an outcome that ends the attempt."""
        store, clock = self._around.store, self._around.clock
        row = store.move(
            self.task_id,
            Cause.STARTED,
            mode=first.mode,
            mode_guessed=first.guessed,
            handle=first.handle if isinstance(first, Pending) else None,
            polling_at=clock.wall(),
        )
        if row.handle is not None and row.recoverable:
            await store.durable(row.revision)
        live = store.live[self.task_id] = Live(self._polls)
        if isinstance(first, Raised):
            live.failed_looks, live.error = 1, first.info
        track = self._cadence.started(row.kind, clock.now())
        how = Ended.CENSORED
        try:
            while not self.leaving:
                outcome = await self._look(body, track, live)
                if self._over or store.head(self.task_id).state is not State.POLLING:
                    return outcome
                if not self._goes_on(outcome, live):
                    how = Ended.DONE if isinstance(outcome, Finished) else Ended.FAILED
                    return outcome
            return Withdrawn()
        finally:
            track.ended(clock.now(), how)

    async def _look(self, body: Body, track: Track, live: Live) -> Outcome:
        clock = self._around.clock
        now = clock.now()
        delay = track.next_delay(now)
        if live.failed_looks:
            delay = max(delay, _FAILED_LOOK_SECONDS * 2**live.failed_looks)
        live.next_poll_at = clock.wall_of(now + delay)
        outcome = await self._around.polls.after(delay, body.check_output)
        live.next_poll_at = None
        live.polls = self._polls = live.polls + 1
        self._around.store.polls += 1
        if isinstance(outcome, Pending):
            live.unready_for = self._unready_for = now + delay - self._began
        if self._checked is not None:
            self._checked(self._row.kind, body.look_seconds)
        return outcome

    def _goes_on(self, outcome: Outcome, live: Live) -> bool:
        """True when another look may bring the output."""
        if isinstance(outcome, Raised):
            live.failed_looks, live.error = live.failed_looks + 1, outcome.info
            return live.failed_looks < LOOKS_MAY_FAIL and not is_fatal(outcome.error)
        live.failed_looks, live.error = 0, None
        return isinstance(outcome, Pending)

    def _conclude(self, outcome: Outcome) -> None:
        """Record what came of the attempt."""
        row = self._around.store.head(self.task_id)
        if row.state is State.CANCELLING:
            if isinstance(outcome, Finished) and row.why is Why.ASKED:
                self._succeed(row, outcome)
            else:
                conclude_late(self._around, row, outcome, self.course())
        elif isinstance(outcome, Finished):
            self._succeed(row, outcome)
        elif isinstance(outcome, Raised):
            self._fail(row, outcome)

    def _succeed(self, row: TaskSnapshot, outcome: Finished) -> None:
        store = self._around.store
        store.outputs.put(row.id, outcome.output)
        store.move(
            row.id,
            Cause.OUTPUT,
            Facts(why=row.why),
            kept=outcome.kept,
            mode=outcome.mode,
            mode_guessed=False,
            **self.course(),
        )

    def _fail(self, row: TaskSnapshot, outcome: Raised) -> None:
        store = self._around.store
        if row.attempts < row.attempts_allowed and not is_fatal(outcome.error):
            facts = Facts(attempts_left=True)
            self._around.pauses.pause(
                row, Cause.RAISED, facts, polls=self._polls, error=outcome.info
            )
            return
        store.outputs.put(row.id, outcome.error)
        mode = outcome.mode if row.mode is Mode.AUTO else row.mode
        store.move(row.id, Cause.RAISED, mode=mode, error=outcome.info, **self.course())
