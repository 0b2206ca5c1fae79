"""What submit() and its twins promise."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import (
    BadArguments,
    BadOption,
    EngineClosed,
    KindNotFound,
    NotATask,
    QueueFull,
    State,
    TaskNotFound,
)
from tests.contract.engines import Gate, Script, World, one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock


async def test_a_submitted_task_runs_and_its_output_comes_back(
    world: World, clock: MockClock
) -> None:
    """The output of a plain function is the task's result."""
    async with world.engine() as engine:
        task_id = await engine.submit(lambda: {"answer": 42})
        assert await engine.result(task_id) == {"answer": 42}
        assert engine.status(task_id).state is State.SUCCEEDED


async def test_submit_nowait_takes_a_task_in_before_anything_runs(
    world: World, clock: MockClock
) -> None:
    """`submit_nowait` returns at once with a queued task; its body has not been called."""
    gate = Gate()
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate)
        row = engine.status(task_id)
        assert (row.state, row.attempts, gate.calls) == (State.QUEUED, 0, 0)
        gate.open.set()


async def test_ids_grow_in_order_of_submission(world: World, clock: MockClock) -> None:
    """Later submissions have higher ids, whichever verb takes them in."""
    async with world.engine() as engine:
        ids = [engine.submit_nowait(one), await engine.submit(one)]
        ids += await engine.submit_many([one, one])
        ids.append(engine.submit_nowait(one))
        assert sorted(set(ids)) == ids


async def test_submit_returns_when_the_task_is_durable(world: World, clock: MockClock) -> None:
    """After `await submit` the move that took the task in is committed."""
    async with world.engine() as engine:
        task_id = await engine.submit(one, not_before=world.wall() + 1)
        assert engine.statistics().durable_revision >= engine.status(task_id).revision
        other = engine.submit_nowait(one)
        if world.durable:
            assert engine.statistics().durable_revision < engine.status(other).revision


async def test_the_options_are_on_the_row(world: World, clock: MockClock) -> None:
    """What was said at submission can be read back."""
    async with world.engine() as engine:
        now = world.wall()
        task_id = await engine.submit(
            one,
            name="the name",
            key="reports",
            priority=-3,
            tags=["b", "a", "b"],
            timeout=5,
            deadline=60,
            start_by=30,
            not_before=now + 10,
            attempts=4,
            unique_key="only",
            parent=1,
            retry_of=1,
        )
        row = engine.status(task_id)
        assert (row.name, row.kind, row.key, row.priority) == ("the name", "one", "reports", -3)
        assert (row.tags, row.unique_key, row.parent, row.retry_of) == (("b", "a"), "only", 1, 1)
        assert (row.timeout, row.deadline, row.start_by) == (5.0, now + 60, now + 30)
        assert (row.not_before, row.attempts_allowed) == (now + 10, 4)
        assert (row.state, row.submitted_at) == (State.WAITING, now)


async def test_a_task_starts_at_its_not_before_time_and_no_sooner(
    world: World, clock: MockClock
) -> None:
    """`not_before` in the future makes a task wait until exactly then."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 3600)
        await trio.sleep(3599.9)
        assert engine.status(task_id).state is State.WAITING
        await engine.result(task_id)
        assert engine.status(task_id).started_at == pytest.approx(engine.status(1).not_before)


async def test_a_not_before_time_in_the_past_is_none(world: World, clock: MockClock) -> None:
    """`not_before` in the past, or now, does not delay a task."""
    async with world.engine() as engine:
        ids = [engine.submit_nowait(one, not_before=world.wall() - past) for past in (0, 1, 1e9)]
        assert [engine.status(task_id).state for task_id in ids] == [State.QUEUED] * 3


async def test_higher_priority_starts_first_and_equals_in_order(
    world: World, clock: MockClock
) -> None:
    """Waiting for one slot, tasks start by priority, then in order of submission."""
    gate, order, lock = Gate(), [], threading.Lock()

    def noted(name: str) -> None:
        with lock:
            order.append(name)

    async with world.engine(capacity=1) as engine:
        engine.submit_nowait(gate)
        await world.until(gate.begun)
        for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)]:
            engine.submit_nowait(lambda name=name: noted(name), priority=priority)
        gate.open.set()
    assert order == ["b", "e", "a", "c", "d"]


async def test_submit_many_takes_all_in_with_one_set_of_options(
    world: World, clock: MockClock
) -> None:
    """Every task of a batch gets the options, and its own id in order."""
    async with world.engine() as engine:
        ids = await engine.submit_many([lambda n=n: n for n in range(2_500)], key="batch")
        assert ids == list(range(ids[0], ids[0] + 2_500))
        assert [await engine.result(task_id) for task_id in ids] == list(range(2_500))
        assert {engine.status(task_id).key for task_id in ids} == {"batch"}


async def test_an_empty_batch_is_no_task(world: World, clock: MockClock) -> None:
    """`submit_many` of nothing gives no ids and waits for nothing."""
    async with world.engine() as engine:
        assert await engine.submit_many([]) == []


@pytest.mark.parametrize("bad", [3, object(), None, int])
async def test_one_bad_task_of_a_batch_leaves_nothing_behind(
    world: World, clock: MockClock, bad: object
) -> None:
    """`submit_many` takes in all tasks or none."""
    async with world.engine() as engine:
        with pytest.raises(NotATask):
            await engine.submit_many([one, one, bad, one])
        assert sum(engine.counts().values()) == 0


async def test_a_batch_whose_iterator_raises_leaves_nothing_behind(
    world: World, clock: MockClock
) -> None:
    """An exception in the caller's own iterator comes through, and no task was taken in."""

    def tasks() -> Iterator[object]:
        yield one
        raise LookupError("the caller's own")

    async with world.engine() as engine:
        with pytest.raises(LookupError, match="the caller's own"):
            await engine.submit_many(tasks())
        assert sum(engine.counts().values()) == 0


