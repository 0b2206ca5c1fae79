"""Keeping a listing up to date, with real store files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine import Query, State
from tests.tui.stores import NOW, LiveStore, task, write
from tui import source as source_module
from tui.feed import Feed
from tui.link import Contact, Link
from tui.listing import Listing, Touched
from tui.source import Source

if TYPE_CHECKING:
    import pytest


class Watched:
    """A feed whose clock stands still until it is moved."""

    def __init__(self, path: Path, query: str = "") -> None:
        self.now = 100.0
        self.listing = Listing(Query.parse(query))
        self.link = Link(None)
        self.source = Source(path)
        self.feed = Feed(
            self.source, self.listing, self.link, clock=lambda: self.now, wall=lambda: NOW
        )
        self.feed.look_at(0, 50)

    def shown(self) -> list[tuple[int | None, str]]:
        lines = []
        for row in range(self.listing.height):
            task_id = self.listing.id_at(row)
            at_hand = None if task_id is None else self.listing.rows.get(task_id)
            lines.append((task_id, "?" if at_hand is None else str(at_hand.state)))
        return lines


@asynccontextmanager
async def watching(path: Path, query: str = "") -> AsyncIterator[Watched]:
    watched = Watched(path, query)
    try:
        yield watched
    finally:
        await watched.source.close()


@contextmanager
def live(tmp_path: Path, tasks: int) -> Iterator[LiveStore]:
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(task(task_id) for task_id in range(1, tasks + 1))
        yield store


async def test_one_step_fills_the_first_screen(tmp_path: Path) -> None:
    """The first frame need not be blank: one step reads counters, ids and rows."""
    async with watching(write(tmp_path / "a.db", [task(1), task(2, State.RUNNING)])) as watched:
        touched = await watched.feed.step()
        assert touched.moved
        assert watched.shown() == [(2, "running"), (1, "queued")]
        assert watched.feed.pulse.counts[State.RUNNING] == 1
        assert watched.link.contact is Contact.ENDED


async def test_what_moves_is_seen_by_the_next_step(tmp_path: Path) -> None:
    """New tasks come in front, changed ones change in place, and only they are touched."""
    with live(tmp_path, 2) as store:
        async with watching(store.path) as watched:
            await watched.feed.step()
            store.record([task(2, State.RUNNING), task(3)])
            touched = await watched.feed.step()
            assert touched == Touched(frozenset({2, 3}), moved=True)
            assert watched.shown() == [(3, "queued"), (2, "running"), (1, "queued")]
            assert (await watched.feed.step()).ids == frozenset()


async def test_a_filtered_listing_follows_its_tasks(tmp_path: Path) -> None:
    """Tasks come into the listing when they begin to match and leave it when they no longer do."""
    with live(tmp_path, 3) as store:
        async with watching(store.path, "state:running") as watched:
            await watched.feed.step()
            store.record([task(1, State.RUNNING), task(3, State.RUNNING)])
            await watched.feed.step()
            assert watched.shown() == [(3, "running"), (1, "running")]
            store.record([task(3, State.SUCCEEDED)])
            await watched.feed.step()
            assert watched.shown() == [(1, "running")]


async def test_a_flood_is_read_again_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More changes than a beat reads: the rows in sight are right at once, the ids soon after."""
    monkeypatch.setattr(source_module, "CHANGES_A_READ", 2)
    with live(tmp_path, 3) as store:
        async with watching(store.path) as watched:
            await watched.feed.step()
            watched.now += 60
            await watched.feed.step()
            store.record(task(task_id, State.RUNNING) for task_id in range(1, 40))
            assert {1, 2, 3} <= (await watched.feed.step()).ids
            await watched.feed.step()
            assert watched.shown() == [(task_id, "running") for task_id in range(39, 0, -1)]


async def test_a_frozen_view_stands_still_and_catches_up(tmp_path: Path) -> None:
    """While frozen only the counters go on; afterwards everything is there."""
    with live(tmp_path, 2) as store:
        async with watching(store.path) as watched:
            await watched.feed.step()
            watched.feed.freeze(on=True)
            store.record([task(1, State.RUNNING), task(3)])
            await watched.feed.step()
            assert watched.shown() == [(2, "queued"), (1, "queued")]
            assert watched.feed.pulse.total == 3
            watched.feed.freeze(on=False)
            await watched.feed.step()
            await watched.feed.step()
            assert watched.shown() == [(3, "queued"), (2, "queued"), (1, "running")]


async def test_an_engine_that_dies_and_starts_again_is_followed(tmp_path: Path) -> None:
    """The data stays, marked as what it is, and goes on with the next engine by itself."""
    path = tmp_path / "a.db"
    async with watching(path) as watched:
        await watched.feed.step()
        assert watched.feed.pulse.missing
        with LiveStore(path).open() as first:
            first.record([task(1)])
            first.crash()
            await watched.feed.step()
            assert watched.link.contact is Contact.NO_SOCKET
        await watched.feed.step()
        assert (watched.link.contact, watched.shown()) == (Contact.DIED, [(1, "queued")])
        with LiveStore(path).open() as second:
            second.record([task(1, State.LOST), task(2)])
            watched.now += 60
            await watched.feed.step()
            await watched.feed.step()
            assert watched.link.contact is Contact.NO_SOCKET
            assert watched.shown() == [(2, "queued"), (1, "lost")]


async def test_a_store_that_cannot_be_read_keeps_its_rows(tmp_path: Path) -> None:
    """Trouble is told, the last good rows stay, and reading goes on when the file is back."""
    path = write(tmp_path / "a.db", [task(1)])
    async with watching(path) as watched:
        await watched.feed.step()
        path.rename(tmp_path / "moved.db")
        await watched.feed.step()
        pulse = watched.feed.pulse
        assert (pulse.missing, pulse.counts[State.QUEUED], watched.shown()) == (
            True,
            1,
            [(1, "queued")],
        )
        (tmp_path / "moved.db").rename(path)
        await watched.feed.step()
        assert watched.feed.pulse.trouble is None


async def test_only_what_is_in_sight_is_read(tmp_path: Path) -> None:
    """A long listing has its ids, and the rows of one screen."""
    async with watching(write(tmp_path / "a.db", map(task, range(1, 501)))) as watched:
        watched.feed.look_at(0, 10)
        await watched.feed.step()
        assert (watched.listing.matched, len(watched.listing.rows)) == (500, 10)
        watched.feed.look_at(490, 500)
        await watched.feed.step()
        assert watched.shown()[-1] == (1, "queued")
        assert len(watched.listing.rows) == 20


async def test_ages_bring_tasks_in_by_time_alone(tmp_path: Path) -> None:
    """A query on the age is asked again, though nothing moved."""
    path = write(tmp_path / "a.db", [task(1)])
    async with watching(path, "age>1s") as watched:
        await watched.feed.step()
        assert not watched.listing.scanning
        watched.listing.take_ids([], 0)
        watched.now += 60
        first = watched.listing.coming
        await watched.feed.step()
        assert first is None
        assert watched.shown() == [(1, "queued")]
