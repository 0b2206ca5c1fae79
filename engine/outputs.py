"""An output as the store can keep it: strict JSON text, and an honest word on what it lost.

What is kept: None, booleans, finite floats, integers of up to 4,096 bits, strings without lone
surrogates, lists and dicts with string keys, nested up to 64 deep. Integers keep all their digits,
so they come back equal in Python; a reader that has only doubles (a browser) rounds those beyond
2**53, and a number that must survive there should travel as a string.

What is changed by JSON: tuples (lists), sets (lists), bytes (base64), dates, Decimal and UUID
(strings), dataclasses and Structs (objects), enums (their values): whatever msgspec knows how to
write but what does not compare equal when it comes back.

What is not: NaN and the infinities, keys that are no strings, everything else, and deeper nesting.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from .api import KeptOutput
from .model import OutputMark

OUTPUT_LIMIT: Final = 1024 * 1024
"""Bytes of JSON text that an output may take."""
HANDLE_LIMIT: Final = 64 * 1024
"""Characters of JSON text that a handle may take: it is in the row."""
DEPTH_LIMIT: Final = 64
"""How deep an output may be nested; no deeper than what HTTP takes in."""
INTEGER_BITS: Final = 4096

_BRACKETED: Final = frozenset({list, dict, tuple})
_PLAIN: Final = _BRACKETED | {str, int, float, bool, type(None)}
_NOT_SERIALISABLE: Final = KeptOutput(None, OutputMark.NOT_SERIALISABLE, None)
_TOO_LARGE: Final = KeptOutput(None, OutputMark.TOO_LARGE, None)


def keep(output: object, *, limit: int = OUTPUT_LIMIT) -> KeptOutput:
    """Make the JSON text of an output, with a mark and the CRC-32 of its UTF-8 bytes.

    Never raises, whatever the output is or does. Without a text (mark NOT_SERIALISABLE or
    TOO_LARGE) the output can be had only from memory.

    Args:
        output: Any object.
        limit: Bytes that the text may have. The work is bounded by it, not by the output's size.
    """
    try:
        survey = _Survey(limit)
        survey.walk(output)
        text = msgspec.json.encode(output)
    except _TooLarge:
        return _TOO_LARGE
    except BaseException:  # noqa: BLE001  the output's own code, and every way in which it is no JSON
        return _NOT_SERIALISABLE
    if len(text) > limit:
        return _TOO_LARGE
    kept = OutputMark.KEPT
    if survey.changed or (survey.foreign and not _comes_back(text, output)):
        kept = OutputMark.CHANGED_BY_JSON
    return KeptOutput(text.decode(), kept, zlib.crc32(text))


class _TooLarge(Exception):
    """The text would be over the limit."""


class _Refused(Exception):
    """Something in the output is no strict JSON."""


class _Survey:
    """Looks at every value of an output before it is encoded.

    The encoder alone will not do: it writes NaN as null and integer keys as strings, and has no
    limit.
    """

    __slots__ = ("_left", "_todo", "changed", "foreign")

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._todo: list[tuple[int, object]] = []
        self.changed = False
        """True when something certainly comes back as something else."""
        self.foreign = False
        """True when something is of no JSON type, but may still compare equal."""

    def walk(self, output: object) -> None:
        """Raises _Refused or _TooLarge, or whatever the output's own code raises."""
        self._each(0, (output,))
        while self._todo:
            depth, value = self._todo.pop()
            self._open(depth, value)

    def _each(self, depth: int, values: Iterable[Any]) -> None:  # noqa: C901  no call a value
        """Count the simple values among these, and leave the others for later."""
        left, todo = self._left, self._todo
        for value in values:
            kind = type(value)
            if kind is str:
                left -= len(value) + 2
            elif kind is int:
                if value.bit_length() > INTEGER_BITS:
                    raise _Refused
                left -= 1
            elif kind is float:
                if not math.isfinite(value):
                    raise _Refused
                left -= 3
            elif kind is bool or value is None:
                left -= 4
            elif kind in _BRACKETED:
                left -= 2
                if value or depth >= DEPTH_LIMIT:
                    todo.append((depth, value))
                elif kind is tuple:
                    self.changed = True
            else:
                todo.append((depth, value))
            if left < 0:
                raise _TooLarge
        self._left = left

    # The types' own functions rather than the object's methods: a subclass may have overridden
    # them, and the encoder does not ask those either.

    def _open(self, depth: int, value: Any) -> None:
        """Look into a value that is not simple."""
        kind = type(value)
        if issubclass(kind, dict):
            self.foreign |= kind is not dict
            # Between n values stand n - 1 commas; with each goes a colon and a key in quotes.
            self._enter(depth, 4 * dict.__len__(value) - 1)
            self._keys(dict.keys(value))
            self._each(depth + 1, dict.values(value))
        elif issubclass(kind, list):
            self.foreign |= kind is not list
            self._enter(depth, list.__len__(value) - 1)
            self._each(depth + 1, list.__iter__(value))
        elif issubclass(kind, tuple):
            self.changed = True
            self._enter(depth, tuple.__len__(value) - 1)
            self._each(depth + 1, tuple.__iter__(value))
        else:
            self.foreign = True
            plain = msgspec.to_builtins(value)
            if type(plain) not in _PLAIN:
                raise _Refused
            self._each(depth, (plain,))

    def _keys(self, keys: Iterable[Any]) -> None:
        for key in keys:
            kind = type(key)
            if kind is not str:
                if not issubclass(kind, str):
                    raise _Refused
                self.foreign = True
            self._left -= str.__len__(key)

    def _enter(self, depth: int, least: int) -> None:
        """Go down a level, into something that takes so many characters at least."""
        if depth >= DEPTH_LIMIT:
            raise _Refused
        self._left -= least
        if self._left < 0:
            raise _TooLarge


def _comes_back(text: bytes, output: object) -> bool:
    """True when the text reads back as something that compares equal to the output."""
    back: object = msgspec.json.decode(text)
    try:
        return bool(back == output)
    except BaseException:  # noqa: BLE001  a comparison of the output's own making
        return False


def handle_text(handle: object) -> str | None:
    """A body's handle as JSON text; None stays None.

    Raises TypeError or ValueError, to be taken for the task's own, where it cannot be JSON.
    """
    if handle is None:
        return None
    text = json.dumps(handle, allow_nan=False, separators=(",", ":"))
    if len(text) > HANDLE_LIMIT:
        raise ValueError(f"a handle of {len(text)} characters, the limit is {HANDLE_LIMIT}")
    return text
