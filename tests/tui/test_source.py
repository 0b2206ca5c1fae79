"""Reading a store's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import OutputNotReady, Query, Reader, State, open_reader
from tests.tui.stores import LiveStore, task, write
from tui import source as module
from tui.source import Source, StoreGone


async def test_a_store_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """No file is a state, not an error of the program; as soon as there is one it is read."""
    source = Source(tmp_path / "later.db")
    with pytest.raises(StoreGone, match="no store here yet") as gone:
        await source.beat(None)
    assert gone.value.missing
    write(tmp_path / "later.db", [task(1)])
    beat = await source.beat(None)
    assert (beat.counts[State.QUEUED], beat.missed) == (1, True)
    await source.close()


async def test_a_file_that_is_no_store_says_so_and_is_tried_again(tmp_path: Path) -> None:
    """What is wrong with a file comes as words; another file in its place is read."""
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    path.chmod(0o600)
    source = Source(path)
    with pytest.raises(StoreGone) as gone:
        await source.beat(None)
    assert not gone.value.missing
    path.unlink()
    write(path, [task(1), task(2)])
    assert (await source.beat(None)).counts[State.QUEUED] == 2
    await source.close()


async def test_a_replaced_file_is_opened_anew(tmp_path: Path) -> None:
    """A store that was moved into the place of another is read instead of it."""
    path = write(tmp_path / "a.db", [task(1)])
    source = Source(path)
    await source.beat(None)
    write(tmp_path / "b.db", [task(1), task(2), task(3)]).replace(path)
    assert (await source.beat(None)).counts[State.QUEUED] == 3
    await source.close()


async def test_a_beat_reads_what_moved_since_the_last(tmp_path: Path) -> None:
    """Changes come once, each task in its newest form; nothing new reads nothing."""
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1), task(2)])
        source = Source(store.path)
        first = await source.beat(None)
        store.record([task(2, State.RUNNING), task(2, State.SUCCEEDED), task(3)])
        second = await source.beat(first.cursor)
        assert [(row.id, row.state) for row in second.changed] == [
            (2, State.SUCCEEDED),
            (3, State.QUEUED),
        ]
        assert not second.missed
        third = await source.beat(second.cursor)
        assert (third.changed, third.cursor) == ((), second.cursor)
        assert third.owner is not None
        assert third.owner.alive
        await source.close()


async def test_more_changes_than_a_beat_reads_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood costs a bounded number of rows; the next beat goes on from its end."""
    monkeypatch.setattr(module, "CHANGES_A_READ", 2)
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1)])
        source = Source(store.path)
        first = await source.beat(None)
        store.record(task(task_id) for task_id in range(2, 40))
        second = await source.beat(first.cursor)
        assert second.missed
        assert not (await source.beat(second.cursor)).changed
        await source.close()


async def test_ids_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan goes from the newest to the oldest and knows when it is through."""
    monkeypatch.setattr(module, "IDS_A_READ", 2)
    source = Source(write(tmp_path / "a.db", [task(1), task(2), task(3)]))
    first, known_from = await source.ids(Query.everything(), None)
    second, end = await source.ids(Query.everything(), known_from)
    assert ([*first, *second], end) == ([3, 2, 1], 0)
    await source.close()


async def test_rows_and_outputs(tmp_path: Path) -> None:
    """A task that does not exist is None among the rows; an output comes as its JSON."""
    rows = [task(1, State.SUCCEEDED), task(2)]
    source = Source(write(tmp_path / "a.db", rows, {1: "[42]"}))
    found = await source.rows([1, 7])
    assert (found[7], found[1] is not None) == (None, True)
    assert await source.output(1) == "[42]"
    with pytest.raises(OutputNotReady):
        await source.output(2)
    await source.close()


async def test_a_reader_that_breaks_is_thrown_away(tmp_path: Path) -> None:
    """An error that no reader promises is told in words, and the next call starts afresh."""
    path = write(tmp_path / "a.db", [task(1)])
    opened: list[Reader] = []

    def opener(place: Path) -> Reader:
        reader = open_reader(place)
        if not opened:
            reader.counts = broken  # type: ignore[method-assign]
        opened.append(reader)
        return reader

    def broken() -> dict[State, int]:
        raise ZeroDivisionError("by the reader")

    source = Source(path, opener)
    with pytest.raises(StoreGone, match="ZeroDivisionError: by the reader"):
        await source.beat(None)
    assert (await source.beat(None)).counts[State.QUEUED] == 1
    await source.close()
