"""How a command takes TERM, INT and HUP, in this very process."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tui.cli.signals import STOPPING, Interrupted, StopSignals, stop_signals


def refuse(number: int) -> None:
    """Stand where no second signal may come."""
    raise AssertionError(f"a second signal: {number}")


every = pytest.mark.parametrize("number", STOPPING)


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """Whatever a test does, the handlers in the end are those from before."""
    before = [signal.getsignal(number) for number in STOPPING]
    yield
    assert before == [signal.getsignal(number) for number in STOPPING]


class Told:
    """Remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[int | None] = []

    def first(self) -> None:
        self.calls.append(None)

    def second(self, number: int) -> None:
        self.calls.append(number)


@every
def test_the_first_is_told_and_the_second_is_at_once(number: signal.Signals) -> None:
    """One signal of any kind is a wish, another one of any kind an order."""
    told = Told()
    with stop_signals(told.second) as signals:
        signals.tell(told.first)
        signal.raise_signal(number)
        assert ([None], number) == (told.calls, signals.first)
        signal.raise_signal(signal.SIGTERM)
        assert [None, signal.SIGTERM] == told.calls


@every
def test_one_that_came_early_is_told_late(number: signal.Signals) -> None:
    """Nothing that arrives while nobody listens is forgotten."""
    told = Told()
    with stop_signals(told.second) as signals:
        signal.raise_signal(number)
        assert [] == told.calls
        signals.tell(told.first)
        assert [None] == told.calls


@every
def test_it_can_interrupt(number: signal.Signals) -> None:
    """What the main thread is doing ends as by Ctrl-C, and knows which signal it was."""
    with stop_signals(refuse) as signals:
        signals.interrupt()
        with pytest.raises(Interrupted) as interrupted:
            signal.raise_signal(number)
    assert (number, number.name) == (interrupted.value.number, str(interrupted.value))
    assert isinstance(interrupted.value, KeyboardInterrupt)


def test_held_signals_interrupt_nothing_until_armed_again() -> None:
    """While things are put away a signal is only noted; afterwards a new one interrupts."""
    with stop_signals(refuse) as signals:
        signals.interrupt()
        signals.hold()
        signal.raise_signal(signal.SIGINT)
        signals.rearm()
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)


def test_signals_that_something_else_took_can_be_taken_back() -> None:
    """A dashboard in between has handlers of its own; who had them at first gets them back."""
    told = Told()
    with stop_signals(told.second) as signals:
        signals.tell(told.first)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signals.install()
        signal.raise_signal(signal.SIGTERM)
    assert [None] == told.calls


def test_an_ignored_signal_stays_ignored() -> None:
    """Under nohup a hangup is no reason to end."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals(refuse) as signals:
            signals.interrupt()
            signal.raise_signal(signal.SIGHUP)
            assert signals.first is None
        assert signal.SIG_IGN is signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_taken_before_it_is_installed() -> None:
    """Making the object changes nothing."""
    signals = StopSignals(at_once=refuse)
    signals.interrupt()
    assert signals.first is None
