"""The kind ``path``: there, settled, and with the words that are waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import BadArguments
from engine.kinds import default_registry
from engine.kinds.path import READ, PathWait


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def touch(path: Path, seconds: int) -> None:
    """Give it this time of last change."""
    os.utime(path, (seconds, seconds))


def test_it_waits_until_a_file_is_there(tmp_path: Path) -> None:
    """Nothing without the file or its folder; then its path, size and time."""
    path = tmp_path / "folder" / "done"
    box = PathWait(path)
    box.run()
    assert None is box.check_output()
    path.parent.mkdir()
    assert None is box.check_output()
    path.write_bytes(b"12345")
    touch(path, 1_700_000_000)
    assert {"path": str(path), "size": 5, "modified": 1_700_000_000.0} == box.check_output()


def test_a_link_is_what_it_points_to(tmp_path: Path) -> None:
    """A link to nothing is not there yet; a part of the path that is a file is no folder yet."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    assert None is PathWait(link).check_output()
    (tmp_path / "target").touch()
    assert None is not PathWait(link).check_output()
    assert None is PathWait(tmp_path / "target" / "below").check_output()


def test_a_file_has_settled_when_looks_find_it_unchanged(tmp_path: Path) -> None:
    """Any change of size or time begins the wait anew; so does another file in its place."""
    path, clock = tmp_path / "data", Clock()
    box = PathWait(path, settle=10.0, clock=clock)
    box.run()
    path.write_bytes(b"1")
    touch(path, 1)

    def settles_after(seconds: float) -> bool:
        clock.now += seconds
        return box.check_output() is not None

    assert [False, False] == [settles_after(0), settles_after(9.9)]
    path.write_bytes(b"12")
    touch(path, 1)
    assert [False, False] == [settles_after(0.1), settles_after(9.9)]
    touch(path, 2)
    assert [False, False] == [settles_after(0.1), settles_after(9.9)]
    other = tmp_path / "other"
    other.write_bytes(b"34")
    touch(other, 2)
    other.replace(path)
    assert [False, False] == [settles_after(0.1), settles_after(9.9)]
    path.unlink()
    assert not settles_after(0.1)
    path.write_bytes(b"56")
    assert [False, False, True] == [settles_after(10), settles_after(9.9), settles_after(0.1)]


def test_running_it_again_begins_anew(tmp_path: Path) -> None:
    """A second attempt owes nothing to the looks of the first."""
    path, clock = tmp_path / "data", Clock()
    path.touch()
    box = PathWait(path, settle=10.0, clock=clock)
    assert None is box.check_output()
    clock.now += 10
    box.run()
    assert None is box.check_output()
    clock.now += 10
    assert None is not box.check_output()


def test_words_are_looked_for_in_the_first_mib(tmp_path: Path) -> None:
    """The words must lie in it as a whole; what comes after is not read."""
    path = tmp_path / "log"
    words = "schön"
    raw = words.encode()
    box = PathWait(path, contains=words)
    for before, expected in ((0, True), (READ - len(raw), True), (READ - len(raw) + 1, False)):
        path.write_bytes(b"x" * before + raw)
        assert expected is (box.check_output() is not None)
    path.write_bytes(b"")
    assert None is box.check_output()


def test_words_need_a_regular_file(tmp_path: Path) -> None:
    """A pipe that nobody writes to is refused, and holds nothing up; so is a folder."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert None is not PathWait(pipe).check_output()
    with pytest.raises(ValueError, match="no regular file"):
        PathWait(pipe, contains="x").check_output()
    with pytest.raises(ValueError, match="no regular file"):
        PathWait(tmp_path, contains="x").check_output()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_at_raises(tmp_path: Path) -> None:
    """That is no file that is not there yet."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with pytest.raises(PermissionError):
        PathWait(folder / "x").check_output()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": ""},
        {"path": "relative"},
        {"path": "~/x"},
        {"path": "/x\0y"},
        {"path": "/x", "settle": -1},
        {"path": "/x", "settle": 1e9},
        {"path": "/x", "contains": ""},
        {"path": "/" * 5_000},
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, object]) -> None:
    """Paths are absolute: nobody knows the folder of an engine."""
    with pytest.raises(BadArguments):
        default_registry().check("path", arguments)


def test_it_is_a_task_like_any_other(tmp_path: Path) -> None:
    """By name, from stored text."""
    registry = default_registry()
    text = registry.check("path", {"path": str(tmp_path), "settle": 0})
    box = registry.build("path", text)
    assert isinstance(box, PathWait)
    assert str(tmp_path) == (box.check_output() or {})["path"]
