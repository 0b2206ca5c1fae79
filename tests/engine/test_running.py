"""Joining an engine's parts and taking them apart: defects, failing journals, leaving."""

from __future__ import annotations

import random
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from engine import Engine, Order
from engine.cadence import Fixed
from engine.errors import StoreFailed
from engine.kinds import default_registry
from engine.model import Rung, State, TaskSnapshot, Why
from engine.retry import Backoff
from engine.running import Parts, Plan, running
from engine.submission import prepare
from engine.testing import VirtualThreads
from tests.contract.told_journal import ToldJournal

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api import Journal


class Own(BaseException):
    """The user's own."""


def plan(
    journal: Journal, clock: trio.testing.MockClock, *, drained: Callable[[], bool] = bool
) -> Plan:
    """A plan around a journal."""
    return Plan(
        journal=lambda: nullcontext(journal),
        durable=False,
        capacity=10,
        poll_capacity=10,
        grace=5.0,
        cadence=Fixed(1),
        backoff=Backoff(rng=random.Random(1)),
        kinds=default_registry(),
        wall=lambda: 1e9 + clock.current_time(),
        threads=VirtualThreads(clock).run_sync,
        drained=drained,
    )


def submit(parts: Parts, task: object, **options: Any) -> TaskSnapshot:
    """Take a task in."""
    kinds = default_registry()
    submission = prepare(task, options, parts.clock.wall(), kinds)  # type: ignore[arg-type]
    return parts.supervisor.accept([submission])[0]


async def test_parts_are_at_work_inside_and_at_rest_after(autojump: trio.testing.MockClock) -> None:
    """Tasks run inside; leaving waits for them and then gives unused ids back."""
    journal = ToldJournal()
    async with running(plan(journal, autojump)) as parts:
        row = submit(parts, partial(trio.sleep, 5))
    assert parts.store.get(row.id).state is State.SUCCEEDED
    assert trio.current_time() == pytest.approx(5)
    assert journal.closed_with == row.id + 1
    assert parts.store.feed.closed


async def test_a_defect_comes_out_with_the_users_exception_as_its_context(
    autojump: trio.testing.MockClock,
) -> None:
    """When the engine breaks while the user's own exception is on its way, the defect is raised,
    in no group, and what the user raised is its context."""
    error = Own()
    defect = ZeroDivisionError("a defect")

    class Breaks(ToldJournal):
        def put(self, entry: Any) -> None:
            if entry.event.state is State.CANCELLED:
                raise defect
            super().put(entry)

    with pytest.raises(ZeroDivisionError) as caught:  # noqa: PT012  the block is what is left
        async with running(plan(Breaks(), autojump)) as parts:
            submit(parts, partial(trio.sleep, 1000), not_before=2e9)
            await trio.sleep(1)
            raise error
    assert caught.value is defect
    assert defect.__context__ is error


async def test_a_defect_ends_the_users_block_by_itself(autojump: trio.testing.MockClock) -> None:
    """A defect while the user waits cancels the block and comes out alone, in no group."""

    class Breaks(ToldJournal):
        def put(self, entry: Any) -> None:
            if entry.event.state is State.SUCCEEDED:
                raise ZeroDivisionError("a defect")
            super().put(entry)

    cancelled: list[bool] = []
    with pytest.raises(ZeroDivisionError, match="a defect"):  # noqa: PT012  the block is what is left
        async with running(plan(Breaks(), autojump)) as parts:
            submit(parts, partial(trio.sleep, 3))
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(True)
    assert cancelled == [True]
    assert trio.current_time() == pytest.approx(3)


async def test_a_failing_journal_comes_out_as_store_failed(
    autojump: trio.testing.MockClock,
) -> None:
    """Writing fails: the block is cancelled and StoreFailed comes out, the journal's own."""
    journal = ToldJournal()
    error = StoreFailed("here", "no space")
    with pytest.raises(StoreFailed) as caught:  # noqa: PT012  the block is what is left
        async with running(plan(journal, autojump)) as parts:
            submit(parts, partial(trio.sleep, 1000))
            await trio.sleep(1)
            journal.fail(error)
            await trio.sleep_forever()
    assert caught.value is error


async def test_a_failing_journal_is_one_error_however_many_wait_for_it(
    autojump: trio.testing.MockClock,
) -> None:
    """Attempts that wait for their start to be durable, and the user, all fail with the journal;
    one StoreFailed comes out, in no group."""
    journal = ToldJournal(by_itself=False)
    with pytest.raises(StoreFailed):  # noqa: PT012  the block is what is left
        async with running(plan(journal, autojump)) as parts:
            for _ in range(5):
                submit(parts, "sample", arguments={"value": 1})
                submit(parts, partial(trio.sleep, 3))
            async with trio.open_nursery() as nursery:
                for revision in (1, 5, 9):
                    nursery.start_soon(parts.store.durable, revision)
                await trio.sleep(1)
                journal.fail()


async def test_a_journal_that_fails_on_the_way_out_is_heard(
    autojump: trio.testing.MockClock,
) -> None:
    """Writing fails while the tasks of a block that raised are being cancelled: StoreFailed comes
    out, with the user's exception as its context."""
    journal = ToldJournal()
    error = Own()

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            journal.fail()
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    with pytest.raises(StoreFailed) as caught:  # noqa: PT012  the block is what is left
        async with running(plan(journal, autojump)) as parts:
            submit(parts, stubborn)
            await trio.sleep(1)
            raise error
    assert caught.value.__context__ is error


