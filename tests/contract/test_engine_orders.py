"""What `submit_each` promises: each order is answered, and all or none where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import (
    BadArguments,
    BadOption,
    BatchRefused,
    CrecheError,
    EngineClosed,
    KeyReused,
    KindNotFound,
    Order,
    QueueFull,
    Receipt,
    State,
)
from tests.contract.engines import World, one

if TYPE_CHECKING:
    from trio.testing import MockClock

BAD = [
    (Order.of("nothing"), KindNotFound),
    (Order.of("sample", arguments={"value": "x"}), BadArguments),
    (Order.of(one, attempts=0), BadOption),
]


async def test_each_order_has_options_of_its_own(world: World, clock: MockClock) -> None:
    """Orders are taken in as `submit` would take each, in their order, and are durable then."""
    async with world.engine() as engine:
        receipts = await engine.submit_each(
            [Order.of(one, name="a", priority=2), Order.of(one, tags=["t"], timeout=3.0)]
        )
        assert receipts == [Receipt(1, False), Receipt(2, False)]
        first, second = await engine.wait([1, 2])
        assert (first.name, first.priority, first.timeout) == ("a", 2, None)
        assert (second.name, second.tags, second.timeout) == ("one", ("t",), 3.0)
        assert await engine.submit_each([]) == []
        assert await engine.submit_each([], atomic=True) == []


async def test_a_bad_order_leaves_the_others_alone(world: World, clock: MockClock) -> None:
    """An order that cannot be submitted is answered with its error, the others with a receipt."""
    async with world.engine() as engine:
        orders = [order for bad, _ in BAD for order in (Order.of(one), bad)]
        answers = await engine.submit_each(orders)
        assert answers[::2] == [Receipt(task_id, False) for task_id in (1, 2, 3)]
        assert [type(answer) for answer in answers[1::2]] == [error for _, error in BAD]
        assert engine.statistics().submitted == 3


async def test_all_or_none(world: World, clock: MockClock) -> None:
    """With `atomic` one bad order refuses all, names every bad one by its place, and uses up no
    key."""
    async with world.engine() as engine:
        orders = [Order.of(one, unique_key="k"), *(bad for bad, _ in BAD), Order.of(one)]
        with pytest.raises(BatchRefused) as caught:
            await engine.submit_each(orders, atomic=True)
        assert {at: type(error) for at, error in caught.value.errors.items()} == {
            1: KindNotFound,
            2: BadArguments,
            3: BadOption,
        }
        assert sum(engine.counts().values()) == 0
        good = [orders[0], orders[-1]]
        assert await engine.submit_each(good, atomic=True) == [Receipt(1, False), Receipt(2, False)]


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_known_key_is_told(atomic: bool, world: World, clock: MockClock) -> None:
    """The receipt says whether the key was known, from before or from earlier in the batch."""
    async with world.engine() as engine:
        known = await engine.submit(one, unique_key="known")
        await engine.wait([known])
        keys = ["known", "new", None, "new"]
        receipts = await engine.submit_each(
            [Order.of(one, unique_key=key) for key in keys], atomic=atomic
        )
        assert receipts == [
            Receipt(known, True),
            Receipt(known + 1, False),
            Receipt(known + 2, False),
            Receipt(known + 1, True),
        ]


async def test_a_reused_key_is_told_in_its_place(world: World, clock: MockClock) -> None:
    """Other content under a known key, or twice in one batch, is an error of the later order."""
    async with world.engine() as engine:
        known = await engine.submit(one, unique_key="known")
        orders = [
            Order.of("nothing"),
            Order.of(one, unique_key="known", name="other"),
            Order.of(one, unique_key="new"),
            Order.of(one, unique_key="new", name="other"),
        ]
        with pytest.raises(BatchRefused) as caught:
            await engine.submit_each(orders, atomic=True)
        errors = caught.value.errors
        assert list(errors) == [0, 1, 3]
        assert [getattr(errors[at], "task_id", "none") for at in (1, 3)] == [known, None]
        answers = await engine.submit_each(orders)
        assert isinstance(answers[2], Receipt)
        assert [isinstance(answer, KeyReused) for answer in answers] == [False, True, False, True]


async def test_a_full_engine(world: World, clock: MockClock) -> None:
    """What fits is taken in and the rest told so; with `atomic` it is all or none. A known key is
    answered all the same."""
    later = world.wall() + 60
    async with world.engine(live_limit=2) as engine:
        first = await engine.submit(one, unique_key="k", not_before=later)
        orders = [Order.of(one, not_before=later) for _ in range(2)]
        with pytest.raises(QueueFull):
            await engine.submit_each(orders, atomic=True)
        assert engine.counts()[State.WAITING] == 1
        answers: list[Receipt | CrecheError] = await engine.submit_each(orders)
        assert [type(answer) for answer in answers] == [Receipt, QueueFull]
        for atomic in (False, True):
            assert await engine.submit_each([Order.of(one, unique_key="k")], atomic=atomic) == [
                Receipt(first, True)
            ]


async def test_a_draining_engine_takes_none(world: World, clock: MockClock) -> None:
    """Once the engine drains, a batch is refused as a whole."""
    async with world.engine() as engine:
        await engine.drain(0.0)
        for atomic in (False, True):
            with pytest.raises(EngineClosed):
                await engine.submit_each([Order.of(one)], atomic=atomic)


async def test_all_are_durable_when_the_last_one_is_an_old_task(
    world: World, clock: MockClock
) -> None:
    """A batch that ends with a known key waits for the disk as any other does."""
    async with world.engine() as engine:
        old = await engine.submit(one, unique_key="k")
        await engine.wait([old])
        receipts = await engine.submit_each([Order.of(one), Order.of(one, unique_key="k")])
        assert receipts == [Receipt(old + 1, False), Receipt(old, True)]
        published = engine.reader().events("", limit=1_000)
        assert old + 1 in {getattr(event, "task_id", None) for event in published}
