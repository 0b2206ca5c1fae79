"""``creche ls``: list tasks, newest first."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter, validators

from engine import Query

from .exits import BadUsage, Exit
from .output import paint, say, say_json, width
from .pages import Pages
from .place import JsonOption, StoreOption, opened
from .rows import listing

_QUERY: Final = "Terms that must all hold: state:failed,lost kind:sample 'age>5m' -word …"


def ls(
    *query: Annotated[str, Parameter(allow_leading_hyphen=True, help=_QUERY)],
    limit: Annotated[
        int,
        Parameter(
            name=["--limit", "-n"],
            help="At most so many tasks.",
            validator=validators.Number(gte=1),
        ),
    ] = 50,
    after: Annotated[
        int | None,
        Parameter(
            help="Only tasks with ids below this one: the page after it.",
            validator=validators.Number(gte=1),
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> int:
    """List tasks, newest first."""
    option = next((term for term in query if term.startswith("--")), None)
    if option is not None:
        raise BadUsage(f"unknown option {option!r}; see 'creche ls --help'")
    wanted = Query.parse(" ".join(query))
    with opened(store) as reader:
        pages = Pages(reader, wanted, after, limit)
        if as_json:
            tasks = list(pages)
            say_json({"tasks": tasks, "next": pages.next_after})
            return Exit.OK
        cells, found = width(), False
        for line in listing(pages, cells=cells, paint=paint):
            say(line)
            found = True
    if cells is not None:
        if pages.next_after is not None:
            say(paint(f"… more: --after {pages.next_after}, or a larger --limit", "bright_black"))
        elif not found:
            say(paint("no task matches" if query else "no tasks yet", "bright_black"))
    return Exit.OK
