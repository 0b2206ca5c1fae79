"""Taking over what the last engine on a store has left."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from .errors import BadArguments, KindNotFound
from .model import Mode
from .store.recovery import recover
from .submission import recipe_of_kind

if TYPE_CHECKING:
    from .api import Recovered
    from .kinds import Registry
    from .model import TaskSnapshot
    from .store.state import StateStore
    from .supervisor import Supervisor

_AT_ONCE: Final = 500
_log = logging.getLogger(__name__)


async def adopt(
    supervisor: Supervisor, store: StateStore, recovered: Recovered, kinds: Registry, now: float
) -> None:
    """Make the moves that recovery asks for, at the wall time ``now``, and queue what can go on.

    A row whose kind is not registered here, or whose arguments do not fit it any more, is kept as
    it is: it waits for an engine that knows the kind.
    """
    rows = recover(store, recovered.unfinished, clean=recovered.clean, now=now)
    for number, row in enumerate(rows, start=1):
        if number % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        try:
            arguments = kinds.check(row.kind, msgspec.json.decode(row.arguments or "null"))
        except (KindNotFound, BadArguments) as error:
            _log.warning("task %d stays %s: %s", row.id, row.state, error)
            supervisor.stranded.add(row.id)
        else:
            supervisor.take(row, recipe_of_kind(row.kind, arguments, kinds, _declared(row)), None)


def _declared(row: TaskSnapshot) -> Mode:
    """A mode that was only guessed is found out again."""
    return Mode.AUTO if row.mode_guessed else row.mode
