r"""The one query language of the command line, HTTP and the dashboard.

A query is a line of terms, separated by blanks; a task matches when every term holds.

==========================  =====================================================================
``state:failed,lost``       one of these states; also the groups ``live`` and ``final``
``mode:polling``            auto, blocking, polling or async; ``polling?`` only where it is a guess
``id:7,9``                  one of these ids
``kind:…  key:…  tag:…``    the whole of it is the value; ``*`` at either end stands for anything
``name:…  error:…``         the value is a part of it (error: of its type or its message)
``age>5m  duration<=1.5s``  ``> >= < <= =`` and a time in ms, s (or none), m, h or d
``polls>=10  id<500``       likewise ``attempts``, with a whole number; ``polls:0,1`` too
``word  "two words"``       is a part of the name, the key, a tag or the error
``-term``                   the term does not hold
==========================  =====================================================================

A comma means or. Values with blanks, commas or a ``*`` of their own stand in double quotes; in
these, ``\"`` is a quote and ``\\`` a backslash. Text compares without regard to the case of the
ASCII letters. `age` counts from submission to the end, or to now. There are no regular expressions:
reading a query, and deciding on a task, takes time in proportion to their lengths.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from .errors import BadQuery
from .model import FINAL, LIVE, Mode, State, TaskSnapshot
from .query_terms import (
    Compare,
    Condition,
    ModeIn,
    Not,
    NumberIn,
    Pattern,
    Sql,
    StateIn,
    TextIn,
    fold,
)

LENGTH_LIMIT: Final = 2_000
"""Characters of a query."""
TERM_LIMIT: Final = 64
VALUE_LIMIT: Final = 256
"""Values of all terms together: SQLite bounds the depth of an expression."""

_WORD_FIELDS: Final = ("name", "key", "tag", "error")
_SECONDS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_COUNTS: Final = ("id", "polls", "attempts")
_TIMES: Final = ("age", "duration")
_PARTS: Final = ("name", "error")
_FIELDS: Final = ("state", "mode", "kind", "key", "tag", *_PARTS, *_TIMES, *_COUNTS)
_GROUPS: Final = {"live": LIVE, "final": FINAL}

_FORBIDDEN: Final = re.compile("[\ud800-\udfff\0]")
_HEAD: Final = re.compile(r"([A-Za-z_]+)(?::|\s*(>=|<=|=|>|<)\s*)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_VALUE: Final = re.compile(r'[^\s,"]*')
_WORD: Final = re.compile(r'[^\s"]*')
_CHUNK: Final = re.compile(r"\S*")
_NUMBER: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]*)", re.ASCII)
_BEGUN: Final = re.compile(r"([0-9]{1,15}\.)?", re.ASCII)
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query: decides on a snapshot, or as SQL, with the same answer.

    Queries are equal when their terms are.
    """

    text: str = field(compare=False)
    """As it was given; for a lenient query, the part of it that counts."""
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, text: str, *, lenient: bool = False) -> Query:
        """Read a query.

        Args:
            text: At most 2,000 characters, 64 terms and 256 values.
            lenient: Leave out a last term that is not complete, as there is one while somebody
                types (``state:fai``, ``age>``, ``-``, an open quote).

        Raises:
            BadQuery: The text is no query; the error marks the part that is wrong.
        """
        if len(text) > LENGTH_LIMIT:
            problem = f"longer than {LENGTH_LIMIT} characters"
            raise BadQuery(text, LENGTH_LIMIT, len(text), problem)
        if forbidden := _FORBIDDEN.search(text):
            raise BadQuery(text, *forbidden.span(), "a character that no text can hold")
        parser = _Parser(text)
        conditions: list[Condition] = []
        try:
            conditions.extend(parser.terms())
        except _Incomplete as unfinished:
            if not lenient:
                raise BadQuery(text, *unfinished.span, unfinished.problem) from None
            text = text[: parser.term_start].rstrip()
            conditions = list(_Parser(text).terms())
        return cls(text, tuple(conditions))

    @classmethod
    def everything(cls) -> Query:
        """The query that every task matches."""
        return cls("", ())

    def matches(self, task: TaskSnapshot, now: float) -> bool:
        """True when the task matches at the wall time ``now``, in seconds since the epoch."""
        return all(condition.matches(task, now) for condition in self.conditions)

    def sql(self, now: float) -> Sql:
        """The same as an expression for WHERE over the table ``tasks``, whose columns are named
        like the fields of a snapshot, with the values of its parameters in order."""
        found = [condition.sql(now) for condition in self.conditions]
        text = " AND ".join(f"({part})" for part, _ in found)
        return text or "1", [value for _, values in found for value in values]

    def __str__(self) -> str:
        return self.text


