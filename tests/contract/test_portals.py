"""The suite of `Engine`, on `EnginePortal`."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import trio

from tests.contract import (
    test_engine_cancel,
    test_engine_draining,
    test_engine_events,
    test_engine_idempotency,
    test_engine_leaving,
    test_engine_listing,
    test_engine_modes,
    test_engine_polling,
    test_engine_results,
    test_engine_retries,
    test_engine_statistics,
    test_engine_submit,
    test_engine_timeouts,
    test_engine_wall,
)
from tests.contract.portals import HandClock, PortalWorld, WatchedBell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SUITES = [
    test_engine_cancel,
    test_engine_draining,
    test_engine_events,
    test_engine_idempotency,
    test_engine_leaving,
    test_engine_listing,
    test_engine_modes,
    test_engine_polling,
    test_engine_results,
    test_engine_retries,
    test_engine_statistics,
    test_engine_submit,
    test_engine_timeouts,
    test_engine_wall,
]
ON_THE_ENGINES_THREAD = (
    "test_a_body_may_submit_and_wait_for_what_it_submitted",
    "test_a_cancelled_wait_for_the_end_takes_nothing_more_in",
    "test_a_coroutine_task_may_submit_while_the_block_is_being_left",
    "test_a_hostile_output_is_an_output_or_a_failure",
    "test_a_task_may_cancel_itself",
    "test_an_async_function_runs_on_the_loop_without_a_slot",
    "test_the_siblings_of_a_task_that_dies_in_its_cleanup",
)
"""Their tasks call the engine on its own thread, or their test shares the thread with them: a
portal refuses the one and has not the other."""
IN_A_CANCEL_SCOPE = (
    "test_a_cancelled_block_follows_the_same_rule",
    "test_a_deadline_around_the_block_ends_the_wait_for_its_tasks",
    "test_an_engine_in_a_nursery_is_left_when_a_sibling_fails",
    "test_an_exception_comes_out_unchanged_while_an_outer_scope_is_cancelled",
    "test_rows_stay_however_the_drained_engine_is_left",
)
"""A Trio scope around the block is cancelled; around a portal there is none."""
BETWEEN_TWO_STEPS = (
    "test_a_body_that_finishes_first_has_succeeded",
    "test_a_cadence_is_told_how_polling_ended",
    "test_a_call_that_no_thread_has_begun_is_not_waited_for",
    "test_a_call_that_no_thread_has_begun_is_taken_back",
    "test_a_cancel_after_a_timeout_forbids_the_next_attempt",
    "test_a_cancel_races_with_the_thread_that_begins",
    "test_a_coroutine_is_unwound",
    "test_a_coroutine_that_has_not_begun_is_dropped",
    "test_a_coroutine_times_out_at_its_moment",
    "test_a_drain_ends_with_its_grace",
    "test_a_draining_engine_takes_nothing_in_and_starts_nothing",
    "test_a_final_state_that_is_not_committed_yet_is_known",
    "test_a_listing_shows_what_has_just_been_done",
    "test_a_long_listing_lets_others_have_their_turn",
    "test_a_look_that_hangs_is_timed_out_with_its_attempt",
    "test_a_not_before_time_in_the_past_is_none",
    "test_a_replay_lets_others_have_their_turn",
    "test_a_running_body_is_waited_for_and_then_cancelled",
    "test_a_start_time_is_a_wall_time",
    "test_a_task_that_pauses_between_attempts_is_dropped",
    "test_a_timed_out_thread_with_attempts_left_is_not_answered_yet",
    "test_a_timeout_after_a_cancel_changes_nothing",
    "test_a_timeout_is_per_attempt_and_a_deadline_over_all",
    "test_an_answer_once_given_stays",
    "test_bodies_that_end_within_the_grace_are_waited_for",
    "test_cancels_in_one_tick_agree",
    "test_looks_go_on_while_every_slot_is_stuck",
    "test_snapshots_are_frozen",
    "test_submit_nowait_takes_a_task_in_before_anything_runs",
    "test_ten_bodies_that_never_end_hold_the_block_for_the_grace_only",
    "test_the_error_of_the_attempt_before_shows_in_the_pause_only",
)
"""They look at, or act on, a moment between two steps of the engine's loop, which goes on by itself
behind a portal."""
OF_VERY_MANY_MOMENTS = (
    "test_a_deadline_in_the_pause_between_attempts_ends_the_task",
    "test_six_hours_of_polling_pass_in_a_moment",
    "test_ten_thousand_tasks_of_all_modes",
)
"""Each moment costs several hops here: they would take most of the suite's time."""
LEFT_OUT = {
    *ON_THE_ENGINES_THREAD,
    *IN_A_CANCEL_SCOPE,
    *BETWEEN_TWO_STEPS,
    *OF_VERY_MANY_MOMENTS,
}


@pytest.fixture
def clock() -> HandClock:
    """The clock of both loops."""
    return HandClock()


@pytest.fixture
async def world(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PortalWorld]:
    """A world of portals in which, after the test, every invariant must hold."""
    found = PortalWorld(clock, tmp_path / "tasks.db")
    bells = SimpleNamespace(Event=partial(WatchedBell, found.traffic))
    monkeypatch.setattr("engine.portal.threading", bells)
    trio.lowlevel.spawn_system_task(found.conduct)
    yield found
    assert found.problems() == []


globals().update(
    {
        name: promise
        for suite in SUITES
        for name, promise in vars(suite).items()
        if name.startswith("test_") and name not in LEFT_OUT
    }
)


def test_what_is_left_out_exists() -> None:
    """No name on the lists above is a mistake or a thing of the past."""
    assert {name for suite in SUITES for name in vars(suite)} >= LEFT_OUT
