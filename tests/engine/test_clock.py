"""One clock: durations are monotonic, wall times follow the system's, jumps are noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from engine.clock import Clock

if TYPE_CHECKING:
    from trio.testing import MockClock

START = 1_700_000_000.0


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self, virtual: MockClock) -> None:
        self.offset = START
        self._virtual = virtual

    def __call__(self) -> float:
        return self.offset + self._virtual.current_time()


async def test_wall_times_go_on_with_the_loops_clock(autojump: MockClock) -> None:
    """A virtual day is a day of wall time, and moments convert both ways."""
    clock = Clock(Wall(autojump))
    assert (clock.now(), clock.wall()) == (0.0, START)
    await trio.sleep(86_400)
    assert clock.wall() == START + 86_400
    assert clock.wall_of(clock.now() + 5) == clock.wall() + 5
    assert clock.moment_of(clock.wall_of(123.5)) == pytest.approx(123.5)


@pytest.mark.parametrize("jump", [3_600.0, -86_400.0, 5.1, -5.1])
async def test_a_jump_is_noticed_and_logged_once(
    autojump: MockClock, jump: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A wall clock that was set by more than 5 s: durations do not change, wall times follow
    from the next check on, and one line is logged."""
    wall = Wall(autojump)
    clock = Clock(wall)
    await trio.sleep(100)
    before = clock.wall()
    wall.offset += jump
    await trio.sleep(10)
    assert clock.wall() - before == pytest.approx(10)
    assert clock.check() == pytest.approx(jump)
    assert clock.wall() == pytest.approx(wall())
    assert clock.now() == pytest.approx(110)
    assert clock.check() == 0.0
    assert [f"{jump:+.1f} s" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("drift", [0.0, 4.9, -4.9])
async def test_small_corrections_are_let_pass(
    autojump: MockClock, drift: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock that is kept on time by small steps causes nothing."""
    wall = Wall(autojump)
    clock = Clock(wall)
    wall.offset += drift
    assert clock.check() == 0.0
    assert clock.wall() == START
    assert caplog.records == []
