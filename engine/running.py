"""Joins the parts of an engine, and takes them apart again in the right order.

Two nurseries: the outer one writes the journal, the inner one minds the tasks. So whatever ends
the tasks, what was recorded of it still reaches the disk.

The rule of leaving: an exception that leaves the user's block comes out as the same object and in
no group. Task failures never do. A defect of the engine does, with the user's exception as its
context.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import trio

from .adoption import adopt
from .clock import Clock
from .executors.local import LocalExecutor
from .housekeeping import keep_house
from .lanes import Lanes, open_lanes
from .leaving import cancel_all
from .outputs import keep
from .store.state import StateStore
from .supervisor import Supervisor
from .waiting import Waiters

if TYPE_CHECKING:
    from .api import Cadence, Journal, RunSync
    from .kinds.registry import Registry
    from .retry import Backoff


class Parts(NamedTuple):
    """What an engine is made of while it is open."""

    journal: Journal
    clock: Clock
    store: StateStore
    supervisor: Supervisor
    waiters: Waiters
    lanes: Lanes


class Plan(NamedTuple):
    """How to make them."""

    journal: Callable[[], AbstractAsyncContextManager[Journal]]
    durable: bool
    """True when outputs have to be kept outside this process."""
    capacity: int
    poll_capacity: int
    grace: float
    cadence: Cadence
    backoff: Backoff
    kinds: Registry
    wall: Callable[[], float]
    threads: RunSync
    drained: Callable[[], bool]
    """Asked on leaving: True when live tasks are to be left as they are."""


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Parts]:
    """An engine's parts, recovered and at work; leaving follows the rule above."""
    failure: BaseException | None = None
    try:
        async with plan.journal() as journal, trio.open_nursery() as outer:
            clock = Clock(plan.wall)
            store = StateStore(journal, clock, outputs_kept=10_000 if plan.durable else 100_000)
            outer.start_soon(_write, journal, store)
            try:
                async with trio.open_nursery() as nursery:
                    parts = await _assemble(plan, journal, clock, store, nursery)
                    try:
                        yield parts
                        if not plan.drained():
                            await parts.supervisor.all_final()
                    except BaseException as error:  # noqa: BLE001  raised again at the end
                        failure = error
                        await cancel_all(parts.supervisor, store, plan.grace)
                    nursery.cancel_scope.cancel()
            finally:
                store.feed.close()
                journal.close(store.ids.next)
    except BaseException as error:  # noqa: BLE001  split in _raise
        _raise(error, failure)
    if failure is not None:
        raise failure


async def _assemble(
    plan: Plan, journal: Journal, clock: Clock, store: StateStore, nursery: trio.Nursery
) -> Parts:
    lanes = open_lanes(nursery, plan.capacity, plan.poll_capacity, plan.threads)
    executor = LocalExecutor(lanes, keep if plan.durable else None)
    supervisor = Supervisor(
        nursery,
        store,
        clock,
        executor,
        capacity=plan.capacity,
        cadence=plan.cadence,
        backoff=plan.backoff,
    )
    waiters = Waiters()
    store.listen(waiters.published)
    adopt(supervisor, store, journal.recovered, plan.kinds)
    await store.durable(store.revision)
    nursery.start_soon(supervisor.admission.run, name="creche: admission")
    nursery.start_soon(supervisor.cancellation.timers.run, name="creche: timers")
    nursery.start_soon(keep_house, store, clock, name="creche: housekeeping")
    return Parts(journal, clock, store, supervisor, waiters, lanes)


async def _write(journal: Journal, store: StateStore) -> None:
    try:
        await journal.run(store.committed)
    except BaseException:
        store.broke()
        raise


def _raise(error: BaseException, failure: BaseException | None) -> NoReturn:
    """Out of the wreck of a nursery, raise what the user has to know."""
    defect: BaseException | None = error
    if isinstance(error, BaseExceptionGroup):
        _, defect = error.split(trio.Cancelled)
    elif isinstance(error, trio.Cancelled):
        defect = None
    while isinstance(defect, BaseExceptionGroup) and len(defect.exceptions) == 1:
        defect = defect.exceptions[0]
    if defect is None:
        raise failure or error
    if defect is not failure:
        defect.__context__ = failure
    raise defect
