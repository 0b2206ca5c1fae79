"""Joins the parts of an engine, and takes them apart again in the right order.

Two nurseries: the outer one writes the journal, the inner one minds the tasks. So whatever ends
the tasks, what was recorded of it still reaches the disk.

A real Ctrl-C is not for the engine's own tasks: they are protected from it (each by itself, since
that is not inherited), and Trio delivers it to the main task, in the user's block.

The rule of leaving: an exception that leaves the user's block comes out as the same object and in
no group. Task failures never do. A defect of the engine does, with the user's exception as its
context.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio

from .adoption import adopt
from .clock import Clock
from .errors import StoreFailed
from .executors.local import LocalExecutor
from .housekeeping import keep_house
from .lanes import Lanes, open_lanes
from .leaving import cancel_all
from .outputs import keep
from .store.state import StateStore
from .supervisor import Supervisor
from .waiting import Waiters, is_answered

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


class _Life:
    """What the user's block and the task that the engine lives in tell each other."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.parts: Parts | None = None
        """None when the opening has failed."""
        self.over = trio.Event()
        """The user's block has ended."""
        self.failed = False
        """By an exception."""


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def running(plan: Plan) -> AsyncIterator[Parts]:
    """An engine's parts, recovered and at work; leaving follows the rule above.

    The engine lives in a task of its own behind a shield: when the user's block is cancelled, its
    tasks must be ended by the ladder, not by that cancellation.
    """
    life = _Life()
    failure: BaseException | None = None
    wreck: BaseException | None = None
    try:
        async with trio.open_nursery() as host:
            host.start_soon(_live, plan, life)
            try:
                # Not `host.start`: cancelled meanwhile, that would wait for ever for a task that
                # is shielded, and the task for ever for the end of a block that never began.
                with trio.CancelScope(shield=True):
                    await life.opened.wait()
                await trio.lowlevel.checkpoint_if_cancelled()
                if life.parts is not None:
                    yield life.parts
                    if not plan.drained():
                        await life.parts.supervisor.all_final()
            except BaseException as error:  # noqa: BLE001  raised again at the end
                failure = error
                life.failed = True
            if life.parts is not None:
                life.parts.supervisor.admission.open = False  # nobody would run a task any more
            life.over.set()
    except BaseException as error:  # noqa: BLE001  looked into below
        wreck = error
    # Outside of the handlers: what is raised here must not get another context.
    defect = None if wreck is None else _defect(wreck)
    if defect is not None and defect is not failure:
        defect.__context__ = failure
        raise defect
    if failure is not None:
        raise failure
    if wreck is not None:
        raise wreck


@trio.lowlevel.enable_ki_protection
async def _live(plan: Plan, life: _Life) -> None:
    """The task that an engine lives in, out of reach of what cancels the user's block."""
    try:
        with trio.CancelScope(shield=True):
            await _open_and_close(plan, life)
    finally:
        life.opened.set()


async def _open_and_close(plan: Plan, life: _Life) -> None:
    """An engine's life, from opening its journal to closing it."""
    async with plan.journal() as journal, trio.open_nursery() as outer:
        clock = Clock(plan.wall)
        store = StateStore(journal, clock, outputs_kept=10_000 if plan.durable else 100_000)
        outer.start_soon(_write, journal, store)
        try:
            async with trio.open_nursery() as nursery:
                parts = await _assemble(plan, journal, clock, store, nursery)
                life.parts = parts
                life.opened.set()
                await life.over.wait()
                if life.failed and not plan.drained():
                    await cancel_all(parts.supervisor, store, plan.grace)
                nursery.cancel_scope.cancel()
        finally:
            store.feed.close()
            journal.close(store.ids.next)


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
    waiters = Waiters(partial(_answered, store))
    store.listen(waiters.published)
    await adopt(supervisor, store, journal.recovered, plan.kinds, clock.wall())
    await store.durable(store.revision)
    nursery.start_soon(supervisor.admission.run, name="creche: admission")
    nursery.start_soon(supervisor.cancellation.timers.run, name="creche: timers")
    nursery.start_soon(
        keep_house, store, clock, supervisor.cancellation, name="creche: housekeeping"
    )
    return Parts(journal, clock, store, supervisor, waiters, lanes)


def _answered(store: StateStore, task_id: int) -> bool:
    row = store.find(task_id)
    return row is None or is_answered(row)  # what is no longer in memory ended long ago


@trio.lowlevel.enable_ki_protection
async def _write(journal: Journal, store: StateStore) -> None:
    try:
        await journal.run(store.committed)
    except BaseException:
        store.broke()
        raise


def _defect(wreck: BaseException) -> BaseException | None:
    """What is to be raised of the wreck of a nursery; None when it was only cancelled.

    A single exception comes out of its groups. When writing has failed, everybody who waited for
    it has failed too: the first of these says it all.
    """
    if not isinstance(wreck, BaseExceptionGroup):
        return None if isinstance(wreck, trio.Cancelled) else wreck
    _, rest = wreck.split(trio.Cancelled)
    if rest is None:
        return None
    leaves = list(_leaves(rest))
    if len(leaves) == 1 or all(isinstance(leaf, StoreFailed) for leaf in leaves):
        return leaves[0]
    return rest


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
