"""The state store: an index in memory, made durable by a journal, read through readers.

Only what needs an event loop imports one: a dashboard that opens a reader loads no Trio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .ownership import store_folder as store_folder
from .sqlite_reader import SqliteReader as SqliteReader
from .sqlite_reader import open_reader as open_reader

if TYPE_CHECKING:
    from .sqlite import SqliteJournal as SqliteJournal
    from .sqlite import open_sqlite as open_sqlite
    from .volatile import VolatileJournal as VolatileJournal

_LATE: Final = {
    "SqliteJournal": ".sqlite",
    "VolatileJournal": ".volatile",
    "open_sqlite": ".sqlite",
}


def __getattr__(name: str) -> object:
    """Import on first use."""
    if name in _LATE:
        return getattr(import_module(_LATE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
