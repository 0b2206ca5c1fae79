"""Words on the command line become the values that a kind's schema wants."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from engine import Registry, default_registry
from tui.cli.arguments import described, described_arguments, read_document, read_words
from tui.cli.exits import BadUsage


class Level(Enum):
    LOW = 1
    HIGH = 2


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int


def every(  # noqa: PLR0917  one of each
    s: str,
    i: int,
    f: float,
    b: bool,
    a: Any,
    maybe: str | None,
    either: int | str,
    many: list[str],
    point: Point,
    level: Level,
    word: Literal["1", "2"],
    number: Literal[1, 2],
    either_point: Point | None = None,
) -> None:
    """Take one of each.

    And no more.
    """


def schema() -> dict[str, Any]:
    registry = Registry()
    registry.kind("every")(every)
    return registry.schema("every")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("s=plain", "plain"),
        ("s=", ""),
        ("s=5", "5"),
        ("s=null", "null"),
        ('s="quoted"', '"quoted"'),
        ("s=a=b", "a=b"),
        ("i=-5", -5),
        ("i=five", "five"),
        ("i=1.5", 1.5),
        ("f=1", 1),
        ("f=1e3", 1000.0),
        ("f=NaN", "NaN"),
        ("b=true", True),
        ("b=yes", "yes"),
        ("a=5", 5),
        ("a=five", "five"),
        ('a={"x": [1]}', {"x": [1]}),
        ("maybe=null", None),
        ("maybe=5", "5"),
        ("maybe=[1]", "[1]"),
        ('maybe="null"', "null"),
        ("either=5", 5),
        ("either=5.5", "5.5"),
        ('either="5"', "5"),
        ('many=["a", "b"]', ["a", "b"]),
        ("many=a,b", "a,b"),
        ('point={"x": 1}', {"x": 1}),
        ("point=[1]", [1]),
        ('either_point={"x": 1}', {"x": 1}),
        ("level=1", 1),
        ("level=3", 3),
        ("word=1", "1"),
        ("number=1", 1),
        ("unknown=1", 1),
        ("unknown=one", "one"),
        ("s=" + "[" * 100_000, "[" * 100_000),
        ("a=" + "[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_value_is_what_the_schema_wants(word: str, expected: object) -> None:
    """JSON where it parses and is wanted, else the string; what fits neither way is passed on for
    the engine to refuse."""
    found = read_words([word], schema())[word.partition("=")[0]]
    assert (type(expected), expected) == (type(found), found)


@pytest.mark.parametrize("words", [["value"], ["=1"], [""], ["i=1", "i=1"]], ids=str)
def test_a_word_that_names_nothing_is_refused(words: list[str]) -> None:
    """Without a name there is no argument, and one argument has one value."""
    with pytest.raises(BadUsage):
        read_words(words, schema())


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '"x"', "[" * 100_000, b"\xff"])
def test_a_document_is_an_object(text: str | bytes) -> None:
    """All else is refused before anybody is asked."""
    with pytest.raises(BadUsage, match="--arguments"):
        read_document(text)
    assert {"a": [1]} == read_document(b'{"a": [1]}')


def test_a_schema_that_refers_to_itself_ends() -> None:
    """An engine of another version may tell anything; nothing here goes round for ever."""
    loop = {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {"properties": {"x": {"$ref": "#/$defs/B"}, "y": {"$ref": "#/$defs/C"}}},
            "B": {"$ref": "#/$defs/B"},
            "C": {"anyOf": [{"$ref": "#/$defs/C"}]},
        },
    }
    assert {"x": 1, "y": "z"} == read_words(["x=1", "y=z"], loop)
    assert ["anything", "anything"] == [one.types for one in described_arguments(loop)]
    assert {"x": 1} == read_words(["x=1"], {})


def test_a_schema_is_told_in_words() -> None:
    """Names, types, defaults and descriptions; what must be given comes first."""
    assert "Take one of each." == described(schema())
    types = {one.name: one.types for one in described_arguments(schema())}
    assert "string or null" == types["maybe"]
    assert "1 or 2" == types["level"]
    assert "anything" == types["a"]
    assert "object or null" == types["either_point"]
    registry = Registry()

    @registry.kind("login", secret=("password",))
    def login(
        user: str = "ada", *, password: Annotated[str, Meta(description="The word.")]
    ) -> None: ...

    found = list(described_arguments(registry.schema("login")))
    assert [("password", "string", None, True, True, "The word.")] == [tuple(found[0])]
    assert [("user", "string", '"ada"', False, False, "")] == [tuple(found[1])]


def test_the_built_in_kinds_are_told_in_words() -> None:
    """Every argument of each of them has a description, found also inside an alternative."""
    registry = default_registry()
    for name in registry.names():
        assert described(registry.schema(name))
        for argument in described_arguments(registry.schema(name)):
            assert argument.description, argument