async def test_a_full_engine_refuses_and_takes_in_again_later(
    world: World, clock: MockClock
) -> None:
    """At the live limit `QueueFull` says how many are live; when some have ended there is room."""
    gate = Gate()
    async with world.engine(live_limit=3) as engine:
        engine.submit_nowait(gate)
        with pytest.raises(QueueFull) as caught:
            await engine.submit_many([one, one, one])
        assert (caught.value.live, caught.value.limit) == (1, 3)
        ids = [engine.submit_nowait(one), engine.submit_nowait(one)]
        with pytest.raises(QueueFull):
            engine.submit_nowait(one)
        await engine.wait(ids)
        gate.open.set()
        await engine.result(await engine.submit(one))


async def test_refused_submissions_change_nothing(world: World, clock: MockClock) -> None:
    """After a refusal there is no row, no id is used up and no event is recorded."""
    async with world.engine() as engine:
        for wrong, options, error in [
            (object(), {}, NotATask),
            (one, {"timeout": -1}, BadOption),
            ("no such kind", {}, KindNotFound),
            ("sample", {"arguments": {"value": "x"}}, BadArguments),
            (one, {"arguments": {}}, BadOption),
        ]:
            with pytest.raises(error):
                engine.submit_nowait(wrong, **options)  # type: ignore[arg-type]
        assert sum(engine.counts().values()) == engine.statistics().revision == 0
        assert engine.submit_nowait(one) == 1


async def test_an_engine_takes_tasks_only_inside_its_block(world: World, clock: MockClock) -> None:
    """Before and after `async with`, every submission raises EngineClosed."""
    engine = world.engine()
    with pytest.raises(EngineClosed):
        engine.submit_nowait(one)
    async with engine:
        pass
    for _ in range(2):
        with pytest.raises(EngineClosed):
            engine.submit_nowait(one)
        with pytest.raises(EngineClosed):
            await engine.submit(one)
        with pytest.raises(EngineClosed):
            await engine.submit_many([one])


async def test_an_engine_is_opened_only_once(world: World, clock: MockClock) -> None:
    """A second `async with` on the same engine raises EngineClosed."""
    async with world.engine() as engine:
        with pytest.raises(EngineClosed, match="only once"):
            await engine.__aenter__()


async def test_a_body_may_submit_and_wait_for_what_it_submitted(
    world: World, clock: MockClock
) -> None:
    """From a body's thread, `trio.from_thread` reaches the engine; while it is being left too."""
    async with world.engine() as engine:

        def parent() -> object:
            child = trio.from_thread.run_sync(engine.submit_nowait, lambda: 21)
            return trio.from_thread.run(engine.result, child)

        task_id = engine.submit_nowait(parent)
    assert await engine.result(task_id) == 21


async def test_a_coroutine_task_may_submit_while_the_block_is_being_left(
    world: World, clock: MockClock
) -> None:
    """Leaving waits for tasks, and for the tasks that these submit meanwhile."""
    done = []

    async def parent(left: int) -> None:
        await trio.sleep(10)
        done.append(left)
        if left:
            engine.submit_nowait(partial(parent, left - 1))

    async with world.engine() as engine:
        engine.submit_nowait(partial(parent, 3))
    assert done == [3, 2, 1, 0]


async def test_an_unknown_id_is_not_found(world: World, clock: MockClock) -> None:
    """Every verb that takes an id says TaskNotFound for one that was never given out."""
    async with world.engine() as engine:
        engine.submit_nowait(one)
        for wrong in (0, -1, 2, 2**70):
            for ask in (engine.status, engine.cancel_nowait):
                with pytest.raises(TaskNotFound):
                    ask(wrong)
            for verb in (engine.get, engine.result, engine.output_json, engine.cancel):
                with pytest.raises(TaskNotFound):
                    await verb(wrong)
            with pytest.raises(TaskNotFound):
                await engine.wait([1, wrong])


@pytest.mark.slow
async def test_ten_thousand_tasks_of_all_modes(world: World, clock: MockClock) -> None:
    """10,000 tasks at once, blocking, polling and async: each output is right, none is lost."""

    async def coroutine(number: int) -> int:
        await trio.sleep(number % 7)
        return number

    def task(number: int) -> object:
        match number % 20:
            case 0:
                return Script(None, None, number)
            case 1 | 2:
                return lambda: number
            case _:
                return partial(coroutine, number)

    async with world.engine() as engine:
        ids = await engine.submit_many([task(number) for number in range(10_000)])
        rows = await engine.wait(ids)
        assert {row.state for row in rows} == {State.SUCCEEDED}
        assert {row.id for row in rows} == set(ids)
        kept = engine.reader()
        assert [kept.output(task_id) for task_id in ids] == [str(n) for n in range(10_000)]
    assert engine.counts()[State.SUCCEEDED] == 10_000
