"""Opens the journal that a store's path asks for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..version import VERSION
from .sqlite import open_sqlite
from .volatile import VolatileJournal

if TYPE_CHECKING:
    from ..api import Journal, RunSync
    from ..model import Durability


def open_journal(
    path: Path | None, *, durability: Durability, wall: Callable[[], float], threads: RunSync
) -> AbstractAsyncContextManager[Journal]:
    """A journal in the file at ``path``, or in memory for None.

    Entering it raises StoreInUse, StoreUnsafe or StoreUnreadable.
    """
    if path is None:
        return nullcontext(VolatileJournal())
    return open_sqlite(path, durability=durability, version=VERSION, wall=wall, threads=threads)
