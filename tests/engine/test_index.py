"""The rows in memory, against a brute force."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from engine.errors import TaskNotFound, TaskNotInMemory
from engine.model import State, TaskSnapshot
from engine.store.index import Index

NO_ROWS = dict.fromkeys(State, 0)
ENDS = [State.SUCCEEDED, State.FAILED, State.CANCELLED]


class IndexMachine(RuleBasedStateMachine):
    """An index beside a dict of all rows and a list of ends."""

    def __init__(self) -> None:
        super().__init__()
        self.next_id = 1
        self.rows: dict[int, TaskSnapshot] = {}
        self.ends: list[int] = []
        self.limit = 0
        self.index = Index(0, NO_ROWS)

    @initialize(limit=st.integers(0, 5))
    def begin(self, limit: int) -> None:
        """A new index."""
        self.limit = limit
        self.index = Index(limit, NO_ROWS)

    @property
    def live(self) -> list[int]:
        """Ids of live rows."""
        return [task_id for task_id, row in self.rows.items() if not row.state.final]

    @property
    def in_memory(self) -> list[int]:
        """Ids of the rows that must be there: all live ones, and the last ends."""
        kept = self.ends[len(self.ends) - min(self.limit, len(self.ends)) :]
        return sorted([*self.live, *kept])

    @rule(gap=st.integers(0, 3), key=st.sampled_from(["a", "b"]))
    def add(self, gap: int, key: str) -> None:
        """A task is taken in."""
        self.next_id += gap
        row = TaskSnapshot(id=self.next_id, state=State.QUEUED, key=key)
        self.next_id += 1
        self.rows[row.id] = row
        self.index.add(row)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), state=st.sampled_from([State.RUNNING, State.POLLING, *ENDS]))
    def move(self, data: st.DataObject, state: State) -> None:
        """A live task moves."""
        task_id = data.draw(st.sampled_from(self.live))
        row = replace(self.rows[task_id], state=state)
        self.rows[task_id] = row
        self.index.replace(row)
        if state.final:
            self.ends.append(task_id)

    @rule(
        key=st.sampled_from([None, "a", "b", "c"]),
        limit=st.integers(1, 4),
        start=st.none() | st.integers(0, 40),
    )
    def list(self, key: str | None, limit: int, start: int | None) -> None:
        """Page by page, a listing is every row in memory that is wanted, newest first."""

        def wanted(row: TaskSnapshot) -> bool:
            return key is None or row.key == key

        found: list[TaskSnapshot] = []
        after = start
        for _ in range(100):
            page = self.index.page(wanted, after, limit)
            assert len(page.tasks) <= limit
            found += page.tasks
            after = page.next_after
            if after is None:
                break
        expected = [
            self.rows[task_id]
            for task_id in reversed(self.in_memory)
            if wanted(self.rows[task_id]) and (start is None or task_id < start)
        ]
        assert found == expected

    @invariant()
    def agrees(self) -> None:
        """Counts, rows and what is missing are as the model says."""
        counts = dict(NO_ROWS)
        for row in self.rows.values():
            counts[row.state] += 1
        assert self.index.counts() == counts
        assert self.index.live == len(self.live)
        assert sorted(self.index.live_ids()) == self.live
        assert self.index.evicted is (len(self.ends) > self.limit)
        memory = set(self.in_memory)
        for task_id in range(-1, self.next_id + 2):
            assert (self.index.find(task_id) is not None) is (task_id in memory)
            if task_id in memory:
                assert self.index.get(task_id, self.next_id) == self.rows[task_id]
                continue
            gone = self.index.evicted and 0 < task_id < self.next_id
            with pytest.raises(TaskNotInMemory if gone else TaskNotFound):
                self.index.get(task_id, self.next_id)


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_page_looks_at_a_bounded_number_of_rows() -> None:
    """A rare match among very many rows takes several calls, each bounded; the pages get there."""
    index = Index(100_000, NO_ROWS)
    for task_id in range(1, 12_001):
        index.add(
            TaskSnapshot(id=task_id, state=State.QUEUED, key="rare" if task_id == 3 else None)
        )
    looked = 0

    def wanted(row: TaskSnapshot) -> bool:
        nonlocal looked
        looked += 1
        return row.key == "rare"

    after: int | None = None
    found: list[int] = []
    for number in range(1, 10):
        page = index.page(wanted, after, 10)
        assert looked <= 5_000 * number
        found += [row.id for row in page.tasks]
        after = page.next_after
        if after is None:
            break
    assert (found, looked) == ([3], 12_000)


def test_evicted_rows_leave_no_trace_that_grows() -> None:
    """Ending a hundred thousand tasks keeps as many rows and ids in memory as the limit says."""
    index = Index(100, NO_ROWS)
    for task_id in range(1, 20_001):
        row = TaskSnapshot(id=task_id, state=State.QUEUED)
        index.add(row)
        index.replace(replace(row, state=State.SUCCEEDED))
    assert len(index._rows) == len(index._finals) == 100
    assert len(index._order) <= 1_300
    page = index.page(lambda _: True, None, 1_000)
    assert [row.id for row in page.tasks] == list(range(20_000, 19_900, -1))


@given(st.dictionaries(st.sampled_from(list(State)), st.integers(0, 9)))
def test_an_index_begins_with_the_counts_of_the_disk(counts: dict[State, int]) -> None:
    """Rows that only the disk has are counted; final ones among them make it say so."""
    index = Index(10, counts)
    assert index.counts() == NO_ROWS | counts
    assert index.evicted is any(number for state, number in counts.items() if state.final)
    assert index.live == sum(number for state, number in counts.items() if not state.final)
