"""The ids of a listing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.vector import IdVector

ids = st.integers(1, 60)


@given(
    st.sets(ids),
    st.lists(st.tuples(st.sampled_from(["add", "discard", "scan"]), ids), max_size=60),
)
def test_the_vector_is_a_sorted_set(stored: set[int], moves: list[tuple[str, int]]) -> None:
    """However changes and the scan are mixed, the vector holds what the store holds, newest
    first, as far as the scan has come."""
    vector, scanned = IdVector(), 61
    for what, number in moves:
        if what == "scan":
            below = max(0, scanned - number % 7 - 1)
            vector.extend(sorted((i for i in stored if below <= i < scanned), reverse=True), below)
            scanned = below
        elif what == "add":
            stored = stored | {number}
            vector.add(number)
        else:
            stored = stored - {number}
            vector.discard(number)
        known = sorted((i for i in stored if i >= scanned), reverse=True)
        assert known == list(vector)
        assert len(known) == len(vector)
        assert (scanned == 0) == vector.complete
        for row, task_id in enumerate(known):
            assert (vector[row], vector.row_of(task_id)) == (task_id, row)
        assert vector.row_of(61) is None


def test_an_empty_vector_takes_nothing_before_the_scan() -> None:
    """Until the first part of the scan is there, the scan will find everything."""
    vector = IdVector()
    assert vector.add(5) is None
    assert not vector.complete
    vector.extend([], 0)
    assert vector.add(5) == 0