class _Incomplete(Exception):
    """The text ends within a term that could become a good one."""

    def __init__(self, span: tuple[int, int], problem: str) -> None:
        super().__init__(problem)
        self.span = span
        self.problem = problem


class _Value(NamedTuple):
    text: str
    start: int
    end: int
    quoted: bool


class _Parser:
    """Reads terms from left to right, each character once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text.rstrip())
        self._at = 0
        self._values_left = VALUE_LIMIT
        self.term_start = 0

    def terms(self) -> Iterator[Condition]:
        """The conditions in order; raises BadQuery or _Incomplete."""
        for count in itertools.count():
            while self._at < self._end and self._text[self._at].isspace():
                self._at += 1
            if self._at == self._end:
                return
            self.term_start = self._at
            if count == TERM_LIMIT:
                self._bad(self._at, self._end, f"more than {TERM_LIMIT} terms")
            yield self._term()

    def _term(self) -> Condition:
        negated = self._text[self._at] == "-"
        if negated:
            self._at += 1
            self._something("a minus stands right before a term", self._at - 1)
        condition = self._positive()
        if self._at < self._end and not self._text[self._at].isspace():
            self._bad(self._at, self._span_end(_CHUNK), "expected a blank before the next term")
        return Not(condition) if negated else condition

    def _positive(self) -> Condition:
        head = _HEAD.match(self._text, self._at, self._end)
        if head is None:
            return self._word()
        name = head[1].lower()
        if name not in _FIELDS:
            known = " ".join(_FIELDS)
            self._bad(*head.span(1), f"no such field (there are {known}; to search, quote it)")
        self._at = head.end()
        if head[2]:
            return self._comparison(name, head[2], head.start())
        if name in _TIMES:
            self._bad(*head.span(), f"times are compared, as in {name}>5m")
        return self._membership(name)

    def _word(self) -> Condition:
        if self._text[self._at] in "<>=:":
            self._bad(self._at, self._span_end(_CHUNK), "there is no field before it")
        value = self._value(_WORD)
        return TextIn(_WORD_FIELDS, (self._part(value),))

    # -- field op number -------------------------------------------------------------------------

    def _comparison(self, name: str, op: str, start: int) -> Condition:
        if name not in _TIMES and name not in _COUNTS:
            self._bad(start, self._at, f"{name} is no number: write {name}:value")
        value = _Value(*self._take(_CHUNK), quoted=False)
        if _BEGUN.fullmatch(value.text):
            self._incomplete_or_bad(value, "a number is missing")
        if name in _COUNTS:
            return Compare(name, op, self._whole(value))
        number = _NUMBER.fullmatch(value.text)
        if number is None or number[2].lower() not in _SECONDS:
            self._bad(value.start, value.end, "expected a number with ms, s, m, h or d")
        return Compare(name, op, float(number[1]) * _SECONDS[number[2].lower()])

    def _whole(self, value: _Value) -> int:
        if not _WHOLE_NUMBER.fullmatch(value.text):
            self._bad(value.start, value.end, "expected a whole number of up to 18 digits")
        return int(value.text)

    # -- field:value,value -----------------------------------------------------------------------

    def _membership(self, name: str) -> Condition:
        values = [self._value(_VALUE)]
        while self._text.startswith(",", self._at):
            self._at += 1
            values.append(self._value(_VALUE))
        if name == "state":
            return StateIn(frozenset().union(*map(self._states, values)))
        if name == "mode":
            return self._modes(values)
        if name in _COUNTS:
            return NumberIn(name, frozenset(map(self._whole, values)))
        pattern = self._part if name in _PARTS else self._pattern
        return TextIn((name,), tuple(map(pattern, values)))

    def _states(self, value: _Value) -> frozenset[State]:
        word = value.text.lower()
        if word in _GROUPS:
            return _GROUPS[word]
        if word not in set(State):
            self._choice(value, [*State, *_GROUPS])
        return frozenset({State(word)})

    def _modes(self, values: list[_Value]) -> ModeIn:
        modes: set[Mode] = set()
        guessed: set[Mode] = set()
        for value in values:
            word = value.text.lower()
            mode = word.removesuffix("?")
            if mode not in set(Mode):
                self._choice(value, [*Mode, "polling?"])
            (modes if mode == word else guessed).add(Mode(mode))
        return ModeIn(frozenset(modes), frozenset(guessed))

    def _choice(self, value: _Value, known: list[str]) -> NoReturn:
        problem = f"expected one of {' '.join(map(str, known))}"
        if any(word.startswith(value.text.lower()) for word in known):
            self._incomplete_or_bad(value, problem)
        self._bad(value.start, value.end, problem)

    def _part(self, value: _Value) -> Pattern:
        if not value.text:
            self._bad(value.start, value.end, "nothing is a part of everything")
        return Pattern(fold(value.text), begins=False, ends=False)

    def _pattern(self, value: _Value) -> Pattern:
        text = fold(value.text)
        if value.quoted or "*" not in text:
            return Pattern(text)
        inner = text.removeprefix("*").removesuffix("*")
        if "*" in inner:
            self._bad(value.start, value.end, "a * stands at an end, or in quotes for itself")
        return Pattern(inner, begins=text[0] != "*", ends=text[-1] != "*")

    # -- characters ------------------------------------------------------------------------------

    def _value(self, plain: re.Pattern[str]) -> _Value:
        """The value at this place, in quotes or up to the next blank (or comma)."""
        self._values_left -= 1
        if self._values_left < 0:
            self._bad(self._at, self._end, f"more than {VALUE_LIMIT} values")
        self._something("a value is missing", self._at)
        if self._text[self._at] != '"':
            value = _Value(*self._take(plain), quoted=False)
            if not value.text:
                self._bad(value.start, value.end + 1, "a value is missing")
            return value
        quoted = _QUOTED.match(self._text, self._at, self._end)
        if quoted is None:
            raise _Incomplete((self._at, self._end), "the quote is not closed")
        self._at = quoted.end()
        return _Value(_ESCAPED.sub(r"\1", quoted[1]), *quoted.span(), quoted=True)

    def _take(self, pattern: re.Pattern[str]) -> tuple[str, int, int]:
        start = self._at
        self._at = self._span_end(pattern)
        return self._text[start : self._at], start, self._at

    def _something(self, problem: str, start: int) -> None:
        """Go on only where a term or value begins here."""
        if self._at == self._end:
            raise _Incomplete((start, self._end), problem)
        if self._text[self._at].isspace():
            self._bad(start, self._at, problem)

    def _incomplete_or_bad(self, value: _Value, problem: str) -> NoReturn:
        if value.end == self._end:
            raise _Incomplete((value.start, value.end), problem)
        self._bad(value.start, value.end, problem)

    def _span_end(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at, self._end)
        return self._at if found is None else found.end()

    def _bad(self, start: int, end: int, problem: str) -> NoReturn:
        raise BadQuery(self._text, start, end, problem)
