"""What `attempts` promises."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
import trio

from engine import BadOption, State, TaskFailed, TaskTimedOut
from engine.cadence import Fixed
from tests.contract.engines import Script, World, reaches

if TYPE_CHECKING:
    from trio.testing import MockClock


class Failing:
    """Raises these errors in turn, then gives its output."""

    def __init__(self, *errors: BaseException) -> None:
        self.calls = 0
        self._errors = errors

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= len(self._errors):
            raise self._errors[self.calls - 1]
        return "made it"


async def test_a_failed_attempt_is_followed_by_another(world: World, clock: MockClock) -> None:
    """An error that may pass costs one attempt; the last one's output is the task's."""
    body = Failing(OSError("one"), ValueError("two"))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, attempts=3)
        assert await engine.result(task_id) == "made it"
        row = engine.status(task_id)
        assert (row.state, row.attempts, row.error, row.why) == (State.SUCCEEDED, 3, None, None)


async def test_when_the_attempts_are_used_up_the_last_error_stays(
    world: World, clock: MockClock
) -> None:
    """After the last attempt the task has failed with that attempt's error."""
    body = Failing(OSError("one"), ValueError("two"), LookupError("three"))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, attempts=2)
        with pytest.raises(TaskFailed, match="ValueError: two") as caught:
            await engine.result(task_id)
        assert isinstance(caught.value.__cause__, ValueError)
        assert (body.calls, caught.value.snapshot.attempts) == (2, 2)


async def test_the_error_of_the_attempt_before_shows_in_the_pause_only(
    world: World, clock: MockClock
) -> None:
    """While a task waits for its next attempt its row says why, and when that will be."""
    body = Failing(OSError("one"))
    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, attempts=2)
        row = await reaches(engine, task_id, State.WAITING)
        assert row.error is not None
        assert (row.error.message, row.attempts) == ("one", 1)
        assert row.not_before is not None
        assert world.wall() - 1 < row.not_before <= world.wall() + 1
        await engine.result(task_id)
        row = engine.status(task_id)
        assert row.error is None
        assert row.started_at == pytest.approx(row.not_before)


@pytest.mark.parametrize(
    "error",
    [
        TypeError(),
        AttributeError(),
        NameError(),
        NotImplementedError(),
        RecursionError(),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        BaseException(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_fatal_error_is_not_tried_again(
    world: World, clock: MockClock, error: BaseException
) -> None:
    """What doing again cannot cure fails at once, however many attempts are left."""
    body = Failing(error, error)
    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, attempts=5)
        with pytest.raises(TaskFailed):
            await engine.result(task_id)
        assert (engine.status(task_id).attempts, body.calls) == (1, 1)


async def test_the_pauses_grow_with_full_jitter_up_to_their_cap(
    world: World, clock: MockClock
) -> None:
    """The wait before attempt n+1 is drawn from 0 to 2**(n-1) s, never beyond 300 s."""
    starts: list[float] = []

    async def body() -> None:
        starts.append(trio.current_time())
        raise OSError

    async with world.engine(rng=random.Random(3)) as engine:
        await engine.wait([engine.submit_nowait(body, attempts=40)])
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert len(pauses) == 39
    assert all(0 <= pause <= min(300, 2**n) for n, pause in enumerate(pauses))
    assert max(pauses) > 200
    assert len({round(pause, 6) for pause in pauses}) == 39


async def test_each_attempt_of_a_polling_task_begins_anew(world: World, clock: MockClock) -> None:
    """A polling attempt that used up its failing looks is followed by run() and fresh looks, and
    looks are counted over all attempts."""
    task = Script(None, *[OSError("look")] * 5)

    class Twice(Script):
        def run(self) -> object:
            answer = super().run()
            if self.runs == 2:
                self._looks = (None, None, "output")
            return answer

    task = Twice(None, *[OSError("look")] * 5)
    async with world.engine(cadence=Fixed(1)) as engine:
        task_id = engine.submit_nowait(task, attempts=2, reusable=True)
        assert await engine.result(task_id) == "output"
        row = engine.status(task_id)
        assert (task.runs, row.attempts, row.failed_looks, row.error) == (2, 2, 0, None)
        assert row.polls == 5 + 2


async def test_an_attempt_that_times_out_is_followed_by_another(
    world: World, clock: MockClock
) -> None:
    """An attempt's timeout costs one attempt, of a polling task and of a coroutine."""
    starts = []

    async def body() -> str:
        starts.append(1)
        if len(starts) < 3:
            await trio.sleep_forever()
        return "third"

    async with world.engine(cadence=Fixed(1)) as engine:
        first = engine.submit_nowait(body, attempts=3, timeout=5)
        second = engine.submit_nowait(Script(None), attempts=3, timeout=5.5, reusable=True)
        assert await engine.result(first) == "third"
        with pytest.raises(TaskTimedOut):
            await engine.result(second)
        assert (engine.status(second).attempts, engine.status(second).polls) == (3, 15)


async def test_a_live_object_has_one_attempt_unless_it_says_otherwise(
    world: World, clock: MockClock
) -> None:
    """More attempts than one need a class, a function, or an object that is `reusable`."""

    class Reusable(Script):
        reusable = True

    async with world.engine() as engine:
        with pytest.raises(BadOption, match="live object"):
            engine.submit_nowait(Script("x"), attempts=2)
        for task, options in [
            (Script("x"), {"reusable": True}),
            (Reusable("x"), {}),
            (Script, {}),
            (lambda: "x", {}),
        ]:
            engine.submit_nowait(task, attempts=2, **options)  # type: ignore[arg-type]
        with pytest.raises(BadOption):
            engine.submit_nowait(Reusable("x"), attempts=2, reusable=False)


async def test_an_attempt_that_fails_while_the_engine_is_full_waits_its_turn(
    world: World, clock: MockClock
) -> None:
    """A further attempt needs a slot like the first; it takes none while it pauses."""
    body = Failing(OSError(), OSError())
    async with world.engine(capacity=1) as engine:
        task_id = engine.submit_nowait(body, attempts=3)
        others = [engine.submit_nowait(lambda n=n: n) for n in range(20)]
        rows = await engine.wait(others)
        assert {row.state for row in rows} == {State.SUCCEEDED}
        assert await engine.result(task_id) == "made it"
