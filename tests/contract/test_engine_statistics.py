"""What statistics() says, at rest and in the middle of things."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from engine import BadOption, Durability, Engine, EngineClosed, State
from engine.cadence import Fixed
from tests.contract.engines import Gate, HeldLook, Script, World, one

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_new_engine_is_at_rest(world: World, clock: MockClock) -> None:
    """Nothing is taken, nothing is live, and the limits are the ones asked for."""
    async with world.engine(capacity=7, poll_capacity=3, live_limit=11) as engine:
        now = engine.statistics()
        assert (now.capacity, now.poll_capacity, now.live_limit) == (7, 3, 11)
        busy = (now.slots_taken, now.threads_busy, now.looks_busy, now.coroutines, now.attempts)
        assert busy == (0, 0, 0, 0, 0)
        assert (now.live, now.submitted, now.finished, now.polls, now.zombies) == (0, 0, 0, 0, 0)
        assert (now.revision, now.durable_revision, now.backlog) == (0, 0, 0)
        assert (now.epoch, now.stranded, now.draining) == (1, 0, False)
        assert (now.started_at, now.uptime) == (world.wall(), 0.0)
        assert now.counts == engine.counts() == dict.fromkeys(State, 0)
        await trio.sleep(90)
        assert engine.statistics().uptime == pytest.approx(90)
        assert engine.statistics().started_at == now.started_at


async def test_the_figures_follow_what_is_under_way(world: World, clock: MockClock) -> None:
    """Slots, threads, looks, coroutines and attempts are counted while they last."""
    gates, look = [Gate(), Gate()], HeldLook()
    async with world.engine(capacity=2, cadence=Fixed(1)) as engine:
        engine.submit_nowait(look)
        engine.submit_nowait(Script(None, None, None, 1))
        engine.submit_nowait(partial(trio.sleep, 50))
        await trio.sleep(1)
        await world.until(look.begun)
        ids = await engine.submit_many([*gates, one])
        for gate in gates:
            await world.until(gate.begun)
        now = engine.statistics()
        assert (now.slots_taken, now.threads_busy, now.looks_busy) == (2, 2, 1)
        assert (now.coroutines, now.attempts, now.live) == (1, 5, 6)
        assert (now.submitted, now.finished) == (6, 0)
        engine.cancel_nowait(ids[0])
        assert engine.statistics().zombies == 1
        for gate in gates:
            gate.open.set()
        look.open.set()
    after = engine.statistics()
    assert (after.slots_taken, after.coroutines, after.attempts, after.live) == (0, 0, 0, 0)
    assert (after.finished, after.zombies, after.polls) == (6, 0, 4)
    assert after.backlog == 0


async def test_slots_are_the_bodies_at_work(world: World, clock: MockClock) -> None:
    """I7: whatever mix of tasks runs through few slots, never are more taken than there are, and
    in the end none."""
    most = 0
    async with world.engine(capacity=4, cadence=Fixed(1)) as engine:
        ids = await engine.submit_many([one, Script(None, 1)] * 100)
        async for _ in engine.as_completed(ids):
            statistics = engine.statistics()
            most = max(most, statistics.slots_taken)
            assert statistics.threads_busy <= 4
    assert 1 <= most <= 4
    assert engine.statistics().slots_taken == 0


async def test_ids_are_reserved_ahead(world: World, clock: MockClock) -> None:
    """Ids are reserved in blocks of a million at least before the first is given out."""
    async with world.engine() as engine:
        assert engine.statistics().ids_reserved > 1_000_000


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("capacity", 0),
        ("capacity", 1.5),
        ("capacity", True),
        ("capacity", 10**9),
        ("poll_capacity", 0),
        ("poll_capacity", "many"),
        ("grace", -1),
        ("grace", float("nan")),
        ("grace", float("inf")),
        ("live_limit", 0),
        ("live_limit", 2_000_000),
        ("durability", "sometimes"),
        ("cadence", 5),
    ],
)
def test_an_impossible_engine_is_refused(option: str, value: object) -> None:
    """An argument outside what is possible raises BadOption that names it."""
    with pytest.raises(BadOption) as caught:
        Engine(**{option: value})  # type: ignore[arg-type]
    assert caught.value.option == option


@pytest.mark.parametrize("durability", [*Durability, "power"])
async def test_every_level_of_durability_works(
    world: World, clock: MockClock, durability: Durability | str
) -> None:
    """An engine of each level runs tasks and keeps them."""
    async with world.engine(durability=durability) as engine:
        assert await engine.result(await engine.submit(one)) == 1


async def test_an_engine_that_is_not_open_says_so(world: World, clock: MockClock) -> None:
    """Before `async with`, every verb raises EngineClosed."""
    engine = Engine()
    for ask in (engine.statistics, engine.counts, engine.reader, engine.events):
        with pytest.raises(EngineClosed):
            ask()
    with pytest.raises(EngineClosed):
        engine.status(1)
    with pytest.raises(EngineClosed):
        _ = engine.epoch
    for verb in (engine.get, engine.result, engine.output_json, engine.cancel):
        with pytest.raises(EngineClosed):
            await verb(1)
    with pytest.raises(EngineClosed):
        await engine.wait([1])
    with pytest.raises(EngineClosed):
        await engine.list()
    with pytest.raises(EngineClosed):
        await engine.drain()
