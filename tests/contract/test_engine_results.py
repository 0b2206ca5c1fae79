"""What result(), wait(), as_completed() and output_json() promise."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import (
    EngineClosed,
    OutputMark,
    OutputNotReady,
    State,
    TaskCancelled,
    TaskEnded,
    TaskFailed,
    TaskNotFound,
    TaskTimedOut,
)
from tests.contract.engines import Gate, World, one, raising

if TYPE_CHECKING:
    from trio.testing import MockClock


async def after(seconds: float) -> float:
    """Give the seconds that it took."""
    await trio.sleep(seconds)
    return seconds


async def test_result_of_a_failed_task_raises_with_its_exception_as_cause(
    world: World, clock: MockClock
) -> None:
    """TaskFailed carries the snapshot, the envelope and, in memory, the exception itself."""
    error = LookupError("not there")
    async with world.engine() as engine:
        task_id = engine.submit_nowait(raising(error), name="finder")
        with pytest.raises(TaskFailed):
            await engine.result(task_id)
        with pytest.raises(TaskFailed, match=r"finder.*failed.*LookupError: not there") as caught:
            await engine.result(task_id)
        assert caught.value.__cause__ is error
        assert (caught.value.task_id, caught.value.body_alive) == (task_id, False)
        assert caught.value.error is not None
        assert "in body\n    raise error\n" in caught.value.error.traceback


async def test_result_answers_everybody_who_asks(world: World, clock: MockClock) -> None:
    """Any number of callers, before and after the end, get the same object."""
    output = {"shared": [1, 2]}
    got: list[object] = []
    gate = Gate(output)

    async with world.engine() as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(gate)

        async def ask() -> None:
            got.append(await engine.result(task_id))

        for _ in range(5):
            nursery.start_soon(ask)
        await world.until(gate.begun)
        gate.open.set()
        got.append(await engine.result(task_id))
    assert len(got) == 6
    assert all(item is output for item in got)


async def test_a_cancelled_wait_leaves_the_task_alone(world: World, clock: MockClock) -> None:
    """Who gives up waiting for a result does not change the task, and leaves nothing behind."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(partial(after, 10))
        for verb in (engine.result(task_id), engine.wait([task_id])):
            with trio.move_on_after(1) as scope:
                await verb
            assert scope.cancelled_caught
        assert engine.status(task_id).state is State.RUNNING
        assert await engine.result(task_id) == 10


async def test_wait_gives_snapshots_in_the_order_asked_and_does_not_raise(
    world: World, clock: MockClock
) -> None:
    """`wait` returns when every task is answered; a failure is a snapshot like any other."""
    async with world.engine() as engine:
        good, bad = (
            engine.submit_nowait(partial(after, 5)),
            engine.submit_nowait(raising(OSError())),
        )
        dropped = engine.submit_nowait(one, not_before=world.wall() + 99)
        engine.cancel_nowait(dropped)
        began = trio.current_time()
        rows = await engine.wait([bad, good, dropped, bad])
        assert [row.id for row in rows] == [bad, good, dropped, bad]
        states = [State.FAILED, State.SUCCEEDED, State.CANCELLED, State.FAILED]
        assert [row.state for row in rows] == states
        assert trio.current_time() - began == pytest.approx(5)
        assert await engine.wait([]) == []


async def test_as_completed_gives_each_id_once_in_order_of_ending(
    world: World, clock: MockClock
) -> None:
    """Ids come as their tasks end, those given twice once, those ended before first."""
    async with world.engine() as engine:
        ids = [engine.submit_nowait(partial(after, seconds)) for seconds in (30, 10, 20, 5)]
        await trio.sleep(6)
        got = [task_id async for task_id in engine.as_completed([*ids, *reversed(ids)])]
        assert got == [ids[3], ids[1], ids[2], ids[0]]
        assert [task_id async for task_id in engine.as_completed([])] == []


async def test_as_completed_loses_nothing_while_its_consumer_is_busy(
    world: World, clock: MockClock
) -> None:
    """However long the consumer takes for one id, every id comes."""
    async with world.engine() as engine:
        ids = [engine.submit_nowait(partial(after, seconds)) for seconds in (1, 2, 3, 4)]
        await engine.wait(ids[:1])
        got = []
        with trio.move_on_after(100):
            async for task_id in engine.as_completed(ids):
                got.append(task_id)
                await trio.sleep(1.5)
        assert got == ids


