"""What every attempt of an engine works with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .api import Executor
    from .attempt import Attempt
    from .clock import Clock
    from .pauses import Pauses
    from .polls import Polls
    from .store.state import StateStore


class Surroundings(NamedTuple):
    """One engine's parts, as its attempts need them."""

    store: StateStore
    clock: Clock
    executor: Executor
    polls: Polls
    pauses: Pauses
    release: Callable[[Attempt], None]
    """Called when the attempt needs its slot no more."""
