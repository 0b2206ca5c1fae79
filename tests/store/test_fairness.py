"""The pause that lets the journal's thread run beside a busy loop."""

from __future__ import annotations

import pytest

from engine.store.fairness import EVERY, PAUSE, GiveWay


class Time:
    """A clock that only moves when it is told to, or slept on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def give_way(time: Time) -> GiveWay:
    return GiveWay(time.read, time.sleep)


def test_no_pause_without_a_flush(time: Time, give_way: GiveWay) -> None:
    """A loop that has nothing to write is never held up."""
    for _ in range(10):
        time.now += 1
        give_way.before_io_wait(0)
    assert time.pauses == []


def test_no_pause_in_an_idle_loop(time: Time, give_way: GiveWay) -> None:
    """A loop that is about to sleep gives way by that."""
    give_way.flush_began()
    time.now += 1
    give_way.before_io_wait(0.5)
    assert time.pauses == []


def test_a_busy_loop_pauses_at_most_once_in_a_while(time: Time, give_way: GiveWay) -> None:
    """While a flush is out: no pause in its first millisecond, then at most one in each."""
    give_way.flush_began()
    for _ in range(50):  # ticks of 0.1 ms
        give_way.before_io_wait(0)
        time.now += EVERY / 10
    assert time.pauses == [PAUSE] * 4


def test_no_pause_after_the_flush(time: Time, give_way: GiveWay) -> None:
    """When the flush is over, so are the pauses."""
    give_way.flush_began()
    time.now += 1
    give_way.before_io_wait(0)
    give_way.flush_ended()
    time.now += 1
    give_way.before_io_wait(0)
    assert time.pauses == [PAUSE]
