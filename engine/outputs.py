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
from typing import Any, Final

import msgspec

from .api import KeptOutput
from .model import OutputMark

OUTPUT_LIMIT: Final = 1024 * 1024
"""Bytes of JSON text that an output may take."""
DEPTH_LIMIT: Final = 64
"""How deep an output may be nested; no deeper than what HTTP takes in."""
INTEGER_BITS: Final = 4096

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
    except Exception:  # noqa: BLE001  the output's own code, and every way in which it is no JSON
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
        todo = self._todo
        todo.append((0, output))
        while todo:
            depth, value = todo.pop()
            self._value(depth, value)

    def _value(self, depth: int, value: Any) -> None:
        kind = type(value)
        if kind is str:
            self._spend(len(value) + 2)
        elif value is None or kind is bool:
            self._spend(4)
        elif kind is int:
            if value.bit_length() > INTEGER_BITS:
                raise _Refused
            self._spend(1)
        elif kind is float:
            if not math.isfinite(value):
                raise _Refused
            self._spend(3)
        elif issubclass(kind, dict):
            self._dict(depth, value)
        elif issubclass(kind, (list, tuple)):
            self._list(depth, value)
        else:
            self._foreign(depth, value)

    # The types' own functions rather than the object's methods: a subclass may have overridden
    # them, and the encoder does not ask those either.

    def _dict(self, depth: int, value: Any) -> None:
        self._enter(depth, dict.__len__(value) * 5)
        self.foreign |= type(value) is not dict
        for key, inner in dict.items(value):
            if not issubclass(type(key), str):
                raise _Refused
            self.foreign |= type(key) is not str
            self._spend(str.__len__(key))
            self._todo.append((depth + 1, inner))

    def _list(self, depth: int, value: Any) -> None:
        if issubclass(type(value), tuple):
            self.changed = True
            size, items = tuple.__len__(value), tuple.__iter__(value)
        else:
            self.foreign |= type(value) is not list
            size, items = list.__len__(value), list.__iter__(value)
        self._enter(depth, size)
        self._todo.extend((depth + 1, item) for item in items)

    def _foreign(self, depth: int, value: object) -> None:
        self.foreign = True
        plain = msgspec.to_builtins(value)
        if type(plain) not in {str, int, float, bool, type(None), list, dict, tuple}:
            raise _Refused
        self._todo.append((depth, plain))

    def _enter(self, depth: int, least: int) -> None:
        if depth >= DEPTH_LIMIT:
            raise _Refused
        self._spend(least + 1)

    def _spend(self, characters: int) -> None:
        """Count characters that the text will have at least."""
        self._left -= characters
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
    return json.dumps(handle, allow_nan=False, separators=(",", ":"))
