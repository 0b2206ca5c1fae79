"""Outputs in memory, against a list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.store.shelf import Shelf


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 8), st.integers())))
def test_a_shelf_keeps_the_last_so_many(limit: int, puts: list[tuple[int, int]]) -> None:
    """Whatever is put in which order, the newest tasks' values are there, the oldest make room."""
    shelf = Shelf(limit)
    model: dict[int, int] = {}
    for task_id, value in puts:
        shelf.put(task_id, value)
        model[task_id] = value
        while len(model) > limit:
            del model[next(iter(model))]
        assert len(shelf) == len(model)
        for known in range(9):
            assert (known in shelf) is (known in model)
            assert shelf.get(known) == model.get(known)
            if known in model:
                assert shelf[known] == model[known]


def test_none_is_a_value() -> None:
    """An output that is None is kept like any other."""
    shelf = Shelf(2)
    shelf.put(1, None)
    assert 1 in shelf
    assert shelf[1] is None
