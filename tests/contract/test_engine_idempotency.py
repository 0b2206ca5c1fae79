"""What `unique_key` promises: one task a key, however often it is submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import BadOption, KeyReused, State
from tests.contract.engines import Gate, Script, World, one, raising

if TYPE_CHECKING:
    from trio.testing import MockClock


def other() -> int:
    """A function of another kind."""
    return 2


async def test_the_same_key_gives_the_same_task(world: World, clock: MockClock) -> None:
    """In every state of the first, a second submission under its key is the first."""
    gate = Gate()
    async with world.engine(capacity=1) as engine:
        task_id = engine.submit_nowait(gate, unique_key="k")
        assert engine.submit_nowait(gate, unique_key="k") == task_id
        await world.until(gate.begun)
        assert await engine.submit(gate, unique_key="k") == task_id
        gate.open.set()
        await engine.result(task_id)
        assert await engine.submit(gate, unique_key="k") == task_id
        assert await engine.submit_many([gate, gate], unique_key="k") == [task_id, task_id]
        assert (gate.calls, engine.statistics().submitted) == (1, 1)


async def test_a_final_state_that_is_not_committed_yet_is_known(
    world: World, clock: MockClock
) -> None:
    """A key submitted again in the tick in which its task was cancelled gives that task."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, unique_key="k")
        engine.cancel_nowait(task_id)
        assert engine.submit_nowait(one, unique_key="k") == task_id
        assert (await engine.wait([task_id]))[0].state is State.CANCELLED


async def test_a_failed_task_keeps_its_key(world: World, clock: MockClock) -> None:
    """A key names what was asked for, not whether it went well."""
    body = raising(OSError())
    async with world.engine() as engine:
        task_id = engine.submit_nowait(body, unique_key="k")
        await engine.wait([task_id])
        assert engine.submit_nowait(body, unique_key="k") == task_id


async def test_the_same_key_for_something_else_is_refused(world: World, clock: MockClock) -> None:
    """Another kind, or other arguments, under a known key raises KeyReused with its task."""
    async with world.engine() as engine:
        task_id = engine.submit_nowait(one, unique_key="k")
        sample = engine.submit_nowait("sample", arguments={"value": 1, "scale": 0}, unique_key="s")
        for task, options in [
            (other, {"unique_key": "k"}),
            (Script(1), {"unique_key": "k"}),
            ("sample", {"unique_key": "k", "arguments": {"value": 1}}),
        ]:
            with pytest.raises(KeyReused) as caught:
                engine.submit_nowait(task, **options)  # type: ignore[arg-type]
            assert (caught.value.key, caught.value.task_id) == ("k", task_id)
        with pytest.raises(KeyReused):
            engine.submit_nowait("sample", arguments={"value": 2, "scale": 0}, unique_key="s")
        # The same arguments, however they are written, are the same.
        again = engine.submit_nowait(
            "sample", arguments={"scale": 0.0, "value": 1, "seed": None}, unique_key="s"
        )
        assert again == sample
        assert engine.statistics().submitted == 2


@pytest.mark.parametrize(
    "other",
    [
        {"name": "n"},
        {"key": "k"},
        {"priority": 1},
        {"tags": ["a", "b"]},
        {"timeout": 1.0},
        {"attempts": 2},
        {"parent": 1},
        {"retry_of": 1},
    ],
)
async def test_the_options_belong_to_the_content(
    other: dict[str, Any], world: World, clock: MockClock
) -> None:
    """The same key with another option that the row keeps is refused, whichever came first; the
    same options, their tags in any order, and other times are the same task."""
    async with world.engine() as engine:
        plain = engine.submit_nowait(one, unique_key="plain")
        with pytest.raises(KeyReused):
            engine.submit_nowait(one, unique_key="plain", **other)
        first = engine.submit_nowait(one, unique_key="other", **other)
        with pytest.raises(KeyReused):
            engine.submit_nowait(one, unique_key="other")
        again = {**other, "tags": other.get("tags", [])[::-1], "deadline": 60.0, "start_by": 50.0}
        assert engine.submit_nowait(one, unique_key="other", **again) == first
        assert engine.submit_nowait(one, unique_key="plain", deadline=60.0) == plain


async def test_one_key_twice_in_a_batch(world: World, clock: MockClock) -> None:
    """The same task twice under one key in a batch is one task; two kinds are refused, whole."""
    async with world.engine() as engine:
        first, second = await engine.submit_many([one, one], unique_key="same")
        assert first == second
        with pytest.raises(KeyReused):
            await engine.submit_many([one, other], unique_key="differs")
        assert sum(engine.counts().values()) == 1
        assert await engine.submit(other, unique_key="differs") == first + 1


async def test_keys_are_compared_whole(world: World, clock: MockClock) -> None:
    """Keys that differ anywhere are two keys; one that cannot be kept as it is gets refused."""
    async with world.engine() as engine:
        keys = ["", " ", "k", "K", "k ", "\0", "é", "e\u0301", "x" * 999, "x" * 1_000]
        ids = [engine.submit_nowait(one, unique_key=key) for key in keys]
        assert len(set(ids)) == len(keys)
        assert [engine.submit_nowait(one, unique_key=key) for key in keys] == ids
        for bad in ("x" * 1_001, "\ud800", b"k", 5):
            with pytest.raises(BadOption):
                engine.submit_nowait(one, unique_key=bad)  # type: ignore[arg-type]


async def test_a_key_outlives_its_engine(world: World, clock: MockClock) -> None:
    """On a file, a later engine knows the keys of earlier ones, of live and of final tasks."""
    if not world.durable:
        pytest.skip("an engine in memory has no later one")
    async with world.engine() as engine:
        final = await engine.submit(one, unique_key="final")
        await engine.wait([final])
        live = await engine.submit(
            "sample",
            arguments={"value": 1, "scale": 0},
            unique_key="live",
            not_before=world.wall() + 60,
        )
        await engine.drain()
    async with world.engine() as engine:
        assert await engine.submit(one, unique_key="final") == final
        assert (
            engine.submit_nowait("sample", arguments={"value": 1, "scale": 0}, unique_key="live")
            == live
        )
        with pytest.raises(KeyReused):
            engine.submit_nowait(other, unique_key="final")
        assert engine.statistics().submitted == 0
