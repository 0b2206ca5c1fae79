"""What there is to say about a task besides its state: one line of the pane each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine import OutputMark, State, shown_arguments

from .text import age, count, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine import TaskSnapshot

JSON_LIMIT: Final = 500
"""Characters shown of arguments and handles."""


def _when(at: float | None, now: float) -> str | None:
    if at is None:
        return None
    return f"in {age(at - now)}" if at > now else f"passed {age(now - at)} ago"


def _limit(task: TaskSnapshot, at: float | None, now: float) -> str | None:
    return None if task.state.final else _when(at, now)


def _next_look(task: TaskSnapshot, now: float) -> str | None:
    if task.state is not State.POLLING or task.next_poll_at is None:
        return None
    wait = task.next_poll_at - now
    return f"in {duration(wait)}" if wait > 0 else None


def _starts(task: TaskSnapshot, now: float) -> str | None:
    return _when(task.not_before, now) if task.state is State.WAITING else None


def _attempts(task: TaskSnapshot, _now: float) -> str | None:
    if task.attempts_allowed == 1 and task.attempts <= 1:
        return None
    return f"{task.attempts} of {task.attempts_allowed}"


def _output(task: TaskSnapshot, _now: float) -> str | None:
    kept = task.output_mark in {None, OutputMark.KEPT}
    return None if kept or task.output_mark is None else _words(task.output_mark)


def _timeout(task: TaskSnapshot, _now: float) -> str | None:
    return None if task.timeout is None else f"{duration(task.timeout)} an attempt"


def _words(value: str | None) -> str | None:
    return None if value is None else value.replace("_", " ")


def _number(value: int, after: str = "") -> str | None:
    return f"{count(value)}{after}" if value else None


def _task(task_id: int | None) -> str | None:
    return None if task_id is None else f"#{task_id}"


FACTS: Final[tuple[tuple[str, Callable[[TaskSnapshot, float], str | None]], ...]] = (
    ("kind", lambda task, _: None if task.kind == task.name else task.kind),
    ("mode", lambda task, _: task.shown_mode),
    ("key", lambda task, _: task.key),
    ("tags", lambda task, _: " ".join(task.tags)),
    ("priority", lambda task, _: str(task.priority) if task.priority else None),
    ("attempts", _attempts),
    ("polls", lambda task, _: _number(task.polls)),
    ("next look", _next_look),
    ("failed", lambda task, _: _number(task.failed_looks, " looks in a row")),
    ("timeout", _timeout),
    ("deadline", lambda task, now: _limit(task, task.deadline, now)),
    ("start by", lambda task, now: _limit(task, task.start_by, now)),
    ("starts", _starts),
    ("parent", lambda task, _: _task(task.parent)),
    ("retry of", lambda task, _: _task(task.retry_of)),
    ("crashes", lambda task, _: _number(task.crashes, " in a row")),
    ("held", lambda task, _: "yes" if task.held else None),
    ("must end", lambda task, _: _words(task.why)),
    ("cancel", lambda task, _: _words(task.rung)),
    ("reason", lambda task, _: task.reason),
    ("output", _output),
    ("arguments", lambda task, _: (shown_arguments(task.arguments) or "")[:JSON_LIMIT]),
    ("handle", lambda task, _: task.handle and task.handle[:JSON_LIMIT]),
)
"""Names, and what gives the words; no words, no line."""


def facts(task: TaskSnapshot, now: float) -> Iterator[tuple[str, str]]:
    """Names and values of what there is to say at a wall time; not yet made harmless."""
    for label, say in FACTS:
        if words := say(task, now):
            yield label, words
