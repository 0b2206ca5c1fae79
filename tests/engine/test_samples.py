"""The sample tasks, on a clock of the test's own."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import samples
from engine.errors import BadOption
from engine.samples import SampleTask, gen_task

NUMBERS = [0, -3, 2.5, 1 + 2j, Decimal("0.1"), Fraction(1, 3), 10**40, True, math.inf]


class Clock:
    """Stands in for the module `time`: time passes by sleeping, or by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(samples, "time", clock)
    return clock


def is_blocking(clock: Clock, task: SampleTask) -> bool:
    """Run a box and tell from the clock what it is."""
    before = clock.now
    task.run()
    return clock.now > before


def seconds_of(clock: Clock, task: SampleTask) -> float:
    """Run a box to its output and give the time it took, to the second."""
    before = clock.now
    task.run()
    while task.check_output() is None:
        clock.now += 1.0
    return clock.now - before


@pytest.mark.parametrize("val", NUMBERS)
def test_both_kinds_give_twice_the_value_and_nothing_before_run(clock: Clock, val: complex) -> None:
    """Whatever the number, before run() there is nothing and at the end there is 2·val."""
    kinds = set()
    for seed in range(20):
        task = gen_task(val, rng=random.Random(seed))
        kinds.add(type(task))
        assert task.check_output() is None
        seconds_of(clock, task)
        assert 2 * val == task.check_output()
    assert len(kinds) == 2


def test_nothing_is_declared_and_both_kinds_offer_the_same(clock: Clock) -> None:
    """Which kind a box is cannot be told from what it offers."""
    boxes = [gen_task(1, rng=random.Random(seed)) for seed in range(20)]
    offered = {tuple(name for name in dir(box) if name[0] != "_") for box in boxes}
    assert offered == {("check_output", "run")}
    assert not any(hasattr(box, "creche_mode") for box in boxes)


def test_a_polling_box_returns_at_once_and_is_silent_until_its_time_has_passed(
    clock: Clock,
) -> None:
    """run() takes no time; check_output() gives None up to the last moment."""
    seeds = range(40)
    boxes = [gen_task(5, rng=random.Random(seed)) for seed in seeds]
    polling = [seed for seed, box in zip(seeds, boxes, strict=True) if not is_blocking(clock, box)]
    seed = polling[0]
    rng = random.Random(seed)
    rng.random()
    nominal = rng.randint(1, 99)
    box = gen_task(5, rng=random.Random(seed))
    box.run()
    clock.now += nominal - 0.001
    assert box.check_output() is None
    clock.now += 0.002
    assert box.check_output() == 10
    assert box.check_output() == 10


def test_durations_are_whole_seconds_from_1_to_99_times_the_scale(clock: Clock) -> None:
    """A blocking box sleeps n · scale seconds, with n from 1 to 99 and every n seen."""
    rng = random.Random(7)
    for _ in range(4_000):
        gen_task(1, scale=0.5, rng=rng).run()
    assert {n * 0.5 for n in range(1, 100)} == set(clock.slept)


def test_the_kinds_have_equal_chances(clock: Clock) -> None:
    """Of 4,000 boxes about half block: five standard deviations are 158."""
    rng = random.Random(3)
    blocking = sum(is_blocking(clock, gen_task(1, rng=rng)) for _ in range(4_000))
    assert abs(blocking - 2_000) <= 158


@given(seed=st.integers(), scale=st.floats(0, 1_000))
def test_one_seed_gives_one_box(seed: int, scale: float) -> None:
    """Kind and duration depend on the generator alone."""
    first, second = (gen_task(1, scale=scale, rng=random.Random(seed)) for _ in range(2))
    assert type(first) is type(second)
    assert vars(first) == vars(second)


def test_without_a_generator_boxes_differ() -> None:
    """No rng given: chance decides, and leaves the global generator alone."""
    state = random.getstate()
    assert len({str(sorted(vars(gen_task(1)).items())) for _ in range(100)}) > 10
    assert state == random.getstate()


def test_a_box_may_be_run_again(clock: Clock) -> None:
    """A second run() begins anew: nothing until the time has passed once more."""
    for seed in range(10):
        task = gen_task(4, rng=random.Random(seed))
        first = seconds_of(clock, task)
        assert first == seconds_of(clock, task)
        assert task.check_output() == 8


@pytest.mark.parametrize("val", ["2", None, [1], b"", object()])
def test_a_value_that_is_no_number_is_refused(val: object) -> None:
    """2·val has to mean something."""
    with pytest.raises(BadOption, match="val="):
        gen_task(val)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("scale", [-1, math.nan, math.inf, 1_000_001, True, "1", None])
def test_a_scale_out_of_range_is_refused(scale: object) -> None:
    """Nothing that time.sleep() could not take gets into a box."""
    with pytest.raises(BadOption, match="scale="):
        gen_task(1, scale=scale)  # type: ignore[arg-type]  # that is what is tested
