"""The cadences: when they look, on a clock that is only a number."""

from __future__ import annotations

import gc
import math
import random
import tracemalloc
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.api import Cadence, Ended, MeasuresChecks, Track
from engine.cadence import (
    KINDS_REMEMBERED,
    LONGEST_HINT,
    SHORTEST,
    Exponential,
    Fixed,
    Quadratic,
)
from engine.errors import BadOption

DAY = 86_400.0


def looks(track: Track, until: float, start: float = 0.0, took: float = 0.0) -> list[float]:
    """The moments, counted from run()'s return, at which a task that never ends is looked at."""
    now, moments = start, []
    while (now := now + track.next_delay(now)) <= start + until:
        moments.append(now - start)
        now += took
    return moments


cadences = st.one_of(
    st.builds(Fixed, st.floats(SHORTEST, 100), jitter=st.floats(0, 1), rng=st.randoms()),
    st.builds(
        Exponential,
        st.floats(SHORTEST, 10),
        st.floats(1, 1_000),
        st.floats(10, 1_000),
        jitter=st.floats(0, 1),
        rng=st.randoms(),
    ),
    st.builds(
        Quadratic,
        st.floats(SHORTEST, 1_000) | st.just("auto"),
        jitter=st.floats(0, 1),
        rng=st.randoms(),
    ),
)


@given(
    cadence=cadences,
    start=st.floats(-1e9, 1e9),
    steps=st.lists(st.floats(-10, 1e6), max_size=20),
    hints=st.none() | st.dictionaries(st.text(max_size=3) | st.just("retry_after"), st.floats()),
)
def test_a_delay_is_finite_and_at_least_a_millisecond(
    cadence: Cadence, start: float, steps: list[float], hints: dict[str, float] | None
) -> None:
    """Whatever the clock says and whatever is hinted, the next look is 1 ms or more away, and
    there is a next look."""
    track = cadence.started("kind", start)
    now = start
    for step in steps:
        now += step
        assert SHORTEST <= track.next_delay(now, hints) < math.inf


@given(cadence=cadences, seconds=st.floats(0, 1e7))
def test_retry_after_is_a_lower_bound_of_a_day_at_most(cadence: Cadence, seconds: float) -> None:
    """A task is not looked at before the time it asked for, but once a day in any case."""
    track = cadence.started("kind", 0.0)
    assert track.next_delay(0.0, {"retry_after": seconds}) >= min(seconds, LONGEST_HINT)


@pytest.mark.parametrize(
    "hint", [math.nan, -math.inf, -1.0, 0.0, None, "soon", b"9", [5.0], 1 + 1j, -(10**400)]
)
def test_a_hint_that_is_no_time_changes_nothing(hint: Any) -> None:
    """What a task's own code hints at is not trusted to be a number."""
    hinted = Quadratic(2.0, jitter=0).started("k", 0.0).next_delay(0.0, {"retry_after": hint})
    assert hinted == 2.0


@pytest.mark.parametrize("hint", [math.inf, 10**400, 1e300])
def test_a_hint_without_an_end_is_a_day(hint: Any) -> None:
    """No hint stops the looking."""
    assert LONGEST_HINT == Fixed(1).started("k", 0.0).next_delay(0.0, {"retry_after": hint})


@given(price=st.floats(SHORTEST, 1_000), start=st.floats(0, 1e6))
@example(price=1.0, start=0.0)
def test_quadratic_looks_at_c_k_squared(price: float, start: float) -> None:
    """Without jitter and delay the k-th look is c·k² after run()'s return, on any clock."""
    track = Quadratic(price, jitter=0).started("k", start)
    now = start
    for k in range(1, 200):
        now += track.next_delay(now)
        assert now - start == pytest.approx(price * k * k, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("hours", "expected"), [(1, 60), (24, 293)])
def test_a_task_without_an_end_costs_few_looks(hours: int, expected: int) -> None:
    """At c = 1 s an hour costs 60 looks and a day 293: the root of the seconds."""
    assert expected == len(looks(Quadratic(1.0, jitter=0).started("k", 0.0), hours * 3600.0))


@given(rng=st.randoms(use_true_random=False))
def test_jitter_never_costs_a_look_more(rng: random.Random) -> None:
    """It only puts looks off, by a tenth of the price at most."""
    with_jitter = looks(Quadratic(1.0, rng=rng).started("k", 0.0), DAY)
    assert 285 <= len(with_jitter) <= 293
    assert all(late >= k * k for k, late in enumerate(with_jitter, 1))


