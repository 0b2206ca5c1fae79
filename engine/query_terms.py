"""The conditions a query is made of: each one decides on a snapshot, and says the same in SQL.

How text compares, in both: without regard to the case of the ASCII letters A to Z and of no
others. That is exactly what SQLite's lower() folds, so the two agree on every string.
"""

from __future__ import annotations

import operator
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from .model import Mode, State, TaskSnapshot

Sql: TypeAlias = tuple[str, list[object]]
"""An expression over the columns of the table ``tasks``, and the values of its parameters."""

_FOLD: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def fold(text: str) -> str:
    """The text with the ASCII letters A to Z in lower case, and nothing else changed."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


class Condition(Protocol):
    """One condition of a query; frozen and hashable."""

    def matches(self, task: TaskSnapshot, now: float) -> bool:
        """True when the task fulfils it at the wall time ``now``."""
        ...

    def sql(self, now: float) -> Sql:
        """The same in SQL; NULL counts as false."""
        ...


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    condition: Condition

    def matches(self, task: TaskSnapshot, now: float) -> bool:
        """As `Condition.matches`."""
        return not self.condition.matches(task, now)

    def sql(self, now: float) -> Sql:
        """As `Condition.sql`."""
        text, values = self.condition.sql(now)
        # NOT alone would leave NULL as it is, which is neither true nor its opposite.
        return f"({text}) IS NOT TRUE", values


@dataclass(frozen=True, slots=True)
class StateIn:
    """One of some states."""

    states: frozenset[State]

    def matches(self, task: TaskSnapshot, now: float) -> bool:  # noqa: ARG002  the protocol's
        """As `Condition.matches`."""
        return task.state in self.states

    def sql(self, now: float) -> Sql:  # noqa: ARG002  the protocol's
        """As `Condition.sql`."""
        return _member("state", sorted(map(str, self.states)))


@dataclass(frozen=True, slots=True)
class ModeIn:
    """One of some modes; a guessed one is also among those of its mode."""

    modes: frozenset[Mode]
    guessed: frozenset[Mode]
    """Modes that count only where they are a guess (``polling?``)."""

    def matches(self, task: TaskSnapshot, now: float) -> bool:  # noqa: ARG002  the protocol's
        """As `Condition.matches`."""
        return task.mode in self.modes or (task.mode_guessed and task.mode in self.guessed)

    def sql(self, now: float) -> Sql:  # noqa: ARG002  the protocol's
        """As `Condition.sql`."""
        sure, sure_values = _member("mode", sorted(map(str, self.modes)))
        guess, guess_values = _member("mode", sorted(map(str, self.guessed)))
        return f"({sure} OR (mode_guessed AND {guess}))", [*sure_values, *guess_values]


# -- numbers -------------------------------------------------------------------------------------

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}
_NUMBERS: Final[Mapping[str, Callable[[TaskSnapshot, float], float | None]]] = {
    "id": lambda task, _: task.id,
    "age": lambda task, now: task.age(now),
    "duration": lambda task, _: task.duration,
    "polls": lambda task, _: task.polls,
    "attempts": lambda task, _: task.attempts,
}


@dataclass(frozen=True, slots=True)
class NumberIn:
    """A number of the task is one of some."""

    field: str
    """id, polls or attempts."""
    numbers: frozenset[int]

    def matches(self, task: TaskSnapshot, now: float) -> bool:
        """As `Condition.matches`."""
        return _NUMBERS[self.field](task, now) in self.numbers

    def sql(self, now: float) -> Sql:  # noqa: ARG002  the protocol's
        """As `Condition.sql`."""
        return _member(self.field, sorted(self.numbers))


@dataclass(frozen=True, slots=True)
class Compare:
    """A number of the task compared with a given one; false where the task has none (yet)."""

    field: str
    """id, age, duration, polls or attempts."""
    op: str
    """``>``, ``>=``, ``<``, ``<=`` or ``=``."""
    number: float

    def matches(self, task: TaskSnapshot, now: float) -> bool:
        """As `Condition.matches`."""
        value = _NUMBERS[self.field](task, now)
        return value is not None and _COMPARE[self.op](value, self.number)

    def sql(self, now: float) -> Sql:
        """As `Condition.sql`."""
        if self.field == "age":
            # As TaskSnapshot.age: the end, or the present while there is none.
            age = "max(0.0, coalesce(finished_at, ?) - submitted_at)"
            return f"{age} {self.op} ?", [now, self.number]
        return f"{self.field} {self.op} ?", [self.number]


# -- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text to be found: the whole of another, its beginning, its end, or anywhere in it."""

    text: str
    """Folded."""
    begins: bool = True
    """True when the other must begin with it."""
    ends: bool = True
    """True when the other must end with it; with both, it is the whole."""

    def fits(self, other: str) -> bool:
        """True when the other text, folded here, is as the pattern says."""
        folded = fold(other)
        if self.begins and self.ends:
            return folded == self.text
        if self.begins:
            return folded.startswith(self.text)
        return folded.endswith(self.text) if self.ends else self.text in folded

    def sql(self, column: str) -> Sql:
        """The same in SQL."""
        folded = f"lower({column})"
        if self.begins and self.ends:
            return f"{folded} = ?", [self.text]
        if not (self.begins or self.ends):
            return f"instr({folded}, ?) > 0", [self.text]
        # In bytes: substr() of a text ends at a NUL. Equal bytes of UTF-8 are equal characters.
        raw = self.text.encode()
        place = "1, ?" if self.begins else "-?"
        return f"substr(CAST({folded} AS BLOB), {place}) = ?", [len(raw), raw]


_TAG: Final = "SELECT 1 FROM json_each(tags) WHERE "
_ERROR: Final = ("json_extract(error, '$.type')", "json_extract(error, '$.message')")


@dataclass(frozen=True, slots=True)
class TextIn:
    """One of some patterns fits one of some fields (a tag fits by itself, an error by its type or
    its message)."""

    fields: tuple[str, ...]
    """Of kind, key, tag, name and error."""
    patterns: tuple[Pattern, ...]

    def matches(self, task: TaskSnapshot, now: float) -> bool:  # noqa: ARG002  the protocol's
        """As `Condition.matches`."""
        return any(
            pattern.fits(text)
            for field in self.fields
            for text in _texts(task, field)
            for pattern in self.patterns
        )

    def sql(self, now: float) -> Sql:  # noqa: ARG002  the protocol's
        """As `Condition.sql`."""
        parts: list[str] = []
        values: list[object] = []
        for field in self.fields:
            for column in {"tag": ("value",), "error": _ERROR}.get(field, (field,)):
                found = [pattern.sql(column) for pattern in self.patterns]
                either = " OR ".join(text for text, _ in found)
                parts.append(f"EXISTS ({_TAG}{either})" if field == "tag" else either)
                values.extend(value for _, more in found for value in more)
        return f"({' OR '.join(parts)})", values


def _texts(task: TaskSnapshot, field: str) -> tuple[str, ...]:
    if field == "name":
        return (task.name,)
    if field == "key":
        return () if task.key is None else (task.key,)
    if field == "tag":
        return task.tags
    if field == "kind":
        return (task.kind,)
    return () if task.error is None else (task.error.type, task.error.message)


def _member(column: str, values: Sequence[object]) -> Sql:
    return f"{column} IN ({', '.join('?' * len(values))})", list(values)
