"""The options of a submission, and the row they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypedDict

from .bounds import integer_within, number_within
from .errors import BadOption
from .guard import GuardedCadence
from .model import Effect, Mode, State, TaskSnapshot

if TYPE_CHECKING:
    from .api import Cadence

_TEXT_LIMIT: Final = 1_000
_TAGS_LIMIT: Final = 64
_INTEGERS: Final = 2**53
_SECONDS: Final = 1e11
"""Three thousand years: as a wall time and as a duration."""


class Options(TypedDict, total=False):
    """The keyword arguments of `Engine.submit` and its twins."""

    mode: Mode | str | None
    """``blocking`` or ``polling`` where None is a real output; else found out."""
    name: str | None
    """For people; the kind when left out."""
    key: str | None
    """Groups tasks that belong together."""
    priority: int
    """Higher starts first."""
    tags: Iterable[str]
    cadence: Cadence | None
    """When to look at it; the engine's own when left out."""
    timeout: float | None
    """Seconds one attempt may take."""
    deadline: float | None
    """Seconds from now until it is over, however many attempts are left."""
    start_by: float | None
    """Seconds from now until which it must have started."""
    not_before: float | None
    """Wall time before which it does not start."""
    attempts: int
    """How often it may be begun in all."""
    unique_key: str | None
    """Submitting the same key again gives the same task."""
    parent: int | None
    retry_of: int | None
    arguments: object
    """Of a registered kind."""
    reusable: bool
    """Says of a live object that it may be run again by a further attempt."""


_KNOWN: Final = frozenset(Options.__annotations__)


def draft(kind: str, mode: Mode, options: Options, wall: float) -> TaskSnapshot:
    """The row of a task of this kind, not yet accepted.

    Raises BadOption, and TypeError for an option that does not exist.
    """
    if unknown := options.keys() - _KNOWN:
        raise TypeError(f"submit() has no option {min(unknown)!r}")
    name, key, unique = options.get("name"), options.get("key"), options.get("unique_key")
    deadline = _seconds("deadline", options.get("deadline"))
    start_by = _seconds("start_by", options.get("start_by"))
    not_before = _seconds("not_before", options.get("not_before"))
    return TaskSnapshot(
        id=0,
        state=State.QUEUED,
        mode=mode,
        kind=kind,
        name=kind if name is None else text_of("name", name),
        key=None if key is None else _exact("key", key),
        unique_key=None if unique is None else _exact("unique_key", unique),
        priority=integer_within("priority", options.get("priority", 0), -_INTEGERS, _INTEGERS),
        tags=_tags(options.get("tags", ())),
        timeout=_seconds("timeout", options.get("timeout")),
        deadline=None if deadline is None else wall + deadline,
        start_by=None if start_by is None else wall + start_by,
        not_before=None if not_before is None or not_before <= wall else not_before,
        attempts_allowed=integer_within("attempts", options.get("attempts", 1), 1, _INTEGERS),
        effect=Effect.AT_LEAST_ONCE,
        parent=_reference("parent", options.get("parent")),
        retry_of=_reference("retry_of", options.get("retry_of")),
    )


def cadence_of(options: Options) -> Cadence | None:
    """The submission's own cadence, behind a wall. Raises BadOption."""
    cadence = options.get("cadence")
    return None if cadence is None else GuardedCadence(cadence)


def text_of(option: str, value: object) -> str:
    """A string as it can be stored: at most 1,000 characters. Raises BadOption."""
    if not isinstance(value, str):
        raise BadOption(option, value, "a string")
    # The methods of str itself: a subclass may have others, and must not reach the store. A lone
    # surrogate can be neither stored nor sent; what is shown of it is the reader's matter.
    cut = str.__getitem__(value, slice(_TEXT_LIMIT))
    return str.encode(cut, "utf-8", "replace").decode()


def _exact(option: str, value: object) -> str:
    """A string that must come back as it is: two keys must never become one."""
    text = text_of(option, value)
    if not (isinstance(value, str) and str.__eq__(text, value)):
        problem = f"a string of at most {_TEXT_LIMIT} characters, valid Unicode"
        raise BadOption(option, text, problem)
    return text


def _seconds(option: str, value: object) -> float | None:
    return None if value is None else number_within(option, value, 0.0, _SECONDS)


def _reference(option: str, value: object) -> int | None:
    return None if value is None else integer_within(option, value, 1, _INTEGERS)


def _tags(tags: object) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise BadOption("tags", tags, "an iterable of strings")
    found = tuple(dict.fromkeys(text_of("tags", tag) for tag in tags))
    if len(found) > _TAGS_LIMIT:
        raise BadOption("tags", len(found), f"at most {_TAGS_LIMIT}")
    return found
