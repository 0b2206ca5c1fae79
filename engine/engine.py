"""The engine as its user sees it: one class, opened with ``async with``.

This file only joins the parts. What a task goes through is in `supervisor` and `attempt`, what is
known of it in `store.state`, who waits for it in `waiting`.
"""

from __future__ import annotations

import builtins
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, Unpack

import trio

from .bounds import integer_within, number_within
from .cadence import Quadratic
from .errors import (
    BadOption,
    CrecheError,
    EngineClosed,
    QueueFull,
    StoreError,
    WrongThread,
)
from .guard import GuardedCadence
from .iterating import Completions
from .kinds import default_registry
from .leaving import leave_all
from .model import Durability, Rung, State, TaskSnapshot, Why
from .options import text_of
from .orders import Receipt
from .query import Query
from .reading import Reading
from .retry import Backoff
from .running import Parts, Plan, running
from .statistics import CancelAnswer, EngineStatistics, statistics_of
from .store.local_reader import LocalReader
from .store.opening import open_journal
from .submission import prepare
from .together import prepare_each, take_all, take_each
from .waiting import is_answered

if TYPE_CHECKING:
    from .api import Cadence, Reader, RunSync
    from .kinds import Registry
    from .model import Event, Page, Reset
    from .options import Options
    from .orders import Order
    from .submission import Submission

LIVE_LIMIT: Final = 1_000_000


