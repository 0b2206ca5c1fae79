"""The command line: `main` finds the verb, runs it, and turns what went wrong into a sentence.

A verb is a function in a module of its own name. The modules are loaded by name, when they are
called: ``creche ls`` loads neither the dashboard nor a server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyclopts import App

    from engine import CrecheError

VERBS: Final[Mapping[str, str]] = {
    "demo": "Mind N sample tasks in a store of its own and show how it goes.",
    "serve": "Run the engine of a store, with its control socket and, if asked, HTTP.",
    "dash": "Watch and steer a store in the terminal.",
    "submit": "Submit a task of a registered kind, and print its id.",
    "ls": "List tasks, newest first.",
    "show": "Show all that is known of one task.",
    "wait": "Wait until tasks have ended; the exit status is theirs.",
    "cancel": "Cancel tasks, and say how far each cancel got.",
    "stats": "Count a store's tasks, and show how its engine does.",
    "kinds": "List the kinds of tasks that can be submitted, with their arguments.",
}
"""Every verb with its line in ``creche --help``; ``tui.cli.VERB`` holds the function VERB."""


def build_app() -> App:
    """Make the parser, with every verb known by name only."""
    from cyclopts import App, Parameter

    app = App(
        name="creche",
        help="Minds any number of blocking and polling tasks.",
        version=_version,
        help_formatter="plain",
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        result_action="return_value",
    )
    for verb, line in VERBS.items():
        app.command(f"{__name__}.{verb}:{verb}", name=verb, help=line)
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        tokens: What follows ``creche``; None: the process's own arguments.

    Returns:
        The exit status (docs/cli.md).
    """
    given = list(sys.argv[1:] if tokens is None else tokens)
    verb = given[0] if given and given[0] in VERBS else ""
    _settle_streams()
    try:
        status = _run(given, verb)
        sys.stdout.flush()
    except BrokenPipeError:
        from .output import mute

        mute()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stop:
        return 128 + int(getattr(stop, "number", signal.SIGINT))
    return status


def _settle_streams() -> None:
    """Have a stream for whatever is said: what cannot be shown becomes ?, a closed one is mute."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  stays open
        with contextlib.suppress(AttributeError):  # a stand-in for a stream has no encoding
            stream.reconfigure(errors="replace")


def _run(given: list[str], verb: str) -> int:
    from cyclopts import CycloptsError

    app = build_app()
    try:
        status = app(given, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        from .output import complain

        complain(
            verb, f"{str(error).rstrip('.')}; see '{'creche ' + verb if verb else 'creche'} --help'"
        )
        return 2
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        from .exits import status_of, worst
        from .output import complain

        for leaf in known:
            complain(verb, _sentence(leaf))
        return worst([status_of(leaf, serving=verb == "serve") for leaf in known])
    return int(status or 0)


def _known(error: Exception) -> list[CrecheError | OSError] | None:
    """The errors that a person can do something about; None when any of them is a defect."""
    from engine import CrecheError

    if isinstance(error, ExceptionGroup):
        parts = [_known(part) for part in error.exceptions]
        return None if None in parts else [leaf for part in parts if part for leaf in part]
    if isinstance(error, CrecheError | OSError) and not isinstance(error, BrokenPipeError):
        return [error]
    return None


def _sentence(error: CrecheError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _version() -> str:
    from engine import VERSION

    return f"creche {VERSION}"
