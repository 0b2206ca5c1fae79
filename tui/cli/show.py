"""``creche show``: all that is known of one task, its output and its error included."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from engine import OutputNotKept, State, task_json

from ..control import SyncControl
from ..ports import ControlRefused, ControlUnreachable
from ..text import duration, safe_block, safe_text
from .exits import Exit
from .output import say, say_json
from .place import LIVE_FACTS, JsonOption, StoreOption, live_endpoint, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine import Reader

_LABEL: Final = 18
_ELSEWHERE: Final = frozenset({"error", "mode", "mode_guessed", "schema_version"})
"""Fields that are shown in another form, or only matter to programs."""
_TEXT: Final = 20_000
"""Characters of an output shown to people; --json gives all of it."""


def show(
    task_id: Annotated[
        int, Parameter(name="ID", help="The task's number.", validator=validators.Number(gte=1))
    ],
    /,
    *,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> int:
    """Show all that is known of one task."""
    with opened(store) as reader:
        document = _fresh(reader, task_id)
        output = _output(reader, task_id) if document.get("state") == State.SUCCEEDED else None
    if as_json:
        say_json(document, output=output or "null")
        return Exit.OK
    for line in lines(document, output):
        say(line)
    return Exit.OK


def _fresh(reader: Reader, task_id: int) -> Mapping[str, object]:
    """The task as its engine has it in memory while it is live, else as the file has it."""
    snapshot = reader.get(task_id)
    endpoint = None if snapshot.state.final else live_endpoint(reader.owner())
    if endpoint is not None:
        try:
            with SyncControl(endpoint, patience=LIVE_FACTS) as control:
                return control.task(task_id)
        except (ControlRefused, ControlUnreachable):
            # The file is true as well, only a little older.
            snapshot = reader.get(task_id)
    return task_json(snapshot, time.time())


def _output(reader: Reader, task_id: int) -> str | None:
    try:
        return reader.output(task_id)
    except OutputNotKept:
        return None


def lines(document: Mapping[str, object], output: str | None) -> Iterator[str]:
    """Lay a task's JSON out for people; nothing in it reaches the terminal as itself."""
    for field, value in document.items():
        if value is None or value == [] or field in _ELSEWHERE:
            continue
        label, text = _readable(field, value)
        yield f"{safe_text(label):<{_LABEL}}{safe_text(text[:_TEXT])}"
    if output is not None:
        yield f"{'output':<{_LABEL}}{_shortened(output)}"
    error = document.get("error")
    if isinstance(error, dict):
        yield from _error_lines(error)


def _readable(field: str, value: object) -> tuple[str, str]:
    """Label and text of one field: durations with their unit, a list by its members."""
    if field == "shown_mode":
        return "mode", str(value)
    name = field.removesuffix("_ms")
    if name != field:
        numbers = value if isinstance(value, list) else [value]
        spans = [duration(number / 1000) for number in numbers if isinstance(number, int | float)]
        return name, " to ".join(spans)
    if isinstance(value, list):
        return field, ", ".join(map(str, value))
    return field, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(output: str) -> str:
    shown = safe_text(output[:_TEXT])
    if len(output) > _TEXT:
        shown += f" … ({len(output) - _TEXT} characters more: --json)"
    return shown


def _error_lines(error: Mapping[str, object]) -> Iterator[str]:
    message = f"{error.get('type')}: {error.get('message')}"
    traceback = error.get("traceback")
    yield f"{'error':<{_LABEL}}{safe_text(message)}"
    notes = error.get("notes")
    for note in notes if isinstance(notes, list) else []:
        yield f"{'':<{_LABEL}}{safe_text(str(note))}"
    if isinstance(traceback, str) and traceback:
        yield ""
        yield safe_block(traceback.rstrip("\n"))
