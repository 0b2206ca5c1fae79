"""Where a store and its socket lie."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import settings
from engine.errors import BadOption
from engine.settings import STORE_VARIABLE, find_store, socket_path, state_dir, store_dir


def test_what_was_asked_for_comes_first(tmp_path: Path) -> None:
    """Then the variable, then the state directory; "" asks for nothing."""
    given, named = tmp_path / "given.db", tmp_path / "named.db"
    environ = {STORE_VARIABLE: str(named)}
    assert given == find_store(str(given), environ)
    assert given == find_store(given, {})
    assert named == find_store(None, environ)
    assert named == find_store("", environ)
    assert state_dir() / "tasks.db" == find_store(None, {})
    assert state_dir() / "tasks.db" == find_store(None, {STORE_VARIABLE: ""})


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have no XDG_STATE_HOME")
def test_the_state_directory_is_the_platforms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder of creche's own in it, and nothing is made there by asking."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert tmp_path / "creche" / "tasks.db" == find_store(None, {})
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_absolute_whatever_becomes_of_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Relative to where it was asked for; a ~ is the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tmp_path / "a" / "b.db" == find_store("a/b.db", {})
    assert tmp_path / "home" / "b.db" == find_store("~/b.db", {})


@pytest.mark.parametrize(
    "path", ["/", ".", "..", "a/", "a/..", "a/.", "~", "a\0b", "~nobody-of-this-name/x"]
)
def test_a_path_of_no_file_is_refused(path: str) -> None:
    """The error names the option, or the variable, that it came from."""
    with pytest.raises(BadOption, match="store="):
        find_store(path, {})
    with pytest.raises(BadOption, match="CRECHE_STORE="):
        find_store(None, {STORE_VARIABLE: path})


def test_the_folder_of_a_store_stands_beside_it() -> None:
    """``<store>.d``, whatever the store's own ending."""
    assert store_dir(Path("/x/tasks.db")) == Path("/x/tasks.db.d")
    assert store_dir(Path("/x/tasks")) == Path("/x/tasks.d")


def test_the_socket_lies_in_the_folder_of_its_store(tmp_path: Path) -> None:
    """As long as its path is short enough; nothing is made."""
    store = Path("/srv/tasks.db")
    assert socket_path(store, {}) == Path("/srv/tasks.db.d/control.sock")
    fits = Path("/" + "x" * (100 - len("/.d/control.sock")))
    assert len(os.fsencode(socket_path(fits, {}))) == 100
    assert socket_path(fits, {}).parent == store_dir(fits)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder with a short path, since sockets are about short paths."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.mark.parametrize("store", [Path("/" + "x" * 90), Path("/" + "é" * 45), None], ids=str)
def test_a_long_path_moves_to_a_fresh_folder_of_this_user(store: Path | None, short: Path) -> None:
    """In XDG_RUNTIME_DIR, 0700, another one each time; bytes count, not characters. An engine
    without a store gets one too."""
    runtime = short / "run"
    runtime.mkdir()
    first, second = (socket_path(store, {"XDG_RUNTIME_DIR": str(runtime)}) for _ in range(2))
    assert first.parent != second.parent
    for path in (first, second):
        assert path.parent.parent == runtime
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.parent.stat().st_uid == os.getuid()
        assert list(path.parent.iterdir()) == []
        assert len(os.fsencode(path)) <= 100


@pytest.mark.parametrize("runtime", ["", "relative", "/no/such/folder", "{file}", "{long}"])
def test_a_runtime_folder_that_is_none_is_passed_over(runtime: str, short: Path) -> None:
    """Then the folder for temporary files serves."""
    (short / "file").touch()
    long = short / ("l" * 90)
    long.mkdir()
    place = runtime.format(file=short / "file", long=long)
    path = socket_path(None, {"XDG_RUNTIME_DIR": place})
    assert path.parent.parent == short
    assert path.name == "control.sock"


def test_where_no_folder_will_do_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than binding to a path that was cut."""
    monkeypatch.setattr(settings, "_SOCKET_PATH_BYTES", 10)
    with pytest.raises(OSError, match="no folder for a socket"):
        socket_path(None, {})
