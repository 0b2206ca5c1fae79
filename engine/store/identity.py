"""Tells whether an opened database is a store of ours, and of a version that this code reads."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from ..errors import StoreUnreadable
from .schema import APPLICATION_ID, USER_VERSION


def check_identity(db: apsw.Connection, path: Path) -> bool:
    """True when the database is empty (to be made a store), False when it is a store.

    Changes nothing. Raises StoreUnreadable for anything else, saying what it is.
    """
    try:
        application = _number(db, "PRAGMA application_id")
        version = _number(db, "PRAGMA user_version")
        empty = _number(db, "SELECT count(*) FROM sqlite_schema") == 0
    except apsw.NotADBError as error:
        raise StoreUnreadable(path, "this is no store, nor any database; left as it is") from error
    except apsw.CorruptError as error:
        raise StoreUnreadable(path, f"the file is damaged ({error}); left as it is") from error
    if application == 0 and version == 0 and empty:
        return True
    if application != APPLICATION_ID:
        raise StoreUnreadable(
            path, f"a database of another program (application id {application:#x}); left as it is"
        )
    if version != USER_VERSION:
        raise StoreUnreadable(path, _other_version(db, version))
    return False


def _other_version(db: apsw.Connection, version: int) -> str:
    writer = ""
    with contextlib.suppress(apsw.Error):
        for (release,) in db.execute("SELECT version FROM owner").fetchall():
            writer = str(release)
    cure = "a newer creche" if version > USER_VERSION else "an older creche"
    if writer:
        cure = f"creche {writer}"
    return (
        f"a store of format {version}, and this creche reads format {USER_VERSION}:"
        f" install {cure} to open it"
    )


def _number(db: apsw.Connection, question: str) -> int:
    return int(db.execute(question).get)
