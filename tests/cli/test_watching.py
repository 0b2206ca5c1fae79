"""How `creche wait` looks at a store, in a time of its own."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Owner, State, TaskNotFound, TaskSnapshot
from tui.cli.exits import Exit
from tui.cli.wait import RESTART, Watch

ALIVE = Owner(pid=7, epoch=1, endpoint="sock", started_at=0.0, clean=False, alive=True)
GONE = Owner(pid=7, epoch=1, endpoint=None, started_at=0.0, clean=True, alive=False)


class Store:
    """A store as others change it: at given times tasks move, and the engine comes or goes."""

    def __init__(self, *changes: tuple[float, int | Owner | None, State | None]) -> None:
        self._changes = sorted(changes, key=lambda change: change[0])
        self._states: dict[int, State] = {}
        self._owner: Owner | None = ALIVE
        self._revision = 0
        self.now = 0.0
        self.pauses: list[float] = []
        self.sleep(0.0)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        while self._changes and self._changes[0][0] <= self.now:
            _, what, state = self._changes.pop(0)
            if isinstance(what, int) and state is not None:
                self._states[what] = state
                self._revision += 1
            else:
                assert not isinstance(what, int)
                self._owner = what

    def get(self, task_id: int) -> TaskSnapshot:
        if task_id not in self._states:
            raise TaskNotFound(task_id)
        return TaskSnapshot(id=task_id, state=self._states[task_id])

    def cursor(self) -> str:
        return f"1.{self._revision}"

    def owner(self) -> Owner | None:
        return self._owner

    def watch(self, *ids: int, timeout: float | None = None) -> Watch:
        reader: Any = self
        return Watch(reader, ids, timeout, clock=lambda: self.now, sleep=self.sleep)


def test_tasks_are_given_as_they_end() -> None:
    """Each task once, in the order of their ends; afterwards nothing is wrong."""
    store = Store(
        (0, 1, State.RUNNING),
        (0, 2, State.QUEUED),
        (0, 3, State.SUCCEEDED),
        (50, 2, State.RUNNING),
        (60, 2, State.FAILED),
        (90, 1, State.SUCCEEDED),
    )
    watch = store.watch(1, 2, 3)
    assert [3, 2, 1] == [task.id for task in watch]
    assert (None, Exit.OK) == (watch.trouble, watch.status)
    assert 90 <= store.now < 90.5


def test_a_task_that_must_end_is_answered() -> None:
    """Cancelling may last as long as a process: it ends the wait, as it does for `Engine.wait`."""
    store = Store((0, 1, State.RUNNING), (5, 1, State.CANCELLING))
    assert [State.CANCELLING] == [task.state for task in store.watch(1)]


@pytest.mark.parametrize(("timeout", "expected"), [(0.0, 0.0), (3.0, 3.0)])
def test_the_time_is_over_when_it_is_over(timeout: float, expected: float) -> None:
    """Not a look later; what is still live is named."""
    store = Store((0, 1, State.RUNNING), (0, 2, State.SUCCEEDED))
    watch = store.watch(1, 2, timeout=timeout)
    assert [2] == [task.id for task in watch]
    assert (expected, Exit.TIME_OVER) == (store.now, watch.status)
    assert "1 of 2 still live (1): the time is over" == watch.trouble


def test_without_an_engine_nothing_is_waited_for() -> None:
    """Live tasks of a store that nobody runs would stay so: said at once."""
    store = Store((0, 1, State.QUEUED), (0, GONE, None))
    watch = store.watch(1)
    assert [] == list(watch)
    assert (0.0, Exit.UNAVAILABLE) == (store.now, watch.status)
    assert "no engine runs" in (watch.trouble or "")


def test_an_engine_may_come_back() -> None:
    """A restart during a wait goes unnoticed."""
    store = Store(
        (0, 1, State.QUEUED),
        (5, GONE, None),
        (5 + RESTART - 1, ALIVE, None),
        (60, 1, State.SUCCEEDED),
    )
    assert [1] == [task.id for task in store.watch(1)]


def test_an_engine_that_stays_away_is_given_up() -> None:
    """After RESTART seconds nobody counts on it any more."""
    store = Store((0, 1, State.QUEUED), (5, GONE, None))
    watch = store.watch(1)
    assert [] == list(watch)
    assert Exit.UNAVAILABLE == watch.status
    assert 5 + RESTART - 0.25 <= store.now <= 5 + RESTART + 0.25


def test_a_task_that_is_not_there_is_said() -> None:
    """Waiting for a task that does not exist raises at once."""
    with pytest.raises(TaskNotFound, match="9"):
        list(Store((0, 1, State.SUCCEEDED)).watch(1, 9))


def test_looks_are_far_apart_while_nothing_moves() -> None:
    """A quiet store is looked at four times a second, a moving one at once again."""
    store = Store((0, 1, State.RUNNING), (100, 2, State.RUNNING), (100.3, 1, State.SUCCEEDED))
    assert [1] == [task.id for task in store.watch(1)]
    assert 0.25 == max(store.pauses)
    assert 0.02 == min(store.pauses[-9:])


def test_a_long_list_of_live_tasks_is_cut() -> None:
    """The message names five of them."""
    store = Store(*((0.0, number, State.QUEUED) for number in range(1, 9)))
    watch = store.watch(*range(1, 9), timeout=0)
    assert [] == list(watch)
    assert "8 of 8 still live (1, 2, 3, 4, 5 …): the time is over" == watch.trouble
