"""What the store keeps of an output, and what it says of it."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import uuid
import zlib
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.model import OutputMark
from engine.outputs import DEPTH_LIMIT, INTEGER_BITS, OUTPUT_LIMIT, keep

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**INTEGER_BITS) + 1, 2**INTEGER_BITS - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


def strict(text: str) -> Any:
    """Read JSON as the standard says: no NaN, no Infinity, no key twice."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(found)) == len(found)
        return dict(found)

    return json.loads(text, parse_constant=pytest.fail, object_pairs_hook=pairs)


@pytest.mark.slow
@given(json_values)
@example(0.0)
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
@example(2**64)
@example("\0\x1f\x7f\u2028\ufffe😀")
def test_json_comes_back_as_it_was(output: Any) -> None:
    """Whatever is JSON is kept: it reads back equal, of the same types, with a matching sum."""
    kept = keep(output)
    assert kept.mark is OutputMark.KEPT
    assert kept.text is not None
    assert repr(output) == repr(strict(kept.text))
    assert output == msgspec.json.decode(kept.text)
    assert kept.checksum == zlib.crc32(kept.text.encode())


class Colour(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


class Named(NamedTuple):
    x: int


class SortedList(list[Any]):
    pass


KEPT: list[tuple[Any, Any]] = [
    (Word.RED, "red"),
    (Level.HIGH, 3),
    ({"a": Word.RED}, {"a": "red"}),
    ({Word.RED: 1}, {"red": 1}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (SortedList([1, 2]), [1, 2]),
]
CHANGED: list[tuple[Any, Any]] = [
    ((), []),
    ([()], [[]]),
    ((1, 2), [1, 2]),
    ([(1,), {"a": (2,)}], [[1], {"a": [2]}]),
    (Named(1), [1]),
    ({3}, [3]),
    (frozenset({3}), [3]),
    (b"\x00\xff", "AP8="),
    (bytearray(b"a"), "YQ=="),
    (Colour.RED, 1),
    ([Colour.RED], [1]),
    (Point(1), {"x": 1}),
    (Struct(1), {"x": 1}),
    ({"deep": [Point(2)]}, {"deep": [{"x": 2}]}),
    (dt.date(2026, 3, 1), "2026-03-01"),
    (dt.timedelta(seconds=90), "PT90S"),
    (decimal.Decimal("1.50"), "1.50"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
]
REFUSED: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    [math.nan],
    {"a": {"b": [1.0, math.inf]}},
    Point(math.nan),  # type: ignore[arg-type]  # nothing checks it at run time
    {math.nan},
    {1: 2},
    {None: 1},
    {(1, 2): 3},
    {True: 1},
    {b"a": 1},
    {"a": {1.5: 1}},
    "\ud800",
    ["ok", "\udfff"],
    {"\ud800": 1},
    Word,
    object(),
    [object()],
    1 + 2j,
    fractions.Fraction(1, 2),
    range(3),
    collections.deque([1]),
    (n for n in range(3)),
    pathlib.PurePath("x"),
    len,
    ValueError("no output"),
    msgspec.Raw(b"not json"),
    msgspec.UNSET,
    2**INTEGER_BITS,
    -(2**INTEGER_BITS),
]


@pytest.mark.parametrize(("output", "stored"), KEPT, ids=repr)
def test_what_compares_equal_is_kept(output: Any, stored: Any) -> None:
    """An object of another class that reads back equal has lost nothing."""
    kept = keep(output)
    assert kept.mark is OutputMark.KEPT
    assert stored == strict(kept.text or "")


@pytest.mark.parametrize(("output", "stored"), CHANGED, ids=repr)
def test_what_comes_back_different_is_marked(output: Any, stored: Any) -> None:
    """Stored, readable, and honestly said not to be the same."""
    kept = keep(output)
    assert kept.mark is OutputMark.CHANGED_BY_JSON
    assert stored == strict(kept.text or "")
    assert kept.checksum == zlib.crc32((kept.text or "").encode())


@pytest.mark.parametrize("output", REFUSED, ids=lambda output: type(output).__name__)
def test_what_is_no_strict_json_is_refused(output: Any) -> None:
    """Nothing is written as null or under another key in silence."""
    assert keep(output) == (None, OutputMark.NOT_SERIALISABLE, None)


def nested(depth: int, bottom: Any) -> Any:
    for level in range(depth):
        bottom = [bottom] if level % 2 else {"a": bottom}
    return bottom


def test_nesting_is_bounded() -> None:
    """64 levels are kept; one more, ten thousand, and a circle are refused."""
    assert keep(nested(DEPTH_LIMIT, 1)).mark is OutputMark.KEPT
    circle: list[Any] = []
    circle.append([circle])
    assert keep(nested(DEPTH_LIMIT - 1, {})).mark is OutputMark.KEPT
    for output in (nested(DEPTH_LIMIT + 1, 1), nested(DEPTH_LIMIT, {}), nested(9_999, 1), circle):
        assert keep(output).mark is OutputMark.NOT_SERIALISABLE


@pytest.mark.parametrize("unit", ["x", "é", "😀", "\n", '"', "\x01"])
def test_the_limit_counts_bytes_of_the_text(unit: str) -> None:
    """1 MiB of UTF-8 as it is written, escapes included, is kept; a byte more is too large."""
    width = len(msgspec.json.encode(unit)) - 2
    count, rest = divmod(OUTPUT_LIMIT - 2, width)
    fits = unit * count + "x" * rest
    kept = keep(fits)
    assert kept.mark is OutputMark.KEPT
    assert len((kept.text or "").encode()) == OUTPUT_LIMIT
    assert keep(fits + "x") == (None, OutputMark.TOO_LARGE, None)


@pytest.mark.slow
@given(json_values, st.integers(0, 60))
def test_the_limit_is_exact(output: Any, limit: int) -> None:
    """An output is too large exactly when its text would be longer than the limit."""
    text = keep(output).text
    assert text is not None
    fits = len(text.encode()) <= limit
    assert fits is (keep(output, limit=limit).text is not None)


def test_a_huge_output_is_not_even_encoded() -> None:
    """The work is bounded by the limit: a text of terabytes is refused out of a small object."""
    row: list[Any] = ["x" * 1000] * 1000
    for _ in range(3):
        row = [row] * 1000
    huge: list[Any] = [row, [None] * 2**20, "x" * 2**21, {"a": row}, [[[]] * 400_000]]
    for output in huge:
        assert keep(output).mark is OutputMark.TOO_LARGE


def raising(*_: Any) -> Any:
    raise SystemExit("hostile")


def hostile(base: type, *methods: str) -> type:
    return type("Hostile", (base,), dict.fromkeys(methods, raising))


HOSTILE: list[tuple[Any, OutputMark]] = [
    (hostile(list, "__eq__", "__iter__", "__len__")([1]), OutputMark.CHANGED_BY_JSON),
    (hostile(dict, "__eq__", "items", "__iter__", "__len__")(a=1), OutputMark.CHANGED_BY_JSON),
    (hostile(tuple, "__iter__", "__len__", "__getitem__")((1,)), OutputMark.CHANGED_BY_JSON),
    (hostile(object, "__iter__", "__getattribute__", "__eq__")(), OutputMark.NOT_SERIALISABLE),
    (hostile(str, "__len__", "encode", "__str__")("a"), OutputMark.NOT_SERIALISABLE),
    (hostile(int, "bit_length", "__index__")(1), OutputMark.NOT_SERIALISABLE),
    (hostile(float, "__float__", "__repr__")(1), OutputMark.NOT_SERIALISABLE),
    (
        dataclasses.make_dataclass("D", ["x"], namespace={"__eq__": raising})(1),
        OutputMark.CHANGED_BY_JSON,
    ),
    ({hostile(str, "__str__", "__len__")("k"): 1}, OutputMark.KEPT),
]


@pytest.mark.parametrize(("output", "mark"), HOSTILE, ids=lambda case: "")
def test_an_output_cannot_raise_out_of_it(output: Any, mark: OutputMark) -> None:
    """Comparisons, iterators and lengths of the output's own making change the mark at most."""
    assert mark is keep(output).mark


def test_an_answer_to_equality_that_is_no_answer_means_changed() -> None:
    """Arrays compare element by element and refuse to be true or false."""

    class Array(list[int]):
        def __eq__(self, other: object) -> Any:
            return type("Mask", (), {"__bool__": raising})()

        __hash__ = None

    assert keep(Array([1])).mark is OutputMark.CHANGED_BY_JSON


def test_a_key_that_stands_twice_is_not_the_same() -> None:
    """A string of another class may differ from itself: then the text holds it twice."""

    class Key(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return False

    kept = keep({"a": 1, Key("a"): 2})
    assert kept.mark is OutputMark.CHANGED_BY_JSON


@pytest.mark.slow
@given(st.recursive(st.from_type(type).flatmap(st.from_type) | json_values, st.lists, max_leaves=4))
def test_keeping_is_total_and_honest(output: Any) -> None:
    """Anything at all: no exception; a text is strict JSON, and KEPT means that it compares
    equal."""
    text, mark, checksum = keep(output)
    assert (text is None) is (mark in {OutputMark.NOT_SERIALISABLE, OutputMark.TOO_LARGE})
    assert (text is None) is (checksum is None)
    if text is not None and mark is OutputMark.KEPT:
        assert strict(text) == output


@pytest.mark.slow
@given(
    st.sampled_from([case for case, _ in (*KEPT, *CHANGED)])
    | st.recursive(
        st.tuples() | st.just({}) | st.just([]) | st.builds(Point, st.integers()) | json_values,
        lambda inner: st.lists(inner) | st.tuples(inner) | st.frozensets(st.integers()),
    ),
    st.integers(-3, 3),
)
def test_the_limit_is_exact_for_what_is_changed_too(output: Any, more: int) -> None:
    """Tuples, sets and objects are counted as they are written, to the byte."""
    text = keep(output).text
    assert text is not None
    kept = keep(output, limit=len(text.encode()) + more)
    assert (more >= 0) is (kept.text is not None)
    assert more >= 0 or kept.mark is OutputMark.TOO_LARGE
