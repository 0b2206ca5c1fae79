"""``creche kinds``: what can be submitted to the engine that runs, and with which arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..control import SyncControl
from ..text import safe_text
from .arguments import described, described_arguments
from .exits import Exit
from .output import complain, paint, say, say_json
from .place import JsonOption, StoreOption, live_endpoint, no_engine, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .arguments import Argument


def kinds(*, as_json: JsonOption = False, store: StoreOption = None) -> int:
    """List the kinds of tasks that can be submitted, with their arguments."""
    with opened(store) as reader:
        owner = reader.owner()
    endpoint = live_endpoint(owner)
    if endpoint is None:
        complain("kinds", no_engine(owner))
        return Exit.UNAVAILABLE
    with SyncControl(endpoint) as control:
        document = control.kinds()
    if as_json:
        say_json(document)
        return Exit.OK
    for line in lines(document):
        say(line)
    return Exit.OK


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Lay what ``GET /v1/kinds`` answers out for people, harmless."""
    for kind in document["kinds"]:
        schema = kind["arguments"]
        name = paint(safe_text(kind["name"]), "bold")
        yield f"{name}  {safe_text(described(schema))}".rstrip()
        for argument in described_arguments(schema):
            yield f"    {_argument(argument)}"


def _argument(argument: Argument) -> str:
    words = f"{safe_text(argument.name)}: {safe_text(argument.types)}"
    if argument.default is not None:
        words += f" = {safe_text(argument.default)}"
    elif not argument.required:
        words += ", may be left out"
    if argument.secret:
        words += ", secret"
    if argument.description:
        words += f"  ({safe_text(argument.description).rstrip('.')})"
    return words
