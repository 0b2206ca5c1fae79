"""What every reader promises; run on each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import OutputNotKept, OutputNotReady, TaskEnded, TaskNotFound
from engine.model import Event, OutputMark, Reset, State, TaskSnapshot
from engine.moves import Cause, Facts
from engine.query import Query
from tests.contract.readers import NOW, Populate, into_a_file, into_memory
from tests.store.histories import History

if TYPE_CHECKING:
    from engine.api import Entry, Reader

EVERYTHING = Query.everything()


@pytest.fixture(params=["file", "memory"])
async def populate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Populate]:
    fill = into_a_file(tmp_path / "tasks.db") if request.param == "file" else into_memory()
    readers: list[Reader] = []

    async def remember(entries: Sequence[Entry]) -> Reader:
        reader = await fill(entries)
        readers.append(reader)
        return reader

    yield remember
    for reader in readers:
        reader.close()


def varied() -> History:
    """Twelve tasks, 1 … 12: in turn succeeded, queued and running."""
    history = History()
    for number in range(4):
        history.finish(f"done {number}", key="reports")
        history.submit(f"ready {number}")
        task_id = history.submit(f"at work {number}").snapshot.id
        history.move(task_id, Cause.ADMITTED, attempts=1)
    return history


# -- rows ----------------------------------------------------------------------------------------


async def test_an_empty_store_reads_as_empty(populate: Populate) -> None:
    """Before the first move there is no cursor, no page, no change and no event."""
    reader = await populate([])
    assert reader.cursor() == ""
    assert reader.counts() == dict.fromkeys(State, 0)
    page = reader.page(EVERYTHING)
    assert (page.tasks, page.next_after) == ((), None)
    changes = reader.changes("")
    assert (changes.tasks, changes.cursor, changes.reset, changes.more) == ((), "", False, False)
    assert list(reader.events("")) == []


async def test_a_task_is_read_as_it_was_put(populate: Populate) -> None:
    """The snapshot read equals the one recorded last."""
    history = varied()
    reader = await populate(history.entries)
    assert {task_id: reader.get(task_id) for task_id in history.rows} == history.rows


@pytest.mark.parametrize("task_id", [0, -1, 13, 2**63 - 1, 2**63, -(2**70)])
async def test_an_unknown_task_is_not_found(populate: Populate, task_id: int) -> None:
    """Any number that is nobody's id is refused by name, whatever its size."""
    reader = await populate(varied().entries)
    with pytest.raises(TaskNotFound) as caught:
        reader.get(task_id)
    assert caught.value.task_id == task_id
    with pytest.raises(TaskNotFound):
        reader.output(task_id)


async def test_counts_are_the_rows_a_state(populate: Populate) -> None:
    """Every state has its number of rows, nought included."""
    reader = await populate(varied().entries)
    four = {State.SUCCEEDED: 4, State.QUEUED: 4, State.RUNNING: 4}
    assert reader.counts() == {**dict.fromkeys(State, 0), **four}


# -- pages ---------------------------------------------------------------------------------------


async def test_pages_go_from_the_newest_to_the_oldest(populate: Populate) -> None:
    """Pages of any size, put together, are all tasks once, newest first."""
    history = varied()
    reader = await populate(history.entries)
    for limit in (1, 2, 5, 12, 50):
        found: list[TaskSnapshot] = []
        after = None
        for _ in range(13):
            page = reader.page(EVERYTHING, after=after, limit=limit)
            assert len(page.tasks) <= limit
            found += page.tasks
            after = page.next_after
            if after is None:
                break
        assert after is None
        assert found == [history.rows[task_id] for task_id in range(12, 0, -1)]


async def test_a_page_holds_matching_tasks_only(populate: Populate) -> None:
    """The query chooses, and the cursor goes on behind the last task that it chose."""
    history = varied()
    reader = await populate(history.entries)
    query = Query.parse("state:succeeded key:reports")
    first = reader.page(query, limit=3)
    assert [task.id for task in first.tasks] == [10, 7, 4]
    rest = reader.page(query, after=first.next_after, limit=3)
    assert [task.id for task in rest.tasks] == [1]


async def test_ages_are_counted_to_now(populate: Populate) -> None:
    """A query by age uses the wall clock of the reading, not of the writing."""
    history = varied()
    reader = await populate(history.entries)
    oldest = NOW - history.rows[2].submitted_at
    found = reader.page(Query.parse(f"state:queued age>={oldest:.3f}s"))
    assert [task.id for task in found.tasks] == [2]


async def test_a_page_behind_the_oldest_is_empty(populate: Populate) -> None:
    """Nothing is below the first id, and that is no error."""
    reader = await populate(varied().entries)
    page = reader.page(EVERYTHING, after=1)
    assert (page.tasks, page.next_after) == ((), None)


async def test_a_rare_match_far_down_is_found_in_bounded_steps(populate: Populate) -> None:
    """One call looks at a bounded number of rows; short pages say where to go on."""
    history = History()
    history.submit("needle")
    for _ in range(12_000):
        history.submit("hay")
    reader = await populate(history.entries)
    query = Query.parse("needle")
    found: list[TaskSnapshot] = []
    after, calls = None, 0
    while calls == 0 or after is not None:
        page = reader.page(query, after=after)
        found += page.tasks
        after = page.next_after
        calls += 1
    assert [task.id for task in found] == [1]
    assert calls == 3


# -- changes and events --------------------------------------------------------------------------


