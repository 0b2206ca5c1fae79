"""The kind ``path``: waits for a file to appear, to settle, or to have words in it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from ..model import Mode
from .kind import Kind

READ: Final = 1 << 20
"""Bytes of a file, from its start, in which words are looked for."""
_WEEK: Final = 7 * 86_400.0


class PathArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wait for a file: until it is there and all else that is asked of it holds as well."""

    path: Annotated[
        str, msgspec.Meta(min_length=1, max_length=4_096, description="Absolute path of the file.")
    ]
    settle: Annotated[
        float,
        msgspec.Meta(
            ge=0.0, le=_WEEK, description="Seconds for which it is seen to keep its size and time."
        ),
    ] = 0.0
    contains: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1, max_length=1_000, description="Words to be found in its first MiB."
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        # The engine's folder says nothing to whoever submits from elsewhere.
        if not self.path.startswith("/") or "\0" in self.path:
            raise ValueError("path: expected an absolute one, such as /tmp/done")


class PathWait:
    """A polling box whose output tells the file it has waited for.

    Args:
        path: The file; a symbolic link counts as what it points to.
        settle: Seconds for which looks must find the same file with the same size and time.
        contains: Words that must be in its first MiB, as UTF-8.
        clock: Monotonic seconds.
    """

    creche_mode = Mode.POLLING

    def __init__(
        self,
        path: Path,
        settle: float = 0.0,
        contains: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._settle = settle
        self._words = None if contains is None else contains.encode()
        self._clock = clock
        self._seen: tuple[int, ...] | None = None
        self._since = 0.0

    def run(self) -> None:
        """Nothing to start: others do. What was seen before does not count."""
        self._seen = None

    def check_output(self) -> dict[str, object] | None:
        """Path, size in bytes and time of last change (seconds since the epoch); None as long as
        it is not as it should be.

        Raises:
            OSError: It cannot be looked at, for want of permission, say.
            ValueError: Words are looked for in what is no regular file.
        """
        try:
            found = self._path.stat()
            if not self._settled(found) or not self._has_words():
                return None
        except (FileNotFoundError, NotADirectoryError):
            self._seen = None
            return None
        return {"path": str(self._path), "size": found.st_size, "modified": found.st_mtime}

    def _settled(self, found: os.stat_result) -> bool:
        now = self._clock()
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._settle

    def _has_words(self) -> bool:
        if self._words is None:
            return True
        # Opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError(f"{self._path} is no regular file: its words cannot be looked for")
            with open(descriptor, "rb", closefd=False) as file:
                return self._words in file.read(READ)
        finally:
            os.close(descriptor)


def _build(arguments: Any) -> PathWait:
    return PathWait(Path(arguments.path), arguments.settle, arguments.contains)


PATH: Final = Kind("path", PathArguments, _build, mode=Mode.POLLING)
