"""Where a store and what belongs to it lie on this machine."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

from .errors import BadOption

STORE_VARIABLE: Final = "CRECHE_STORE"
_SOCKET_NAME: Final = "control.sock"
_SOCKET_PATH_BYTES: Final = 100
"""A bound below what the systems allow for the path of a unix socket: 108 bytes on Linux, 104 on
macOS, with the closing NUL."""


def find_store(explicit: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """The path of the store that is meant, absolute; it need not exist.

    Args:
        explicit: What was asked for; a leading ``~`` is the home. None or "" leaves it open.
        environ: The environment, for ``CRECHE_STORE``. Without that too, the store is
            ``tasks.db`` in the platform's state directory.

    Raises:
        BadOption: The path names no file, or cannot be a path.
    """
    for option, given in (("store", explicit), (STORE_VARIABLE, environ.get(STORE_VARIABLE))):
        if given is None or not (text := os.fspath(given)):
            continue
        if "\0" in text:
            raise BadOption(option, text, "a path, without NUL")
        try:
            path = Path(text).expanduser().absolute()
        except RuntimeError as error:
            raise BadOption(option, text, "a path whose home directory is known") from error
        if text == "~" or text.rpartition("/")[2] in {"", ".", ".."}:
            raise BadOption(option, text, "the path of a file, not of a folder")
        return path
    return state_dir() / "tasks.db"


def state_dir() -> Path:
    """The folder for creche's own files: the platform's state directory for this user."""
    return platformdirs.user_state_path("creche", appauthor=False)


def store_dir(store: Path) -> Path:
    """The folder that belongs to a store: ``<store>.d``, for its socket, lock and outputs."""
    return store.with_name(store.name + ".d")


def socket_path(store: Path | None, environ: Mapping[str, str]) -> Path:
    """Where the control socket of an engine is to be bound.

    That is ``<store>.d/control.sock``. Where this would be longer than a socket's path may be, or
    there is no store, a fresh folder that only this user can enter is made for it, in
    ``XDG_RUNTIME_DIR`` or else in the folder for temporary files; the caller removes it.

    Raises:
        OSError: No folder could be made.
    """
    if store is not None:
        path = store_dir(store) / _SOCKET_NAME
        if _fits(path):
            return path
    candidates = [tempfile.gettempdir(), "/tmp"]  # noqa: S108  a fresh 0700 folder is made in it
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        candidates.insert(0, runtime)
    for folder in candidates:
        if _usable(folder):
            return Path(tempfile.mkdtemp(prefix="creche-", dir=folder)) / _SOCKET_NAME
    raise OSError(f"no folder for a socket among {', '.join(candidates)}: their paths are too long")


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_PATH_BYTES


def _usable(folder: str) -> bool:
    """True for a folder in which a socket with a short enough path can be made."""
    path = Path(folder)
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False
    made = path / "creche-12345678" / _SOCKET_NAME
    return is_folder and path.is_absolute() and os.access(path, os.W_OK | os.X_OK) and _fits(made)
