"""Arguments of a kind on the command line: words into values, and a schema into words.

Everything here goes by the JSON Schema that the engine tells of its kinds; pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from .exits import BadUsage

_DEPTH: Final = 8
"""References and unions within each other that are followed; more is taken for anything."""
_JSON: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

Schema = Mapping[str, Any]


class Argument(NamedTuple):
    """One argument of a kind, in words."""

    name: str
    types: str
    """What it may be, such as ``integer or null`` or ``"fast" or "slow"``."""
    default: str | None
    """As JSON; None where it must be given, and where what stands for it cannot be told."""
    required: bool
    secret: bool
    description: str


def read_words(words: Iterable[str], schema: Schema) -> dict[str, object]:
    """The arguments that words such as ``name=value`` give.

    A value is JSON where it parses and the schema wants what comes of it, else it is a string. A
    name that the schema does not have is the engine's to refuse.

    Raises:
        BadUsage: A word has no ``=``, or a name comes twice.
    """
    found: dict[str, object] = {}
    properties = _properties(schema)
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise BadUsage(f"{word[:80]}: expected an argument as name=value")
        if name in found:
            raise BadUsage(f"{name[:80]}: given twice")
        found[name] = _value(text, _wanted(properties.get(name, {}), schema))
    return found


def read_document(text: str | bytes) -> dict[str, object]:
    """The arguments that a JSON object gives. Raises BadUsage."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadUsage(f"--arguments is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadUsage("--arguments: expected a JSON object with the arguments by name")
    return found


def described(schema: Schema) -> str:
    """What a kind does: the first line of its words."""
    text = str(_body(schema).get("description", ""))
    return text.strip().partition("\n")[0]


def described_arguments(schema: Schema) -> Iterator[Argument]:
    """The arguments of a kind, those that must be given first."""
    required = _body(schema).get("required", ())
    properties = _properties(schema)
    for name in sorted(properties, key=lambda name: name not in required):
        one = properties[name]
        default = None
        if "default" in one:
            default = msgspec.json.encode(one["default"]).decode()
        yield Argument(
            name,
            _types(one, schema),
            default,
            name in required,
            bool(one.get("writeOnly")),
            str(one.get("description", "")) or _inner(one, "description"),
        )


def _value(text: str, wanted: frozenset[str] | None) -> object:
    if wanted == frozenset({"string"}):
        return text
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    kind = _JSON[type(value)]
    fits = wanted is None or kind in wanted or (kind == "integer" and "number" in wanted)
    return value if fits or "string" not in (wanted or ()) else text


def _body(schema: Schema) -> Schema:
    """The schema of the object that all arguments are in."""
    return _followed(schema, schema)


def _properties(schema: Schema) -> Mapping[str, Schema]:
    properties: Mapping[str, Schema] = _body(schema).get("properties", {})
    return properties


def _followed(one: Schema, root: Schema) -> Schema:
    """What a schema that may only refer to another one refers to."""
    for _ in range(_DEPTH):
        reference = one.get("$ref")
        if not isinstance(reference, str):
            break
        one = root.get("$defs", {}).get(reference.rpartition("/")[2], {})
    return one


def _parts(one: Schema, root: Schema, depth: int = 0) -> list[Schema]:
    """The alternatives of a schema; itself when it has none."""
    one = _followed(one, root)
    parts = one.get("anyOf") or one.get("oneOf")
    if not parts or depth >= _DEPTH:
        return [one]
    return [leaf for part in parts for leaf in _parts(part, root, depth + 1)]


def _wanted(one: Schema, root: Schema) -> frozenset[str] | None:
    """The types of JSON that fit; None when any does."""
    found: set[str] = set()
    for part in _parts(one, root):
        if "enum" in part:
            found |= {_JSON[type(value)] for value in part["enum"]}
        elif isinstance(part.get("type"), str):
            found.add(part["type"])
        else:
            return None
    return frozenset(found)


def _types(one: Schema, root: Schema) -> str:
    words = []
    for part in _parts(one, root):
        if "enum" in part:
            words += [msgspec.json.encode(value).decode() for value in part["enum"]]
        else:
            words.append(str(part.get("type", "anything")))
    return " or ".join(dict.fromkeys(words))


def _inner(one: Schema, name: str) -> str:
    """What the first alternative that has it says: a word on one of them is a word on all."""
    found = (str(part[name]) for part in one.get("anyOf", ()) if name in part)
    return next(found, "")
