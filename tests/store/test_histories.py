"""Any legal history, cut into any batches and lives, comes back from the file as it was put."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import IllegalMove
from engine.model import State, TaskSnapshot, Why
from engine.moves import Cause, Facts
from engine.query import Query
from engine.store import SqliteJournal, open_reader, open_sqlite
from tests.contract.journals import Reported
from tests.store.histories import History
from tests.store.invariants import broken

_T = TypeVar("_T")


class Killed(BaseException):
    """The process dies here."""


class Mortal:
    """A thread seam that may die before or after a flush, and never says which."""

    def __init__(self) -> None:
        self.dies: str | None = None

    async def __call__(
        self,
        sync_fn: Callable[..., _T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> _T:
        if self.dies == "before":
            raise Killed
        result = sync_fn(*args)
        if self.dies == "after":
            raise Killed
        return result


class Move(NamedTuple):
    """Move one of the tasks, if the table has a move for this."""

    which: int
    cause: Cause
    facts: Facts
    output: str


class Sample(NamedTuple):
    """A live task was looked at."""

    which: int
    polls: int


submits: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict, name=st.text(max_size=5), tags=st.tuples(st.text(max_size=3))
)
hints = get_type_hints(Facts, localns={"Why": Why})
facts = st.builds(Facts, **{name: st.from_type(hint) for name, hint in hints.items()})
likely = st.sampled_from([Cause.ADMITTED, Cause.STARTED, Cause.OUTPUT, Cause.RAISED, Cause.DUE])
moves = st.builds(
    Move, st.integers(0, 9), st.one_of(likely, st.sampled_from(Cause)), facts, st.text(max_size=5)
)
samples = st.builds(Sample, st.integers(0, 9), st.integers(1, 99))
ends = st.sampled_from(["commit", "close", "cancel", "before", "after"])
steps = st.lists(st.one_of(submits, moves, moves, moves, samples, ends), max_size=60)


def apply(step: object, history: History, journal: SqliteJournal) -> None:
    """Do one step, if it is legal now."""
    live = sorted(row.id for row in history.rows.values() if not row.state.final)
    if isinstance(step, dict):
        journal.put(history.submit(**step))
    elif isinstance(step, Move) and live:
        task_id = live[step.which % len(live)]
        output = step.output if step.cause is Cause.OUTPUT else None
        with suppress(IllegalMove):
            journal.put(history.move(task_id, step.cause, step.facts, output))
    elif isinstance(step, Sample) and live:
        row = history.rows[live[step.which % len(live)]]
        history.rows[row.id] = replace(row, polls=step.polls)
        journal.sample(history.rows[row.id])


async def life(path: Path, history: History, todo: list[object]) -> History:
    """One life of a store: applies steps until one of them ends it; gives what must be there."""
    mortal = Mortal()
    end: object = "close"
    async with open_sqlite(path, threads=mortal, durability="none") as journal:
        found = journal.recovered
        assert list(found.unfinished) == [
            row for _, row in sorted(history.rows.items()) if not row.state.final
        ]
        here = History(found.epoch, found.next_id)
        assert here.epoch == history.epoch + 1
        assert here.next_id >= history.next_id
        here.rows |= history.rows
        here.outputs |= history.outputs
        durable, reported = dict(here.rows), Reported()
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                with suppress(Killed):
                    await journal.run(reported)

            nursery.start_soon(run)
            while todo:
                step = todo.pop(0)
                if step == "commit":
                    await trio.testing.wait_all_tasks_blocked()
                    durable = dict(here.rows)
                elif isinstance(step, str):
                    end = step
                    break
                else:
                    apply(step, here, journal)
            if end == "close":
                journal.close(here.next_id)
            elif end == "cancel":
                nursery.cancel_scope.cancel()
            else:
                mortal.dies = str(end)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        mortal.dies = None
        if end == "before":
            assert reported.revisions == sorted(reported.revisions)
            here.rows = durable
            here.outputs = {task: text for task, text in here.outputs.items() if task in durable}
    return here


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps)
def test_any_history_comes_back_as_it_was_put(todo: list[object]) -> None:
    """Whatever moves are made, however they are grouped, and however each life of the store ends:
    the rows are the last ones committed, and I2, I4, I8 and I9 hold."""

    async def lives(path: Path) -> History:
        history = History(epoch=0)
        remaining = list(todo)
        while True:
            history = await life(path, history, remaining)
            check(path, history)
            if not remaining:
                return history

    with tempfile.TemporaryDirectory() as folder:
        trio.run(lives, Path(folder) / "tasks.db")


def check(path: Path, history: History) -> None:
    """The file holds exactly these rows and outputs, and is sound."""
    assert broken(path) == []
    reader = open_reader(path)
    try:
        found: dict[int, TaskSnapshot] = {}
        after = None
        while True:
            page = reader.page(Query.everything(), after=after, limit=7)
            found |= {row.id: row for row in page.tasks}
            after = page.next_after
            if after is None:
                break
        assert found == history.rows
        ended = [row.id for row in found.values() if row.state is State.SUCCEEDED]
        assert {task_id: reader.output(task_id) for task_id in ended} == {
            task_id: history.outputs[task_id] for task_id in ended
        }
    finally:
        reader.close()
