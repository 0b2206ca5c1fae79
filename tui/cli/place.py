"""Where a command finds its store: --store, else CRECHE_STORE, else the state directory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

from engine import find_store, open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine import Owner, Reader

LIVE_FACTS: Final = 1.0
"""Seconds to wait for what only an engine's memory knows, where the file can speak for itself."""

StoreOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--store",
        help="The store's file; else CRECHE_STORE, else the one in your state directory.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, Parameter(name="--json", help="Print one JSON document (docs/cli.md).")
]


def locate(store: str | None) -> Path:
    """The path of the store that a command is about; it need not exist."""
    return find_store(store, os.environ)


@contextmanager
def opened(store: str | None) -> Iterator[Reader]:
    """Open the command's store for reading.

    Raises:
        StoreNotFound: There is none at this place yet.
        StoreUnreadable: It is damaged, no store, or of another version.
    """
    reader = open_reader(locate(store))
    try:
        yield reader
    finally:
        reader.close()


def live_endpoint(owner: Owner | None) -> str | None:
    """Path of the control socket of an engine that runs now, None without one."""
    return owner.endpoint if owner is not None and owner.alive else None


def no_engine(owner: Owner | None) -> str:
    """Say in words why nobody can be asked or told anything, and what to do."""
    if owner is None or not owner.alive:
        return "no engine runs on this store: start one with 'creche serve'"
    return (
        f"the engine of this store (process {owner.pid}) has no control socket: "
        "start one in it with 'web.serve(engine)'"
    )
