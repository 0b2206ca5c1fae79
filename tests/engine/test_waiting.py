"""Those who wait for tasks: told once, at the right moment, and never forgotten."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from engine.model import State, TaskSnapshot, Why
from engine.waiting import Waiters, is_answered


def row(task_id: int, state: State = State.SUCCEEDED, **fields: object) -> TaskSnapshot:
    """A task's row."""
    return TaskSnapshot(id=task_id, state=state, **fields)  # type: ignore[arg-type]


def nobody(_: int) -> bool:
    """No task is answered yet."""
    return False


@pytest.mark.parametrize("state", list(State))
def test_final_states_answer_and_live_ones_do_not(state: State) -> None:
    """Except for `cancelling`, the state alone says whether there is an answer."""
    if state is not State.CANCELLING:
        assert is_answered(row(1, state)) is state.final


@pytest.mark.parametrize(
    ("why", "attempts", "answered"),
    [
        (Why.ASKED, 1, True),
        (Why.DEADLINE, 1, True),
        (Why.ATTEMPT_TIMEOUT, 3, True),
        (Why.ATTEMPT_TIMEOUT, 2, False),
    ],
)
def test_a_cancelling_task_is_answered_unless_another_attempt_may_follow(
    why: Why, attempts: int, answered: bool
) -> None:
    """Only a timed-out attempt with attempts left leaves the answer open."""
    cancelling = row(1, State.CANCELLING, why=why, attempts=attempts, attempts_allowed=3)
    assert is_answered(cancelling) is answered


async def test_all_are_waited_for() -> None:
    """wait() returns when the last of its tasks is answered, in whatever order they are."""
    waiters = Waiters(nobody)
    done: list[int] = []

    async def wait(*ids: int) -> None:
        await waiters.wait(ids)
        done.append(len(ids))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 1, 2, 3, 1)
        nursery.start_soon(wait, 2)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert done == [0]
        for task_id, expected in [(3, [0]), (2, [0, 1]), (9, [0, 1]), (1, [0, 1, 4])]:
            waiters.published(row(task_id))
            await trio.testing.wait_all_tasks_blocked()
            assert done == expected


async def test_a_live_row_tells_nobody() -> None:
    """A move to a live state is no answer."""
    waiters = Waiters(nobody)
    with trio.move_on_after(0.001) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiters.wait, [1])
            await trio.testing.wait_all_tasks_blocked()
            for state in (State.QUEUED, State.RUNNING, State.POLLING, State.WAITING):
                waiters.published(row(1, state))
    assert scope.cancelled_caught


async def test_what_is_answered_already_is_not_waited_for() -> None:
    """Tasks that were answered before the waiting began are told at once."""
    waiters = Waiters(lambda task_id: task_id % 2 == 0)
    await waiters.wait([2, 4])
    arrivals = await waiters.arrivals([2, 1, 4])
    first = [await arrivals.next(), await arrivals.next()]
    assert sorted(task_id or 0 for task_id in first) == [2, 4]
    waiters.published(row(1))
    assert [await arrivals.next(), await arrivals.next()] == [1, None]


async def test_arrivals_come_in_order_each_once() -> None:
    """However slowly they are taken, arrivals come in the order of their answers."""
    waiters = Waiters(nobody)
    arrivals = await waiters.arrivals([1, 2, 3, 2])
    for task_id in (3, 1, 3, 2):
        waiters.published(row(task_id))
    assert [await arrivals.next() for _ in range(4)] == [3, 1, 2, None]


async def test_a_waiter_that_gives_up_leaves_nothing_behind() -> None:
    """A cancelled wait takes its callbacks away, and other waiters of the task stay."""
    waiters = Waiters(nobody)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.wait, [1])
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as others:
                for _ in range(5):
                    others.start_soon(waiters.wait, [1, 2, 3])
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert {task_id: len(told) for task_id, told in waiters._waiters.items()} == {1: 1}
        waiters.published(row(1))
    assert waiters._waiters == {}


async def test_closing_tells_everybody_now_and_later() -> None:
    """After close() nobody waits any more, neither those who did nor those who come."""
    waiters = Waiters(nobody)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.wait, [1, 2])
        arrivals = await waiters.arrivals([5, 6])
        await trio.testing.wait_all_tasks_blocked()
        waiters.close()
    with trio.fail_after(5):
        await waiters.wait([7])
        came = [await arrivals.next() for _ in range(3)]
        assert sorted(task_id for task_id in came if task_id is not None) == [5, 6]
        assert await (await waiters.arrivals([8])).next() == 8
    assert waiters._waiters == {}
