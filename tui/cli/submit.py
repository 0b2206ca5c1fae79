"""``creche submit``: give the engine that runs a task of a registered kind."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter, validators

from engine import KindNotFound, State, task_json

from ..control import SyncControl
from ..ports import ControlUnreachable
from .arguments import read_document, read_words
from .exits import BadUsage, Exit
from .output import complain, say, say_json
from .place import JsonOption, StoreOption, live_endpoint, no_engine, opened
from .wait import Watch, ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine import Reader

_INTEGERS: Final = 2**53
_SECONDS: Final = 1e11
"""More is no number, or no time, that an engine takes."""
_STDIN: Final = 1 << 20
"""Bytes that are read for arguments; an engine takes less."""
_ARGUMENTS: Final = "All arguments as one JSON object; - reads it from stdin."
_TIMEOUT: Final = "Seconds that one attempt may take; the kind's own when left out."
_ATTEMPTS: Final = "How often it may be begun in all; the kind's own when left out."


def submit(
    kind: Annotated[str, Parameter(name="KIND", help="The kind's name; see 'creche kinds'.")],
    /,
    *words: Annotated[str, Parameter(name="ARGS", help="Its arguments, each as name=value.")],
    arguments: Annotated[
        str | None, Parameter(name="--arguments", help=_ARGUMENTS, allow_leading_hyphen=True)
    ] = None,
    name: Annotated[str | None, Parameter(help="For people; the kind when left out.")] = None,
    key: Annotated[str | None, Parameter(help="Groups tasks that belong together.")] = None,
    tag: Annotated[
        list[str] | None, Parameter(help="A word to find it by; may be repeated.")
    ] = None,
    priority: Annotated[
        int | None,
        Parameter(
            help="Higher starts first.",
            validator=validators.Number(gte=-_INTEGERS, lte=_INTEGERS),
        ),
    ] = None,
    timeout: Annotated[
        float | None, Parameter(help=_TIMEOUT, validator=validators.Number(gte=0, lte=_SECONDS))
    ] = None,
    attempts: Annotated[
        int | None, Parameter(help=_ATTEMPTS, validator=validators.Number(gte=1, lte=_INTEGERS))
    ] = None,
    wait: Annotated[bool, Parameter(help="Return when it has ended; the status is its.")] = False,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> int:
    """Submit a task of a registered kind, and print its id; durable by then."""
    if words and arguments is not None:
        raise BadUsage("give the arguments as name=value or as --arguments, not both")
    options = {
        "name": name,
        "key": key,
        "tags": tag,
        "priority": priority,
        "timeout_ms": None if timeout is None else timeout * 1000,
        "attempts": attempts,
    }
    body: dict[str, object] = {n: value for n, value in options.items() if value is not None}
    body |= {"kind": kind, "arguments": {} if arguments is None else _document(arguments)}
    with opened(store) as reader:
        owner = reader.owner()
        endpoint = live_endpoint(owner)
        if endpoint is None:
            complain("submit", no_engine(owner))
            return Exit.UNAVAILABLE
        with SyncControl(endpoint) as control:
            if words:
                body["arguments"] = read_words(words, _schema(control.kinds(), kind))
            try:
                task = control.submit(body)
            except ControlUnreachable as gone:
                # It may have been the answer that got lost, and not the task.
                complain("submit", f"{gone}; before submitting it again, look with 'creche ls'")
                return Exit.UNAVAILABLE
        if wait:
            return _wait(reader, int(str(task["id"])), as_json=as_json)
    if as_json:
        say_json(task)
    else:
        say(str(task["id"]))
    return Exit.OK


def _document(text: str) -> dict[str, object]:
    return read_document(sys.stdin.buffer.read(_STDIN) if text == "-" else text)


def _schema(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    kinds: Sequence[Mapping[str, Any]] = document["kinds"]
    found = {str(one["name"]): one["arguments"] for one in kinds}
    if kind not in found:
        raise KindNotFound(kind, tuple(found))
    schema: Mapping[str, Any] = found[kind]
    return schema


def _wait(reader: Reader, task_id: int, *, as_json: bool) -> int:
    """Wait for its end, as `creche wait` does; the id is told at once, the end when it is there."""
    if not as_json:
        say(str(task_id))
        sys.stdout.flush()
    watch = Watch(reader, (task_id,))
    for task in watch:
        if not as_json:
            say(ending(task))
    task = reader.get(task_id)
    if as_json:
        say_json(task_json(task, time.time()))
    if watch.trouble is not None:
        complain("submit", watch.trouble)
        return watch.status
    return Exit.OK if task.state is State.SUCCEEDED else Exit.NOT_SUCCEEDED
