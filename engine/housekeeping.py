"""What has to be done from time to time, whatever the tasks do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from .clock import Clock
    from .store.state import StateStore

_SECONDS: Final = 5.0
_SAMPLES: Final = 1_000
"""Of so many polling tasks the rows on disk catch up in one round: 200 a second."""


async def keep_house(store: StateStore, clock: Clock) -> None:
    """Follow the system's clock, and let rows on disk catch up with tasks that are polled.

    Each task is sampled once a round at most, and when there are more than one round can take,
    they take turns. Runs until cancelled.
    """
    turn = 0
    while True:
        await trio.sleep(_SECONDS)
        clock.check()
        polling = list(store.live)
        turn = turn if turn < len(polling) else 0
        for task_id in polling[turn : turn + _SAMPLES]:
            store.sample(task_id)
        turn += _SAMPLES