@given(price=st.floats(0.01, 10), duration=st.floats(0, 1e6))
def test_quadratic_is_as_good_as_promised_for_every_duration(price: float, duration: float) -> None:
    """Lag and looks together cost at most 2·√(c·T) plus three prices, whatever T is: within a
    factor √2 of the best fixed interval for that very T, in the long run."""
    track = Quadratic(price, jitter=0).started("k", 0.0)
    made = looks(track, duration)
    found = made[-1] if made else 0.0
    found += Quadratic(price, jitter=0).started("k", 0.0).next_delay(found)
    worst = found - duration + price * (len(made) + 1)
    count = math.sqrt(duration / price)
    assert worst <= price * ((2 * count + 1) + count + 2) * (1 + 1e-6)


def test_a_late_look_moves_the_schedule_and_is_not_followed_by_a_burst() -> None:
    """After a look that came 1,000 s late the next gap is that of a task of this age."""
    track = Quadratic(1.0, jitter=0).started("k", 0.0)
    assert track.next_delay(0.0) == 1.0
    assert track.next_delay(10_000.0) == 201.0


def test_slow_looks_do_not_add_up_to_more() -> None:
    """Looks that take a second each leave fewer looks in a day, never more."""
    made = looks(Quadratic(1.0, jitter=0).started("k", 0.0), DAY, took=1.0)
    assert 250 <= len(made) <= 293


def test_a_clock_that_went_back_is_taken_for_the_start() -> None:
    """Elapsed time is never negative."""
    assert Quadratic(3.0, jitter=0).started("k", 100.0).next_delay(50.0) == 3.0


# -- the measured price --------------------------------------------------------------------------


def test_price_auto_is_10_ms_until_measured() -> None:
    """A kind that was never looked at is looked at first after 10 ms."""
    cadence = Quadratic(jitter=0)
    assert cadence.price("k") == 0.01
    assert cadence.started("k", 5.0).next_delay(5.0) == 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_price_auto_is_100_medians_of_the_last_16_checks(checks: list[float]) -> None:
    """Kept within 10 ms and 1 s; what is longer ago does not count."""
    cadence = Quadratic()
    for seconds in checks:
        cadence.checked("k", seconds)
    last = sorted(checks[-16:])
    lower, upper = last[(len(last) - 1) // 2], last[len(last) // 2]
    expected = min(1.0, max(0.01, 100 * (lower + upper) / 2))
    assert cadence.price("k") == pytest.approx(expected)


def test_a_price_is_its_kinds_own_and_reaches_tracks_under_way() -> None:
    """Slow looks of one kind make its running tasks be looked at less, and no other's."""
    cadence = Quadratic(jitter=0)
    slow, fast = cadence.started("slow", 0.0), cadence.started("fast", 0.0)
    cadence.checked("slow", 0.002)
    assert slow.next_delay(0.0) == pytest.approx(0.2)
    assert fast.next_delay(0.0) == 0.01


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -1.0])
def test_a_check_time_that_is_none_is_ignored(nonsense: float) -> None:
    """A clock that jumps cannot spoil the price."""
    cadence = Quadratic()
    cadence.checked("k", 0.001)
    cadence.checked("k", nonsense)
    assert cadence.price("k") == 0.1


def test_a_given_price_stays() -> None:
    """With a price of the caller's own nothing is measured."""
    cadence = Quadratic(2.0)
    cadence.checked("k", 0.5)
    assert cadence.price("k") == 2.0


def test_kinds_are_forgotten_the_least_recent_first() -> None:
    """A thousand kinds are remembered; one that is used stays, and no kind grows."""
    cadence = Quadratic()
    for n in range(KINDS_REMEMBERED):
        cadence.checked(f"k{n}", 0.005)
    cadence.started("k0", 0.0)
    cadence.checked("one more", 0.005)
    assert cadence.price("k0") == 0.5
    assert cadence.price("k1") == 0.01
    assert cadence.price("k2") == 0.5


def test_memory_is_bounded() -> None:
    """Twenty thousand kinds with checks of their own leave less than 2 MB behind."""
    gc.collect()
    tracemalloc.start()
    try:
        cadence = Quadratic()
        for n in range(20_000):
            cadence.checked(f"kind {n}", 0.001)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2_000_000
    assert cadence.price("kind 19999") == 0.1


