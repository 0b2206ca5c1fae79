"""F49: the token's file, made once and used only while nobody else can have read it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from web import TokenFileUnsafe, open_token

TOKEN = "A" * 43


def made(path: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "store.db.d"
    found.mkdir(mode=0o700)
    return found


def test_the_first_start_makes_a_token(tmp_path: Path) -> None:
    """A token has 256 bits, its file is the owner's alone, and so is a folder made for it."""
    path = tmp_path / "new" / "token"
    token = open_token(path)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert 0o100600 == path.stat().st_mode
    assert 0o40700 == path.parent.stat().st_mode
    assert [path] == list(path.parent.iterdir())


def test_the_next_start_finds_it(folder: Path) -> None:
    """A token stays the same; two stores have two."""
    assert open_token(folder / "token") == open_token(folder / "token")
    assert open_token(folder / "token") != open_token(folder / "other")


def test_the_umask_changes_nothing(folder: Path) -> None:
    """The file's mode does not come from the process's umask, which is left alone."""
    before = os.umask(0)
    try:
        open_token(folder / "token")
        assert 0 == os.umask(0)
    finally:
        os.umask(before)
    assert 0o100600 == (folder / "token").stat().st_mode


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"  {TOKEN}\r\n", "b" * 512])
def test_a_token_of_ones_own_is_taken(folder: Path, text: str) -> None:
    """A user may choose a token, long enough and of the characters a header can carry."""
    assert text.strip() == open_token(made(folder / "token", text))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: made(path, mode=0o644), "mode is 0644"),
        (lambda path: made(path, mode=0o640), "mode is 0640"),
        (lambda path: made(path, mode=0o602), "mode is 0602"),
        (lambda path: path.symlink_to(made(path.with_name("real"))), "symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "symbolic link"),
        (lambda path: path.mkdir(), "no plain file"),
        (lambda path: os.mkfifo(path, 0o600), "no plain file"),
        (lambda path: made(path, ""), "holds no token"),
        (lambda path: made(path, "A" * 42), "holds no token"),
        (lambda path: made(path, f"{TOKEN} {TOKEN}"), "holds no token"),
        (lambda path: made(path, "ü" * 43), "holds no token"),
        (lambda path: made(path, "A" * 2000), "2000 bytes are no token"),
        (lambda path: made(path, "A" * 5_000_000), "5000000 bytes are no token"),
        (lambda path: path.parent.chmod(0o770), "may be written by others"),
        (lambda path: path.parent.chmod(0o702), "may be written by others"),
    ],
)
def test_what_others_may_have_read_or_made_is_refused(
    folder: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    """A file or folder that cannot be relied on is refused in one line that names it."""
    path = folder / "token"
    spoil(path)
    with pytest.raises(TokenFileUnsafe) as refused:
        open_token(path)
    assert problem in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_belongs_to_somebody_else_is_refused(folder: Path) -> None:
    """A folder of another user is refused, whatever its mode."""
    open_token(folder / "token")
    with pytest.raises(TokenFileUnsafe, match="belongs to user"):
        open_token(folder / "token", owner=os.geteuid() + 1)


def test_a_place_that_cannot_be_is_refused(folder: Path) -> None:
    """What the system says of an impossible path is told as the reason."""
    with pytest.raises(TokenFileUnsafe, match="File name too long"):
        open_token(folder / ("n" * 300))
