"""What a command's exit status says: one table for all verbs, in docs/cli.md for people."""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from engine import (
    BadArguments,
    BadOption,
    BadQuery,
    CrecheError,
    KindNotFound,
    StoreFailed,
    StoreUnreadable,
    TaskNotFound,
)

from ..ports import ControlRefused

if TYPE_CHECKING:
    from collections.abc import Mapping


class Exit(IntEnum):
    """Exit statuses; 128 + n is a command ended by the signal n, as a shell reports it."""

    OK = 0
    NOT_SUCCEEDED = 1
    """The command did its work; a task that it was about did not succeed."""
    USAGE = 2
    UNAVAILABLE = 3
    """No store, no engine, or one that refuses."""
    NOT_FOUND = 4
    TIME_OVER = 5
    """The time given with --timeout is over."""
    CORRUPT = 65
    """``creche serve``: the store is damaged or no store (sysexits: EX_DATAERR)."""
    IO = 74
    """Reading or writing failed (sysexits: EX_IOERR)."""


class BadUsage(CrecheError):
    """The command line asks for something that cannot be done."""


_BY_ERROR: Final[Mapping[type[CrecheError], Exit]] = {
    BadUsage: Exit.USAGE,
    BadArguments: Exit.USAGE,
    BadOption: Exit.USAGE,
    BadQuery: Exit.USAGE,
    KindNotFound: Exit.USAGE,
    TaskNotFound: Exit.NOT_FOUND,
    StoreFailed: Exit.IO,
}
"""All other errors of ours are `Exit.UNAVAILABLE`."""
_BY_REFUSAL: Final[Mapping[int, Exit]] = {
    HTTPStatus.BAD_REQUEST: Exit.USAGE,
    HTTPStatus.NOT_FOUND: Exit.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY: Exit.USAGE,
}
"""An engine's refusals that say what is wrong with what was asked; the others are of the moment."""


def status_of(error: CrecheError | OSError, *, serving: bool = False) -> Exit:
    """The exit status for an error.

    Args:
        error: What ended the command.
        serving: True for ``creche serve``, whose supervisor tells a damaged store (65) from one
            that is only not available now (3).
    """
    if isinstance(error, OSError):
        return Exit.IO
    if serving and isinstance(error, StoreUnreadable):
        return Exit.CORRUPT
    if isinstance(error, ControlRefused) and error.status in _BY_REFUSAL:
        return _BY_REFUSAL[error.status]
    found = (status for kind, status in _BY_ERROR.items() if isinstance(error, kind))
    return next(found, Exit.UNAVAILABLE)


def worst(statuses: list[Exit]) -> Exit:
    """One status for several tasks: the highest of them says most about what to do next."""
    return max(statuses, default=Exit.OK)
