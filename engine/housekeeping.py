"""What has to be done from time to time, whatever the tasks do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from .cancellation import Cancellation
    from .clock import Clock
    from .store.state import StateStore

_ROUND_SECONDS: Final = 2.0
_SAMPLES_PER_ROUND: Final = 400
_SAMPLE_AGAIN_SECONDS: Final = 5.0


@trio.lowlevel.enable_ki_protection
async def keep_house(store: StateStore, clock: Clock, cancellation: Cancellation) -> None:
    """Follow the system's clock, and let rows on disk catch up with tasks that are polled.

    A task is sampled soon after its first look and every 5 s then; when there are more than 200 a
    second to sample, they take turns. Runs until cancelled.
    """
    turn = 0
    while True:
        await trio.sleep(_ROUND_SECONDS)
        if clock.check():
            cancellation.clock_was_set()
        turn = _sample(store, turn, clock.now())


def _sample(store: StateStore, turn: int, now: float) -> int:
    """Sample what is due, from this place in the polling tasks on; the place to go on from."""
    polling = list(store.live.items())
    left = _SAMPLES_PER_ROUND
    for step in range(len(polling)):
        at = (turn + step) % len(polling)
        task_id, live = polling[at]
        if now - live.sampled_at >= _SAMPLE_AGAIN_SECONDS:
            live.sampled_at = now
            store.sample(task_id)
            left -= 1
            if not left:
                return at + 1
    return 0
