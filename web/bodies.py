"""JSON from outside, taken apart with distrust.

400 is for what is no JSON in the sense of RFC 8259 and RFC 7493 (I-JSON), or is built to do harm;
422 is for good JSON of another shape. Where a name stands twice in an object the last one counts,
as in nearly every reader: nothing before or behind this one reads the body a second time.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final, TypeVar

import msgspec

from .problems import Detail, Problem

T = TypeVar("T")

DEPTH_LIMIT: Final = 64
"""Objects and arrays inside one another."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_WHERE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `(?P<name>[^`]*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_json(data: bytes, wanted: type[T]) -> T:
    """Decode a body.

    Raises:
        Problem: 400 when it is no JSON that is taken here, 422 when it does not fit ``wanted``.
    """
    return fit(parse(data), wanted)


def parse(data: bytes) -> Any:
    """The value of a JSON text in UTF-8, without a byte order mark; raises Problem (400)."""
    if data.count(b"[") + data.count(b"{") > DEPTH_LIMIT and depth(data) > DEPTH_LIMIT:
        raise _malformed(f"it is nested more than {DEPTH_LIMIT} deep")
    try:
        value = msgspec.json.decode(data)
    except RecursionError as error:
        raise _malformed("it is nested too deeply") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise _malformed(_sentence(error)) from error
    # A string can come by NUL only in this spelling; databases and terminals choke on it.
    if rb"\u0000" in data and _holds_nul(value):
        raise _malformed("a string holds the character U+0000")
    return value


def fit(value: object, wanted: type[T], *, strict: bool = True) -> T:
    """Give decoded JSON its type; raises Problem (422) with a pointer to what does not fit.

    Args:
        value: What `parse` gave.
        wanted: A type for `msgspec.convert`.
        strict: False where values are text, as in a query.
    """
    try:
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        raise unfit(error) from error


def unfit(error: msgspec.ValidationError) -> Problem:
    """Tell a `msgspec.ValidationError`, with a JSON pointer to the place that it means."""
    found = _WHERE.match(str(error))
    what = found["what"] if found else str(error)
    steps = [name or index for name, index in _STEP.findall((found and found["path"]) or "")]
    named = _FIELD.search(what)
    if named:
        steps.append(named["name"])
    pointer = "".join(f"/{step}" for step in (_escape(step) for step in steps))
    return Problem(
        422,
        "invalid_body",
        detail=f"the body does not fit: {what}",
        errors=[Detail(what, pointer=pointer)],
    )


def depth(data: bytes) -> int:
    """How deep objects and arrays lie in one another in a JSON text; quick on a hostile one too."""
    steps = array("b", _STRING.sub(b"", data).translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0)


def _holds_nul(value: Any) -> bool:
    parts: Iterable[Any]
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        parts = (part for pair in value.items() for part in pair)
    elif isinstance(value, list):
        parts = value
    else:
        return False
    return any(_holds_nul(part) for part in parts)


def _escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_json", detail=f"the body is not taken as JSON: {why}")


def _sentence(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error).partition(" - at ")[0][:200]
