"""When the body of a task ends that had to end before: the last step of the cancel ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .api import Finished, Outcome, Raised
from .model import Why
from .moves import Cause, Facts

if TYPE_CHECKING:
    from .model import TaskSnapshot
    from .store.changes import Course
    from .surroundings import Surroundings

_LATE_TEXT: Final = 500


def conclude_late(
    around: Surroundings, row: TaskSnapshot, outcome: Outcome, course: Course
) -> None:
    """Record the end of a `cancelling` task's body (T11); what it still had to say is a note."""
    if row.why is Why.ATTEMPT_TIMEOUT and row.attempts < row.attempts_allowed:
        facts = Facts(why=row.why, attempts_left=True)
        polls = course.get("polls", row.polls)
        around.pauses.pause(row, Cause.BODY_ENDED, facts, polls=polls, reason=row.reason)
        return
    around.store.move(
        row.id, Cause.BODY_ENDED, Facts(why=row.why), late=_in_words(outcome), **course
    )


def _in_words(outcome: Outcome) -> str | None:
    if isinstance(outcome, Finished):
        return "an output came when the time was over"
    if isinstance(outcome, Raised):
        return f"{outcome.info.type}: {outcome.info.message[:_LATE_TEXT]}"
    return None