async def test_as_completed_of_an_unknown_id_is_not_found(world: World, clock: MockClock) -> None:
    """An unknown id among them raises TaskNotFound before the first is given."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one)
        with pytest.raises(TaskNotFound):
            await anext(aiter(engine.as_completed([task_id, 99])))


async def test_output_json_is_strict_and_does_not_wait(world: World, clock: MockClock) -> None:
    """JSON text of a task that succeeded; OutputNotReady before, TaskEnded for other ends."""
    gate = Gate({"a": [1, None, "ü"]})
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate)
        with pytest.raises(OutputNotReady):
            await engine.output_json(task_id)
        gate.open.set()
        await engine.wait([task_id])
        assert json.loads(await engine.output_json(task_id)) == {"a": [1, None, "ü"]}
        failed = engine.submit_nowait(raising(OSError()))
        await engine.wait([failed])
        with pytest.raises(TaskFailed):
            await engine.output_json(failed)


class Odd:
    """Nothing that JSON knows."""


@pytest.mark.parametrize(
    ("output", "mark"),
    [
        ([1, "x"], OutputMark.KEPT),
        ((1, 2), OutputMark.CHANGED_BY_JSON),
        ({3, 4}, OutputMark.CHANGED_BY_JSON),
        (b"bytes", OutputMark.CHANGED_BY_JSON),
        (math.nan, OutputMark.NOT_SERIALISABLE),
        ({1: 2}, OutputMark.NOT_SERIALISABLE),
        (Odd(), OutputMark.NOT_SERIALISABLE),
        (10**5000, OutputMark.NOT_SERIALISABLE),
        ("\ud800", OutputMark.NOT_SERIALISABLE),
        ("x" * 1_100_000, OutputMark.TOO_LARGE),
    ],
    ids=["list", "tuple", "set", "bytes", "nan", "key", "object", "digits", "surrogate", "large"],
)
async def test_any_object_comes_back_in_memory_and_its_mark_is_true(
    world: World, clock: MockClock, output: object, mark: OutputMark
) -> None:
    """In this process the output is the very object; the row says what a store could keep."""
    async with world.engine() as engine:
        for task in (lambda: output, partial(given, output)):
            task_id = engine.submit_nowait(task)
            assert await engine.result(task_id) is output
            row = engine.status(task_id)
            assert row.state is State.SUCCEEDED
            assert row.output_mark is (mark if world.durable else None)


async def given(output: object) -> object:
    """An async function with this output."""
    return output


async def test_an_output_that_is_an_exception_is_an_output(world: World, clock: MockClock) -> None:
    """Returning an exception object is no failure."""
    error = ValueError("returned, not raised")
    async with world.engine() as engine:
        assert await engine.result(engine.submit_nowait(lambda: error)) is error


async def test_a_timed_out_thread_answers_its_waiters_at_once(
    world: World, clock: MockClock
) -> None:
    """With its body alive, result() raises with `body_alive`, wait() shows `cancelling`."""
    gate = Gate()
    async with world.engine() as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(gate, timeout=10)
        caught: list[TaskEnded] = []

        async def ask() -> None:
            with pytest.raises(TaskTimedOut, match="still alive") as info:
                await engine.result(task_id)
            caught.append(info.value)

        nursery.start_soon(ask)
        await world.until(gate.begun)
        clock.jump(10)
        (row,) = await engine.wait([task_id])
        assert row.state is State.CANCELLING
        assert [item async for item in engine.as_completed([task_id])] == [task_id]
        with pytest.raises(OutputNotReady):
            await engine.output_json(task_id)
        gate.open.set()
    assert caught[0].body_alive
    assert engine.status(task_id).state is State.TIMED_OUT
    with pytest.raises(TaskTimedOut) as after_end:
        await engine.result(task_id)
    assert not after_end.value.body_alive


async def test_a_cancelled_thread_answers_its_waiters_at_once(
    world: World, clock: MockClock
) -> None:
    """With its body alive, a cancelled task's result() raises TaskCancelled with `body_alive`."""
    gate = Gate()
    async with world.engine() as engine:
        task_id = engine.submit_nowait(gate)
        await world.until(gate.begun)
        await engine.cancel(task_id, reason="enough")
        with pytest.raises(TaskCancelled, match="enough") as caught:
            await engine.result(task_id)
        assert caught.value.body_alive
        gate.open.set()


async def test_results_are_there_after_the_block(world: World, clock: MockClock) -> None:
    """After leaving in good order results, snapshots and counts can still be had from memory."""
    async with world.engine() as engine:
        ids = [engine.submit_nowait(lambda: "kept"), engine.submit_nowait(raising(OSError()))]
    assert await engine.result(ids[0]) == "kept"
    with pytest.raises(TaskFailed):
        await engine.result(ids[1])
    assert [row.id for row in await engine.wait(ids)] == ids
    assert engine.status(ids[0]).state is State.SUCCEEDED


async def test_waiting_for_what_an_engine_has_left_live_raises(
    world: World, clock: MockClock
) -> None:
    """After a drain, the waiting verbs raise EngineClosed for tasks that are still live."""
    outcomes: list[str] = []
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 1e6)
        await engine.drain()

        async def each() -> None:
            async for _ in engine.as_completed([task_id]):
                pass

        for verb in (engine.result(task_id), engine.wait([task_id]), each()):
            with trio.move_on_after(100):
                try:
                    await verb
                except EngineClosed:
                    outcomes.append("closed")
    assert outcomes == ["closed"] * 3


async def test_a_waiter_is_told_when_the_engine_drains(world: World, clock: MockClock) -> None:
    """Who waits for a task that a drain leaves live gets EngineClosed."""
    async with world.engine() as engine, trio.open_nursery() as nursery:
        task_id = engine.submit_nowait(one, not_before=world.wall() + 1e6)

        async def ask() -> None:
            with pytest.raises(EngineClosed):
                await engine.result(task_id)

        nursery.start_soon(ask)
        await trio.sleep(1)
        await engine.drain()