async def test_a_journal_that_cannot_be_opened_is_the_only_error(
    autojump: trio.testing.MockClock,
) -> None:
    """What opening the journal raises comes out of entering, as it is."""

    def cannot() -> Any:
        raise StoreFailed("here", "no space to begin")

    broken = plan(ToldJournal(), autojump)._replace(journal=cannot)
    with pytest.raises(StoreFailed, match="no space to begin"):
        async with running(broken):
            raise AssertionError("never entered")


async def test_recovery_is_durable_before_the_block_is_entered(
    autojump: trio.testing.MockClock,
) -> None:
    """What recovery recorded is committed when the block begins."""
    rows = [TaskSnapshot(id=3, state=State.RUNNING, kind="gone", attempts=1)]
    journal = ToldJournal(by_itself=False, epoch=2, next_id=4, unfinished=rows)
    entered: list[float] = []

    async def enter() -> None:
        async with running(plan(journal, autojump)) as parts:
            entered.append(trio.current_time())
            assert parts.store.get(3).state is State.LOST

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        await trio.sleep(7)
        assert entered == []
        journal.commit()
    assert entered == [7]


async def test_a_body_of_a_kind_is_opened_only_once_its_start_is_durable(
    autojump: trio.testing.MockClock,
) -> None:
    """T3: of a recoverable kind the start is committed before any of its code runs; a live
    object need not wait."""
    journal = ToldJournal(by_itself=False)
    async with running(plan(journal, autojump)) as parts:
        kind = submit(parts, "sample", arguments={"value": 1, "scale": 0})
        calls: list[int] = []
        live = submit(parts, partial(calls.append, 1))
        await trio.sleep(5)
        assert parts.store.head(kind.id).state is State.RUNNING
        assert (calls, parts.store.head(live.id).state) == ([1], State.SUCCEEDED)
        journal.commit(4)
        await trio.sleep(5)
        assert parts.store.head(kind.id).state in {State.POLLING, State.SUCCEEDED}
        journal._by_itself = True
        journal.commit()


async def test_what_is_left_behind_is_marked_in_a_sample(
    autojump: trio.testing.MockClock,
) -> None:
    """A coroutine that will not end within the grace is marked as abandoned on the disk too."""
    journal = ToldJournal()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(8)

    with pytest.raises(Own):  # noqa: PT012  the block is what is left
        async with running(plan(journal, autojump)) as parts:
            row = submit(parts, stubborn)
            await trio.sleep(1)
            raise Own
    assert parts.store.get(row.id).rung is Rung.ABANDONED
    assert journal.samples[-1].rung is Rung.ABANDONED


async def test_a_drained_engine_is_left_at_once(autojump: trio.testing.MockClock) -> None:
    """Where the plan says that it was drained, leaving waits for nobody and cancels nobody."""
    async with running(plan(ToldJournal(), autojump, drained=lambda: True)) as parts:
        row = submit(parts, partial(trio.sleep, 1), not_before=2e9)
    assert trio.current_time() == 0
    assert parts.store.get(row.id).state is State.WAITING


@pytest.mark.parametrize(("tasks", "seconds"), [(3, 10), (1_500, 30)])
async def test_rows_of_polling_tasks_catch_up_on_the_disk(
    autojump: trio.testing.MockClock, tasks: int, seconds: int
) -> None:
    """Without any move, what polling tasks look like is written from time to time: nobody is
    forgotten, and of very many not more than 200 a second are written."""

    class NeverReady:
        def run(self) -> None:
            pass

        def check_output(self) -> None:
            pass

    journal = ToldJournal()
    async with running(plan(journal, autojump)) as parts:
        ids = [submit(parts, NeverReady(), cadence=Fixed(4)).id for _ in range(tasks)]
        await trio.sleep(seconds)
        latest = {row.id: row for row in journal.samples}
        assert sorted(latest) == ids
        assert all(row.polls >= 1 for row in latest.values())
        assert len(journal.samples) <= 200 * (seconds + 2)
        moves = len(journal.entries)
        await trio.sleep(20)
        assert len(journal.entries) == moves
        for task_id in ids:
            parts.supervisor.cancellation.stop(task_id, Why.ASKED, None)
        samples = len(journal.samples)
        await trio.sleep(20)
        assert len(journal.samples) == samples


async def test_no_signal_comes_between_the_halves_of_a_move() -> None:
    """The verbs that record moves do it protected from Ctrl-C, also in the user's own frames."""
    protected: list[bool] = []
    async with Engine() as engine:
        assert engine._parts is not None
        # In memory a move is published while it is recorded, in the frames of the verb.
        engine._parts.store.listen(
            lambda _: protected.append(trio.lowlevel.currently_ki_protected())
        )
        later = engine.status(engine.submit_nowait(len)).submitted_at + 1e6
        first = engine.submit_nowait(len, not_before=later)
        await engine.submit(len, not_before=later)
        await engine.submit_many([len, len], not_before=later)
        await engine.submit_each([Order.of(len, not_before=later)])
        assert not trio.lowlevel.currently_ki_protected()
        engine.cancel_nowait(first)
        for task in (await engine.list("state:waiting")).tasks:
            engine.cancel_nowait(task.id)
    assert len(protected) >= 12
    assert all(protected)
