"""Orders that come together: checked one by one, taken in one by one or all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from .errors import BatchRefused, CrecheError, KeyReused, QueueFull
from .submission import Submission, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kinds import Registry
    from .model import TaskSnapshot
    from .orders import Order
    from .running import Parts

_AT_ONCE: Final = 500
"""So many are prepared before the loop gets its turn."""


Prepared: TypeAlias = Submission | CrecheError
Taken: TypeAlias = "tuple[TaskSnapshot, bool] | CrecheError"


async def prepare_each(orders: Iterable[Order], wall: float, kinds: Registry) -> list[Prepared]:
    """Check each order; one that cannot be submitted gives the error instead."""
    found: list[Prepared] = []
    for order in orders:
        try:
            found.append(prepare(order.task, order.options, wall, kinds))
        except CrecheError as error:
            found.append(error)
        if len(found) % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return found


def take_each(prepared: Sequence[Prepared], parts: Parts, live_limit: int) -> list[Taken]:
    """Take in what can be; each gets a row, and whether it was there before, or its error."""
    return [
        order if isinstance(order, CrecheError) else _take(order, parts, live_limit)
        for order in prepared
    ]


def _take(order: Submission, parts: Parts, live_limit: int) -> Taken:
    store = parts.store
    first = store.ids.next
    try:
        if store.index.live >= live_limit and store.unique.find(order.draft) is None:
            return QueueFull(store.index.live, live_limit)
        (row,) = parts.supervisor.accept([order])
    except KeyReused as error:
        return error
    return row, row.id < first


def take_all(prepared: Sequence[Prepared], parts: Parts, live_limit: int) -> list[Taken]:
    """Take all of these in, or none.

    Raises BatchRefused with every error that there is, and QueueFull.
    """
    store = parts.store
    errors = {at: order for at, order in enumerate(prepared) if isinstance(order, CrecheError)}
    sound = {at: order for at, order in enumerate(prepared) if not isinstance(order, CrecheError)}
    reused = store.unique.reused(order.draft for order in sound.values())
    errors |= {at: reused[nth] for nth, at in enumerate(sound) if nth in reused}
    if errors:
        raise BatchRefused(dict(sorted(errors.items())))
    new = sum(store.unique.find(order.draft) is None for order in sound.values())
    if new and store.index.live + new > live_limit:
        raise QueueFull(store.index.live, live_limit)
    seen = store.ids.next
    taken: list[Taken] = []
    for row in parts.supervisor.accept(sound.values()):
        taken.append((row, row.id < seen))
        # A key that stands twice in the batch is known from its second time on.
        seen = max(seen, row.id + 1)
    return taken