class Engine:
    """Minds tasks: starts them, watches them, and answers for them at any moment.

    Open it with ``async with``. Leaving the block waits for every live task, as a nursery does;
    `drain` ends sooner. Leaving it by an exception cancels all tasks, waits ``grace`` seconds for
    those that only end by themselves, and lets the exception through unchanged. No task's failure
    ever raises out of the block.

    The verbs that do not await answer from memory and take microseconds.

    Args:
        store: Path of the file that makes the tasks durable; None keeps them in memory.
        capacity: How many run() calls may be in threads at once.
        poll_capacity: How many check_output() calls may be in threads at once.
        durability: ``power``: what was acknowledged survives a loss of power; ``process``: the
            death of the process; ``none``: neither for certain.
        grace: Seconds to wait when the block is left by an exception.
        live_limit: How many tasks may be live before `QueueFull`.
        cadence: When to look at polling tasks, where a task brings no cadence of its own.
        kinds: The kinds that may be submitted by name; the built-in ones when left out.
        rng: Chance, for jitter and backoff.
        wall: The wall clock.
        threads: Where blocking calls go; a stand-in for `trio.to_thread.run_sync` in simulations.

    Raises:
        BadOption: An argument is outside what is possible.

    Entering the block raises StoreInUse, StoreUnsafe or StoreUnreadable when the store cannot be
    opened; leaving it raises StoreFailed when writing has failed.
    """

    def __init__(
        self,
        store: str | Path | None = None,
        *,
        capacity: int = 512,
        poll_capacity: int = 64,
        durability: Durability | str = Durability.POWER,
        grace: float = 5.0,
        live_limit: int = LIVE_LIMIT,
        cadence: Cadence | None = None,
        kinds: Registry | None = None,
        rng: random.Random | None = None,
        wall: Callable[[], float] = time.time,
        threads: RunSync = trio.to_thread.run_sync,
    ) -> None:
        level = _level(durability)
        rng = rng or random.Random()
        self.store_path: Final = None if store is None else Path(store)
        self.kinds: Final = kinds if kinds is not None else default_registry()
        self.draining = False
        """True from `drain` on."""
        self._live_limit = integer_within("live_limit", live_limit, 1, LIVE_LIMIT)
        self._threads = threads
        path = self.store_path
        self._plan = Plan(
            journal=lambda: open_journal(path, durability=level, wall=wall, threads=threads),
            durable=path is not None,
            capacity=integer_within("capacity", capacity, 1, 100_000),
            poll_capacity=integer_within("poll_capacity", poll_capacity, 1, 100_000),
            grace=number_within("grace", grace, 0.0, 86_400.0),
            cadence=Quadratic(rng=rng) if cadence is None else GuardedCadence(cadence),
            backoff=Backoff(rng=rng),
            kinds=self.kinds,
            wall=wall,
            threads=threads,
            drained=lambda: self.draining,
        )
        self._block: AbstractAsyncContextManager[Parts] | None = None
        self._parts: Parts | None = None
        self._reading: Reading | None = None
        self._open = self._left = False
        self._thread: int | None = None
        self._started_at = 0.0
        self._began = 0.0

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise EngineClosed("an engine is opened only once")
        self._block = running(self._plan)
        parts = self._parts = await self._block.__aenter__()
        self._reading = Reading(parts.store, parts.clock, parts.journal.reader(), self._threads)
        self._open, self._thread = True, threading.get_ident()
        self._started_at, self._began = parts.clock.wall(), parts.clock.now()
        return self

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._block is None:
            raise EngineClosed
        if error is not None:
            self._open = False
        try:
            return await self._block.__aexit__(kind, error, traceback)
        finally:
            self._open, self._left, self._thread = False, True, None
            if self._parts is not None:
                self._parts.waiters.close()

    # -- submitting --------------------------------------------------------------------------------

    def submit_nowait(self, task: object, **options: Unpack[Options]) -> int:
        """Take a task in and return its id at once. It may be lost with the process until it is
        durable; `submit` waits for that.

        Raises NotATask, BadOption, KindNotFound, BadArguments, KeyReused, QueueFull, EngineClosed.
        """
        return self._accept([self._prepare(task, options)])[0].id

    async def submit(self, task: object, **options: Unpack[Options]) -> int:
        """Take a task in and return its id when it is durable. Raises as `submit_nowait`, and
        StoreFailed."""
        rows = self._accept([self._prepare(task, options)])
        await self._durable(rows)
        return rows[0].id

    async def submit_many(
        self, tasks: Iterable[object], **options: Unpack[Options]
    ) -> builtins.list[int]:
        """Take all of these tasks in, or none of them; returns their ids when all are durable.

        Raises as `submit`.
        """
        await trio.lowlevel.checkpoint()
        submissions = []
        for task in tasks:
            submissions.append(self._prepare(task, options))
            if len(submissions) % 1_000 == 0:
                await trio.lowlevel.checkpoint()
        rows = self._accept(submissions)
        await self._durable(rows)
        return [row.id for row in rows]

    async def submit_each(
        self, orders: Iterable[Order], *, atomic: bool = False
    ) -> builtins.list[Receipt | CrecheError]:
        """Take these in, each with options of its own; returns when they are durable.

        Each is answered in its place: with its receipt, which tells a known ``unique_key``, or with
        what `submit` would raise for it. With ``atomic`` all are taken in or none.

        Raises BatchRefused and QueueFull with ``atomic`` only; EngineClosed, StoreFailed.
        """
        prepared = await prepare_each(orders, self._accepting.clock.wall(), self.kinds)
        take = take_all if atomic else take_each
        taken = take(prepared, self._accepting, self._live_limit)
        await self._durable(one[0] for one in taken if not isinstance(one, CrecheError))
        return [
            one if isinstance(one, CrecheError) else Receipt(one[0].id, one[1]) for one in taken
        ]

    def _prepare(self, task: object, options: Options) -> Submission:
        self._check_thread("submit_nowait")
        return prepare(task, options, self._inside.clock.wall(), self.kinds)

    def _accept(self, submissions: builtins.list[Submission]) -> builtins.list[TaskSnapshot]:
        inside = self._accepting
        live = inside.store.index.live
        if live + len(submissions) > self._live_limit:
            raise QueueFull(live, self._live_limit)
        return inside.supervisor.accept(submissions)

    async def _durable(self, rows: Iterable[TaskSnapshot]) -> None:
        store = self._inside.store
        # Not the last one's: under a known key that may be a task of long ago.
        await store.durable(
            max((row.revision for row in rows if row.epoch == store.epoch), default=0)
        )

    @property
    def _accepting(self) -> Parts:
        inside = self._inside
        if not inside.supervisor.admission.open:
            raise EngineClosed("the engine is draining" if self.draining else "the engine was left")
        return inside

    # -- asking ------------------------------------------------------------------------------------

    def status(self, task_id: int) -> TaskSnapshot:
        """The task at this moment. Raises TaskNotFound or TaskNotInMemory (then `get` knows it)."""
        return self._inside.store.get(task_id)

    def counts(self) -> dict[State, int]:
        """How many tasks are in each state, every state present. O(states)."""
        return self._inside.store.index.counts()

    async def get(self, task_id: int) -> TaskSnapshot:
        """The task, from the file where memory no longer has it. Raises TaskNotFound."""
        try:
            row = await self._read.get(task_id)
        except StoreError as error:
            if self._left:
                raise EngineClosed("the engine was left") from error
            raise
        await trio.lowlevel.checkpoint()
        return row

    async def list(
        self, query: str | Query = "", *, after: int | None = None, limit: int = 50
    ) -> Page:
        """Tasks that match a query, newest first, with ids below ``after``. Raises BadQuery."""
        parsed = query if isinstance(query, Query) else Query.parse(query)
        page = await self._read.page(parsed, after, limit)
        await trio.lowlevel.checkpoint()
        return page

    async def result(self, task_id: int) -> object:
        """The task's output, as soon as there is one.

        Raises TaskFailed, TaskCancelled, TaskTimedOut or TaskLost as soon as it is certain that
        there will be none; OutputNotKept when it succeeded and its output is gone; TaskNotFound;
        EngineClosed when the engine was left or drained before.
        """
        return await self._read.output((await self.wait([task_id]))[0])

    async def output_json(self, task_id: int) -> str:
        """The output of a task that has ended, as strict JSON. Raises as `result`, and does not
        wait: OutputNotReady while there is none."""
        return await self._read.output_json(await self.get(task_id))

    async def wait(self, ids: Iterable[int]) -> builtins.list[TaskSnapshot]:
        """Wait until each of these tasks is answered: final, or certain not to succeed in time
        (`cancelling`). Returns their snapshots in the given order; a task's failure does not raise.

        Raises TaskNotFound, EngineClosed.
        """
        wanted = [(await self.get(task_id)).id for task_id in ids]
        rows: dict[int, TaskSnapshot | None] = {}
        store = self._inside.store

        def note(task_id: int) -> None:
            rows[task_id] = store.find(task_id)

        await self._inside.waiters.wait(wanted, note)
        answers = [rows[task_id] or await self.get(task_id) for task_id in wanted]
        for row in answers:
            if not is_answered(row):
                raise EngineClosed(f"the engine ended before task {row.id}")
        return answers

    def as_completed(self, ids: Iterable[int]) -> AsyncIterator[int]:
        """The ids of these tasks, each as soon as it is answered (see `wait`), each once.

        Raises TaskNotFound, EngineClosed.
        """
        return Completions(ids, self._inside.waiters, self.get)

    # -- acting ------------------------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    def cancel_nowait(self, task_id: int, *, reason: str | None = None) -> CancelAnswer:
        """Cancel a task; the answer's rung says what that really did.

        Raises TaskNotFound, TaskNotInMemory, EngineClosed.
        """
        self._check_thread("cancel_nowait")
        inside = self._inside
        if not self._open:
            raise EngineClosed("the engine was left")
        if reason is not None:
            reason = text_of("reason", reason)
        rung = inside.supervisor.cancellation.stop(task_id, Why.ASKED, reason)
        return CancelAnswer(task_id, rung, inside.store.get(task_id))

    async def cancel(self, task_id: int, *, reason: str | None = None) -> CancelAnswer:
        """As `cancel_nowait`; what it did is durable when it returns."""
        store = self._inside.store
        row = store.find(task_id) or await self.get(task_id)
        if row.state.final:
            await trio.lowlevel.checkpoint()
            return CancelAnswer(task_id, Rung.ALREADY_FINAL, row)
        rung = self.cancel_nowait(task_id, reason=reason).rung
        await store.durable(store.revision)
        return CancelAnswer(task_id, rung, await self.get(task_id))

    @trio.lowlevel.enable_ki_protection
    async def drain(self, grace: float | None = None) -> None:
        """Take nothing in and start nothing any more, stop looking, and give calls that are
        executing ``grace`` seconds (default: the engine's) to end.

        Tasks that are left keep their state; on a store of their own the next engine takes them
        over. The block can then be left at once.
        """
        inside = self._inside
        grace = self._plan.grace if grace is None else number_within("grace", grace, 0.0, 86_400.0)
        self._check_thread("drain")
        self.draining = True
        await leave_all(inside.supervisor, inside.store, grace)
        # What has ended meanwhile is waited for and watched until it is known to be so.
        await inside.store.durable(inside.store.revision)
        inside.store.feed.close()
        inside.waiters.close()

    # -- watching ----------------------------------------------------------------------------------

    def events(self, since: str | None = None) -> AsyncIterator[Event | Reset]:
        """Recorded moves as they become durable, without a gap; where some are no longer kept, a
        `Reset` stands for them. Ends when the engine drains or is left.

        ``since``: None from now on, "" from the oldest kept, else the cursor of the last one seen.
        Raises ValueError for what is no cursor.
        """
        return self._read.events(since)

    def statistics(self) -> EngineStatistics:
        """The figures of this moment."""
        self._check_thread("statistics")
        return statistics_of(
            self._inside,
            started_at=self._started_at,
            uptime=self._inside.clock.now() - self._began,
            live_limit=self._live_limit,
            draining=self.draining,
        )

    @property
    def epoch(self) -> int:
        """Which life of the store this is; counts from 1."""
        return self._inside.store.epoch

    def reader(self) -> Reader:
        """A reader of the engine's memory, for use on its own thread."""
        return LocalReader(self._inside.store, self._inside.clock)

    def announce(self, endpoint: str | None) -> None:
        """Tell other processes where the control socket is; None when there is none (any more)."""
        self._check_thread("announce")
        self._inside.journal.announce(endpoint)

    def _check_thread(self, verb: str) -> None:
        if self._thread not in {None, threading.get_ident()}:
            raise WrongThread(verb)

    @property
    def _inside(self) -> Parts:
        if self._parts is None:
            raise EngineClosed
        return self._parts

    @property
    def _read(self) -> Reading:
        if self._reading is None:
            raise EngineClosed
        return self._reading


def _level(durability: str) -> Durability:
    try:
        return Durability(durability)
    except ValueError:
        raise BadOption("durability", durability, "power, process or none") from None
