"""What a listing shows while an engine runs: its memory first, and the file for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from engine import Owner, Page, Query, Reader, open_reader
from tests.cli.stores import mixed_store
from tui.cli.pages import ASKED, Pages
from tui.ports import ControlRefused, ControlUnreachable


class Beside:
    """A store's reader, and an engine that seems to run on it and answers from a script.

    A page of the script is its tasks' ids and its ``next``; an error in its place is raised.
    """

    def __init__(self, reader: Reader, *script: tuple[list[int], str | None] | Exception) -> None:
        self._reader = reader
        self._script = list(script)
        self.asked: list[tuple[str, int, str | None]] = []

    def owner(self) -> Owner | None:
        owner = self._reader.owner()
        assert owner is not None
        return msgspec.structs.replace(owner, alive=True, endpoint="/run/control.sock")

    def page(self, query: Query, *, after: int | None, limit: int) -> Page:
        return self._reader.page(query, after=after, limit=limit)

    def __call__(self, endpoint: str, *, patience: float) -> Beside:
        assert ("/run/control.sock", True) == (endpoint, patience <= 1.0)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tasks(self, query: str, *, limit: int, cursor: str | None) -> Mapping[str, object]:
        self.asked.append((query, limit, cursor))
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        ids, following = step
        return {"tasks": [{"id": number, "polls": 99} for number in ids], "next": following}

    def pages(self, query: str = "", after: int | None = None, limit: int = 50) -> Pages:
        this: Any = self
        return Pages(this, Query.parse(query), after, limit, connect=this)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_store(tmp_path_factory.mktemp("mixed") / "tasks.db")


@pytest.fixture
def reader(store: Path) -> Iterator[Reader]:
    with closing(open_reader(store)) as opened:
        yield opened


def told(pages: Pages) -> list[tuple[int, int]]:
    """Ids, with the looks: 99 where the engine was asked, 0 in the file."""
    return [(task["id"], task["polls"]) for task in pages]


def test_an_engine_that_runs_is_asked(reader: Reader) -> None:
    """Its pages are followed, short and empty ones too, with the query and --after as given."""
    beside = Beside(reader, ([3], "a"), ([], "b"), ([2, 1], None))
    pages = beside.pages("kind:sample", after=7)
    assert [(3, 99), (2, 99), (1, 99)] == told(pages)
    assert pages.next_after is None
    query = "kind:sample id<7"
    assert [(query, 50, None), (query, 49, "a"), (query, 49, "b")] == beside.asked


def test_a_limit_ends_a_listing_from_memory(reader: Reader) -> None:
    """Nothing more is asked for, and the last id is where the rest begins."""
    beside = Beside(reader, ([3, 2], "a"))
    pages = beside.pages(limit=2)
    assert [(3, 99), (2, 99)] == told(pages)
    assert 2 == pages.next_after


@pytest.mark.parametrize(
    "trouble", [ControlUnreachable("x", "no answer"), ControlRefused(503, "closed", "it ends")]
)
def test_the_file_gives_what_the_engine_does_not(trouble: Exception, reader: Reader) -> None:
    """An engine that falls silent, at first or in between, leaves out no task and doubles none."""
    assert [(3, 0), (2, 0), (1, 0)] == told(Beside(reader, trouble).pages())
    assert [(3, 99), (2, 0), (1, 0)] == told(Beside(reader, ([3], "a"), trouble).pages())
    limited = Beside(reader, ([3], "a"), trouble).pages(limit=2)
    assert [(3, 99), (2, 0)] == told(limited)
    assert 2 == limited.next_after


def test_a_long_listing_is_read_from_the_file(reader: Reader) -> None:
    """The engine is not kept from its work."""
    beside = Beside(reader)
    assert [(3, 0), (2, 0), (1, 0)] == told(beside.pages(limit=ASKED + 1))
    assert [] == beside.asked
