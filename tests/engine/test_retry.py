"""What is tried again, and when."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadOption
from engine.retry import Backoff, is_fatal


class Liar(ValueError):
    """Claims to be of another class."""

    @property
    def __class__(self) -> Any:
        return TypeError

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError(), False),
        (OSError(), False),
        (TimeoutError(), False),
        (ExceptionGroup("g", [ValueError()]), False),
        (Liar(), False),
        (TypeError(), True),
        (AttributeError(), True),
        (NameError(), True),
        (UnboundLocalError(), True),
        (NotImplementedError(), True),
        (RecursionError(), True),
        (SystemExit(), True),
        (KeyboardInterrupt(), True),
        (GeneratorExit(), True),
        (BaseExceptionGroup("g", [SystemExit()]), True),
    ],
)
def test_a_defect_is_not_tried_again(error: BaseException, expected: bool) -> None:
    """What is no Exception, and what says that the program is wrong, is fatal."""
    assert expected is is_fatal(error)


def test_a_kind_names_fatal_errors_of_its_own() -> None:
    """The further list counts, with its subclasses."""
    assert is_fatal(FileNotFoundError(), (OSError,))
    assert not is_fatal(ValueError(), (OSError,))


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    """1, 2, 4 … 256, 300, 300."""
    backoff = Backoff()
    expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert [backoff.longest(n) for n in range(1, 12)] == pytest.approx(expected)


@given(
    first=st.floats(0.001, 10),
    factor=st.floats(1, 1_000),
    cap=st.floats(10, 1_000),
    attempt=st.integers(-5, 10**9),
    rng=st.randoms(),
)
def test_a_wait_lies_between_nothing_and_the_longest(
    first: float, factor: float, cap: float, attempt: int, rng: random.Random
) -> None:
    """No attempt is too high a number, and no wait exceeds the cap."""
    backoff = Backoff(first, factor, cap, rng=rng)
    assert 0 <= backoff.delay(attempt) <= backoff.longest(attempt) <= cap
    assert backoff.longest(attempt) <= backoff.longest(max(attempt, 1) + 1)


def test_attempt_10_000_waits_no_longer_than_the_cap() -> None:
    """factor**9999 is no float and is never computed."""
    assert Backoff().longest(10_000) == 300.0


def test_waits_use_the_whole_range() -> None:
    """Full jitter: tasks that failed together are spread evenly from 0 to the longest wait."""
    backoff = Backoff(1, 1, 1, rng=random.Random(1))
    tenths = {int(backoff.delay(1) * 10) for _ in range(200)}
    assert set(range(10)) == tenths


def test_the_generator_alone_decides() -> None:
    """The same seed gives the same waits."""
    first, second = Backoff(rng=random.Random(2)), Backoff(rng=random.Random(2))
    assert [first.delay(n) for n in range(20)] == [second.delay(n) for n in range(20)]
    assert repr(first) == "Backoff(1, 2, 300)"


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (math.nan,), (1, 0.5), (1, math.inf), (2, 2, 1), ("1",), (True,)]
)
def test_nonsense_is_refused(arguments: tuple[Any, ...]) -> None:
    """A backoff that could not be computed cannot be made."""
    with pytest.raises(BadOption):
        Backoff(*arguments)
