"""The file that holds the token: made once, and used only while nobody else can have read it."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from engine import CrecheError

TOKEN_BYTES: Final = 32
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43,512}")
_READ_LIMIT: Final = 1024


class TokenFileUnsafe(CrecheError):
    """The token's file, or its folder, cannot be relied on; nothing was read from it or written."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"token file {path}: {problem}")


def open_token(path: Path, *, owner: int | None = None) -> str:
    """Give the token in a file, made now if there is none.

    Args:
        path: The file. A folder that does not exist is made, for its owner only.
        owner: The user who must own both, by number; this process's when left out.

    Raises:
        TokenFileUnsafe: It is a link, no plain file, somebody else's, open to others, too large, or
            holds something else; or its folder is somebody else's or writable by others.
    """
    owner = os.geteuid() if owner is None else owner
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path, owner)
        _make(path)
        text = _read(path, owner)
    except OSError as error:
        raise TokenFileUnsafe(path, error.strerror or str(error)) from error
    return text


def _check_folder(path: Path, owner: int) -> None:
    folder = path.parent.stat()
    if folder.st_uid != owner:
        raise TokenFileUnsafe(path, f"its folder belongs to user {folder.st_uid}, not to you")
    if folder.st_mode & 0o022:
        raise TokenFileUnsafe(path, "its folder may be written by others: chmod 700 it")


def _make(path: Path) -> None:
    """Write a fresh token, unless something has that name."""
    if os.path.lexists(path):
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link and no rename: whoever was first keeps the name, and nobody reads half a token.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _read(path: Path, owner: int) -> str:
    try:
        # Not blocking: a pipe of that name must not hold the start up.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
    except OSError as error:
        if path.is_symlink():
            raise TokenFileUnsafe(path, "it is a symbolic link: give the file itself") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise TokenFileUnsafe(path, "it is no plain file")
        if found.st_uid != owner:
            raise TokenFileUnsafe(path, f"it belongs to user {found.st_uid}, not to you")
        if found.st_mode & 0o077:
            mode = stat.S_IMODE(found.st_mode)
            raise TokenFileUnsafe(path, f"its mode is {mode:04o}, others may use it: chmod 600 it")
        if found.st_size > _READ_LIMIT:
            raise TokenFileUnsafe(path, f"{found.st_size} bytes are no token")
        text = os.read(descriptor, _READ_LIMIT).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not _FORM.fullmatch(text):
        raise TokenFileUnsafe(path, "it holds no token: delete it to have one made")
    return text
