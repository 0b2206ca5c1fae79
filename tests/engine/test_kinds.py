"""Registered kinds: what gets in, in which form, and what comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadArguments, BadOption, KindExists, KindNotFound
from engine.kinds import Kind, Registry, default_registry
from engine.kinds.registry import ARGUMENTS_LIMIT, KINDS_LIMIT


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """A note."""

    text: str
    more: dict[str, Any] = {}


class Lax(msgspec.Struct):
    text: str


class Unspeakable(msgspec.Struct, forbid_unknown_fields=True):
    what: complex


def note_of(arguments: Note) -> tuple[str, Note]:
    return "note", arguments


NOTE = Kind("note", Note, note_of)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("name", ["a", "a" * 80, "net.fetch-2_x", "0"])
def test_a_name_of_the_alphabet_is_taken(name: str) -> None:
    """Names of 1 to 80 characters of a-z 0-9 . _ - are fine."""
    assert (name,) == Registry([Kind(name, Note, note_of)]).names()


@pytest.mark.parametrize("name", ["", "A", "a b", "a" * 81, "é", "a\n", "a/b", "\u0661"])
def test_any_other_name_is_refused(name: str) -> None:
    """A kind's name can stand in a URL, a file and a terminal as it is."""
    with pytest.raises(BadOption, match="name="):
        Registry([Kind(name, Note, note_of)])


def test_a_name_is_given_once() -> None:
    """A second kind of the same name is refused, and the first one stays."""
    registry = Registry([NOTE])
    with pytest.raises(KindExists, match="'note'"):
        registry.register(Kind("note", Note, repr))
    assert NOTE is registry.get("note")


@pytest.mark.parametrize("arguments", [dict, Lax, Unspeakable, Note(text="an instance")])
def test_arguments_need_a_strict_schema(arguments: Any) -> None:
    """Only a Struct that forbids unknown fields and fits into JSON Schema describes arguments."""
    registry = Registry()
    with pytest.raises(BadOption, match="arguments="):
        registry.register(Kind("k", arguments, repr))
    assert registry.names() == ()


def test_the_number_of_kinds_is_bounded() -> None:
    """The registry takes 1,000 kinds and no more."""
    registry = Registry(Kind(f"k{n}", Note, note_of) for n in range(KINDS_LIMIT))
    with pytest.raises(BadOption, match="kinds="):
        registry.register(NOTE)


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    """Every way in says which kinds there are."""
    registry = Registry([NOTE])
    asks: list[Callable[[], object]] = [
        lambda: registry.check("nope", {}),
        lambda: registry.build("nope", "{}"),
        lambda: registry.schema("nope"),
        lambda: registry.get("nope"),
    ]
    for ask in asks:
        with pytest.raises(KindNotFound, match=r"'nope'.*registered: note"):
            ask()


def test_canonical_arguments_are_sorted_and_complete() -> None:
    """However they are given, the same arguments have the same text, defaults included."""
    registry = default_registry()
    text = '{"scale":1.0,"seed":null,"value":3}'
    assert text == registry.check("sample", {"value": 3})
    assert text == registry.check("sample", {"scale": 1, "value": 3})
    struct = registry.get("sample").arguments(value=3)
    assert text == registry.check("sample", struct)
    assert text == registry.check("sample", registry.decode(text))


@given(st.dictionaries(st.text(), json_values, max_size=3) | json_values)
def test_check_is_total_and_its_text_builds(arguments: object) -> None:
    """Any value either is refused as BadArguments, or gives strict JSON that `build` takes and
    that is canonical already."""
    registry = Registry([NOTE])
    for given_arguments in (arguments, {"text": "x", "more": {"m": arguments}}):
        try:
            text = registry.check("note", given_arguments)
        except BadArguments:
            continue
        value = json.loads(text, parse_constant=pytest.fail)
        assert text == registry.check("note", value)
        built = registry.build("note", text)
        assert isinstance(built, tuple)
        assert built[0] == "note"


class Hostile(Mapping[str, object]):
    """A mapping that answers every question with an exception."""

    def __getitem__(self, key: str) -> object:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[str]:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


BAD_SAMPLES: list[object] = [
    None,
    {},
    [],
    7,
    Hostile(),
    {"value": "3"},
    {"value": True},
    {"value": 1.5},
    {"value": 2**53},
    {"value": 1, "extra": 1},
    {"value": 1, 2: 3},
    {"value": 1, "scale": -0.1},
    {"value": 1, "scale": 1000.1},
    {"value": 1, "scale": math.nan},
    {"value": 1, "scale": math.inf},
    {"value": 1, "seed": -1},
    {"value": 1, "seed": 2**54},
    {"value": nested(100_000)},
]


@pytest.mark.parametrize("arguments", BAD_SAMPLES, ids=range(len(BAD_SAMPLES)))
def test_sample_refuses_what_does_not_fit(arguments: object) -> None:
    """The built-in kind bounds its value, scale and seed and takes nothing else."""
    with pytest.raises(BadArguments) as caught:
        default_registry().check("sample", arguments)
    assert len(str(caught.value)) < 700


def test_a_struct_built_with_nonsense_is_refused() -> None:
    """An instance is validated like anything else: its constructor does not."""
    struct = default_registry().get("sample").arguments(value="three", scale=math.nan)
    with pytest.raises(BadArguments):
        default_registry().check("sample", struct)


def test_arguments_are_bounded() -> None:
    """64 KiB of canonical JSON are taken, a byte more is not."""
    registry = Registry([NOTE])
    frame = len(registry.check("note", {"text": ""}))
    fits = "x" * (ARGUMENTS_LIMIT - frame)
    assert ARGUMENTS_LIMIT == len(registry.check("note", {"text": fits}))
    with pytest.raises(BadArguments, match="65537 bytes"):
        registry.check("note", {"text": fits + "x"})


@pytest.mark.parametrize(
    "text", ["", "{", "null", '{"text": 1}', "[" * 100_000, '{"text":"\ud800"}']
)
def test_stored_arguments_that_do_not_fit_any_more_are_refused(text: str) -> None:
    """What lies in a file is checked again before anything is built from it."""
    with pytest.raises(BadArguments):
        Registry([NOTE]).build("note", text)


def test_stored_text_that_is_no_json_has_no_value() -> None:
    """`decode` raises ValueError, also for nesting without an end."""
    assert Registry.decode('{"text": "x"}') == {"text": "x"}
    for text in ("", "[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            Registry.decode(text)


def test_the_schema_describes_the_arguments() -> None:
    """A client learns names, types, bounds and defaults from the schema."""
    schema = default_registry().schema("sample")
    body = schema["$defs"]["SampleArguments"]
    assert body["required"] == ["value"]
    assert body["additionalProperties"] is False
    assert {"value", "scale", "seed"} == set(body["properties"])
    assert body["properties"]["scale"]["default"] == 1.0


@given(value=st.integers(-(2**52), 2**52), seed=st.integers(0, 2**53))
def test_a_seeded_sample_is_the_same_box_each_time(value: int, seed: int) -> None:
    """Another process builds the same task from the same row."""
    registry = default_registry()
    text = registry.check("sample", {"value": value, "seed": seed})
    first, second = registry.build("sample", text), registry.build("sample", text)
    assert first is not second
    assert type(first) is type(second)
    assert vars(first) == vars(second)