async def test_the_cursor_is_the_last_move(populate: Populate) -> None:
    """The cursor names epoch and revision of the newest move."""
    history = varied()
    reader = await populate(history.entries)
    assert reader.cursor() == f"1.{history.revision}"


async def test_changes_give_each_task_once_in_its_present_state(populate: Populate) -> None:
    """What moved three times since the cursor comes once, as it is now."""
    history = varied()
    reader = await populate(history.entries)
    changes = reader.changes("")
    assert sorted(task.id for task in changes.tasks) == list(range(1, 13))
    assert {task.id: task for task in changes.tasks} == history.rows
    assert (changes.cursor, changes.reset, changes.more) == (reader.cursor(), False, False)


async def test_changes_after_the_last_are_none(populate: Populate) -> None:
    """At the newest cursor there is nothing, and the cursor stays."""
    reader = await populate(varied().entries)
    changes = reader.changes(reader.cursor())
    assert (changes.tasks, changes.cursor) == ((), reader.cursor())
    assert not changes.reset
    assert not changes.more


async def test_changes_in_small_steps_miss_nothing(populate: Populate) -> None:
    """Following ``more`` from any cursor with any limit ends with every task's present row."""
    history = varied()
    reader = await populate(history.entries)
    for limit in (1, 3, 7, 1000):
        seen: dict[int, TaskSnapshot] = {}
        cursor = ""
        while True:
            changes = reader.changes(cursor, limit=limit)
            seen |= {task.id: task for task in changes.tasks}
            cursor = changes.cursor
            if not changes.more:
                break
        assert seen == history.rows
        assert cursor == reader.cursor()


async def test_changes_since_a_cursor_are_those_after_it(populate: Populate) -> None:
    """A task whose last move is before the cursor does not come again."""
    history = varied()
    reader = await populate(history.entries)
    since = history.rows[10].cursor
    changes = reader.changes(since)
    assert [task.id for task in changes.tasks] == [11, 12]


async def test_events_are_the_moves_in_order(populate: Populate) -> None:
    """From the oldest kept to the newest, as they were recorded."""
    history = varied()
    reader = await populate(history.entries)
    assert list(reader.events("")) == [entry.event for entry in history.entries]


async def test_events_go_on_where_a_reader_stopped(populate: Populate) -> None:
    """Read in steps of any size, each event comes once."""
    history = varied()
    reader = await populate(history.entries)
    for limit in (1, 4, 100):
        seen: list[Event | Reset] = []
        while True:
            step = reader.events(seen[-1].cursor if seen else "", limit=limit)
            assert len(step) <= limit
            if not step:
                break
            seen += step
        assert seen == [entry.event for entry in history.entries]


@pytest.mark.parametrize("since", ["1.999", "7.1", f"1.{2**70}"])
async def test_a_cursor_of_another_life_resets(populate: Populate, since: str) -> None:
    """A cursor that this store never reached says: read the state again, and go on from here."""
    history = varied()
    reader = await populate(history.entries)
    changes = reader.changes(since)
    assert changes.reset
    assert not reader.changes(changes.cursor).reset
    first, *others = reader.events(since)
    assert isinstance(first, Reset)
    following = reader.events(first.cursor)
    assert list(following) == others
    assert not any(isinstance(event, Reset) for event in following)


@pytest.mark.parametrize("since", ["1", "x.y", "1.-2", "1.2.3", " "])
async def test_nonsense_is_no_cursor(populate: Populate, since: str) -> None:
    """A text that cannot be a cursor is refused as such."""
    reader = await populate(varied().entries)
    with pytest.raises(ValueError, match="not a cursor"):
        reader.changes(since)
    with pytest.raises(ValueError, match="not a cursor"):
        reader.events(since)


# -- outputs -------------------------------------------------------------------------------------


async def test_an_output_is_its_json_text(populate: Populate) -> None:
    """The text of an output comes back as it was kept."""
    history = History()
    text = '{"answer":[42,1.5,"é\\u0000"],"none":null}'
    task_id = history.finish(output=text)
    reader = await populate(history.entries)
    assert reader.output(task_id) == text


async def test_a_live_task_has_no_output_yet(populate: Populate) -> None:
    """Asking too early says so, and in which state the task is."""
    history = History()
    task_id = history.submit().snapshot.id
    reader = await populate(history.entries)
    with pytest.raises(OutputNotReady, match="queued") as caught:
        reader.output(task_id)
    assert caught.value.snapshot == history.rows[task_id]


async def test_a_task_that_failed_has_no_output(populate: Populate) -> None:
    """Asking a task that ended otherwise says how it ended."""
    history = History()
    task_id = history.submit().snapshot.id
    history.move(task_id, Cause.ADMITTED)
    history.move(task_id, Cause.RAISED, Facts())
    reader = await populate(history.entries)
    with pytest.raises(TaskEnded) as caught:
        reader.output(task_id)
    assert caught.value.snapshot == history.rows[task_id]


async def test_an_output_that_was_not_kept_says_why(populate: Populate) -> None:
    """A success without a stored output is no failure, and no empty text."""
    history = History()
    task_id = history.submit().snapshot.id
    history.move(task_id, Cause.ADMITTED)
    history.move(task_id, Cause.OUTPUT, output_mark=OutputMark.TOO_LARGE)
    reader = await populate(history.entries)
    with pytest.raises(OutputNotKept):
        reader.output(task_id)