# -- the others ----------------------------------------------------------------------------------


def test_fixed_looks_every_so_many_seconds() -> None:
    """The gap is the same for ever, from the end of one look to the next."""
    assert looks(Fixed(5).started("k", 7.0), 20.0, start=7.0) == [5.0, 10.0, 15.0, 20.0]
    assert looks(Fixed(5).started("k", 0.0), 20.0, took=2.0) == [5.0, 12.0, 19.0]


def test_exponential_grows_to_its_cap() -> None:
    """Delays double from 1 to 8, then stay at 10."""
    track = Exponential(1, 2, 10, jitter=0).started("k", 0.0)
    assert [track.next_delay(0.0) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_exponential_never_overflows() -> None:
    """After ten thousand looks the delay is still the cap."""
    track = Exponential(0.001, 1_000, 5, jitter=0).started("k", 0.0)
    assert [track.next_delay(0.0) for _ in range(10_000)][-1] == 5.0


@given(st.floats(0, 1), st.randoms())
def test_jitter_adds_at_most_its_part(jitter: float, rng: random.Random) -> None:
    """A delay of 10 s with jitter j lies between 10 s and 10·(1 + j) s."""
    track = Fixed(10, jitter=jitter, rng=rng).started("k", 0.0)
    longest = 10 * (1 + jitter) * (1 + 1e-12)  # the two sums may round apart
    assert all(10 <= track.next_delay(0.0) <= longest for _ in range(20))


@pytest.mark.parametrize("make", [Fixed(1, jitter=0.5), Exponential(), Quadratic(1.0)])
def test_jitter_parts_tasks_started_together(make: Cadence) -> None:
    """A hundred tasks started at one moment are not looked at at one moment."""
    assert len({make.started("k", 0.0).next_delay(0.0) for _ in range(100)}) > 90


def test_the_generator_alone_decides() -> None:
    """The same seed gives the same looks."""
    first, second = (Quadratic(rng=random.Random(5)).started("k", 0.0) for _ in range(2))
    assert looks(first, 100.0) == looks(second, 100.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fixed(0),
        lambda: Fixed(0.0009),
        lambda: Fixed(-1),
        lambda: Fixed(math.nan),
        lambda: Fixed(math.inf),
        lambda: Fixed(True),
        lambda: Fixed(cast("Any", "1")),
        lambda: Fixed(10**400),
        lambda: Fixed(1, jitter=1.1),
        lambda: Exponential(0),
        lambda: Exponential(1, 0.5),
        lambda: Exponential(1, math.nan),
        lambda: Exponential(2, 2, 1),
        lambda: Quadratic(0),
        lambda: Quadratic(cast("Any", "automatic")),
        lambda: Quadratic(cast("Any", None)),
        lambda: Quadratic(math.inf),
        lambda: Quadratic(jitter=-0.1),
    ],
)
def test_nonsense_is_refused(make: Any) -> None:
    """A cadence that would hammer, sleep for ever or not compute cannot be made."""
    with pytest.raises(BadOption):
        make()


@pytest.mark.parametrize("cadence", [Fixed(1), Exponential(), Quadratic(), Quadratic(1.0)])
def test_an_end_is_one_of_three(cadence: Cadence) -> None:
    """`ended` takes the members of Ended and their strings, and nothing else."""
    for how in (*Ended, *map(str, Ended)):
        cadence.started("k", 0.0).ended(1.0, how)
    with pytest.raises(ValueError, match="not a valid Ended"):
        cadence.started("k", 0.0).ended(1.0, "vanished")


def test_only_the_measuring_one_asks_for_check_times() -> None:
    """The engine tells check times to a `MeasuresChecks`."""
    assert isinstance(Quadratic(), MeasuresChecks)
    assert not isinstance(Fixed(1), MeasuresChecks)


def test_what_they_are_can_be_read() -> None:
    """A representation is the call that makes it."""
    assert list(map(repr, (Fixed(2), Exponential(), Quadratic(), Quadratic(1)))) == [
        "Fixed(2)",
        "Exponential(0.1, 2, 60)",
        "Quadratic('auto')",
        "Quadratic(1.0)",
    ]


@pytest.mark.parametrize("cadence", [Fixed(1), Quadratic()])
def test_a_track_is_small(cadence: Cadence) -> None:
    """A million polling tasks have a million tracks: no dictionary in any."""
    assert not hasattr(cadence.started("k", 0.0), "__dict__")
