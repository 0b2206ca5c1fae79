"""``creche cancel``: ask the engine to end tasks, and tell what that really did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from ..control import SyncControl
from ..ports import ControlRefused, ControlUnreachable
from ..text import safe_text
from .exits import BadUsage, Exit, status_of, worst
from .output import complain, say, say_json
from .place import JsonOption, StoreOption, live_endpoint, no_engine, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNGS: Final[Mapping[str, str]] = {
    "dropped": "cancelled: it had not started, and never will",
    "stopped_looking": "cancelled: no longer asked for its output; its work may go on elsewhere",
    "unwound": "cancelled at its next checkpoint",
    "waiting_for_body": "cancelling: its code is executing and cannot be stopped; it ends with it",
    "abandoned": "cancelling: left behind while its code was executing",
    "already_final": "had ended already",
}
"""What each rung of the ladder means for people."""


def cancel(
    *ids: Annotated[
        int, Parameter(name="ID", help="Numbers of the tasks.", validator=validators.Number(gte=1))
    ],
    reason: Annotated[str | None, Parameter(help="Words that are kept with the tasks.")] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> int:
    """Cancel tasks, and say how far each cancel got."""
    if not ids:
        raise BadUsage("which task? Give one id or more; see 'creche ls'")
    with opened(store) as reader:
        owner = reader.owner()
    endpoint = live_endpoint(owner)
    if endpoint is None:
        complain("cancel", no_engine(owner))
        return Exit.UNAVAILABLE
    answers: list[dict[str, object]] = []
    statuses = []
    with SyncControl(endpoint) as control:
        for task_id in dict.fromkeys(ids):
            try:
                answer = control.cancel(task_id, reason)
            except ControlRefused as refusal:
                statuses.append(status_of(refusal))
                answers.append(
                    {"id": task_id, "error": {"code": refusal.code, "detail": str(refusal)}}
                )
                complain("cancel", _refused(task_id, refusal))
                continue
            except ControlUnreachable as gone:
                # The ids that are left would wait just as long for nothing.
                statuses.append(status_of(gone))
                complain("cancel", str(gone))
                break
            answers.append(answer)
            if not as_json:
                rung = str(answer.get("rung"))
                say(f"{task_id}  {safe_text(RUNGS.get(rung, rung))}")
    if as_json:
        say_json({"answers": answers})
    return worst(statuses)


def _refused(task_id: int, refusal: ControlRefused) -> str:
    """The engine's words, with the task's number where they do not name it."""
    named = refusal.code == "task_not_found"
    return str(refusal) if named else f"task {task_id}: {refusal}"
