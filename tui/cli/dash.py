"""``creche dash``: watch and steer a store in the terminal."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from engine import StoreNotFound

from .exits import BadUsage
from .output import is_terminal, say
from .place import StoreOption, locate, opened


def dash(
    file: Annotated[
        str | None, Parameter(name="STORE", help="The store's file, the same as --store.")
    ] = None,
    /,
    *,
    store: StoreOption = None,
) -> int:
    """Watch and steer a store in the terminal.

    It works on a store whose engine has ended, too, but then it can only be read. Where the output
    is no terminal, the counts and the newest tasks are printed instead.
    """
    if file is not None and store is not None:
        raise BadUsage("STORE and --store say the same: give one of them")
    wanted = file if file is not None else store
    if not (is_terminal() and sys.stdin.isatty()):
        from .ls import ls
        from .stats import stats

        stats(store=wanted)
        say()
        return ls(store=wanted)
    # What is wrong with a store is said here, where it stays readable. One that is not there yet is
    # waited for.
    with suppress(StoreNotFound), opened(wanted):
        pass
    from ..app import run_dashboard

    return run_dashboard(locate(wanted))
