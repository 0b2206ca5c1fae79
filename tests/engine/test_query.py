"""The query language: what it takes, what it means, and where it says that something is wrong."""

from __future__ import annotations

import contextlib
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import query as query_module
from engine.errors import BadQuery
from engine.model import FINAL, LIVE, ErrorInfo, Mode, State, TaskSnapshot
from engine.query import LENGTH_LIMIT, TERM_LIMIT, VALUE_LIMIT, Query

NOW = 10_000.0


def task(**fields: Any) -> TaskSnapshot:
    return TaskSnapshot(**{"id": 7, "state": State.QUEUED, "submitted_at": NOW - 60.0, **fields})


def matches(text: str, **fields: Any) -> bool:
    return Query.parse(text).matches(task(**fields), NOW)


ERROR = ErrorInfo("net.TimeoutError", 'No answer from "db-1"', traceback="secret.py line 3")

MEANINGS: list[tuple[str, dict[str, Any], bool]] = [
    ("", {}, True),
    ("   ", {}, True),
    ("state:queued", {}, True),
    ("State:QUEUED", {}, True),
    ("state:failed,queued", {}, True),
    ("state:failed,lost", {}, False),
    ("state:live", {}, True),
    ("state:final", {}, False),
    ("state:final,queued", {}, True),
    ("-state:queued", {}, False),
    ("mode:auto", {}, True),
    ("mode:polling", {"mode": Mode.POLLING}, True),
    ("mode:polling", {"mode": Mode.POLLING, "mode_guessed": True}, True),
    ("mode:polling?", {"mode": Mode.POLLING, "mode_guessed": True}, True),
    ("mode:polling?", {"mode": Mode.POLLING}, False),
    ("mode:polling?,auto", {"mode": Mode.AUTO}, True),
    ("-mode:polling?", {"mode": Mode.POLLING, "mode_guessed": True}, False),
    ("id:7", {}, True),
    ("id:1,2", {}, False),
    ("id:1,7", {}, True),
    ("id>=7", {}, True),
    ("id<7", {}, False),
    ("id=7", {}, True),
    ("polls:0,1", {"polls": 1}, True),
    ("polls:0,1", {"polls": 2}, False),
    ("polls>=10", {"polls": 10}, True),
    ("polls>10", {"polls": 10}, False),
    ("attempts>1", {"attempts": 2}, True),
    ("attempts > 1", {"attempts": 2}, True),
    ("age>59s", {}, True),
    ("age>1m", {}, False),
    ("age>=1m", {}, True),
    ("age=60", {}, True),
    ("age<=60000ms", {}, True),
    ("age<0.5h", {}, True),
    ("age<0.0001d", {}, False),
    ("age<10s", {"finished_at": NOW - 55.0}, True),
    ("age<10s", {"submitted_at": NOW + 99.0}, True),
    ("duration<=1.5s", {"duration": 1.5}, True),
    ("duration<=1.5s", {"duration": 1.6}, False),
    ("duration<=1.5s", {}, False),
    ("-duration<=1.5s", {}, True),
    ("kind:sample", {"kind": "Sample"}, True),
    ("kind:sample", {"kind": "sample2"}, False),
    ("kind:sample*", {"kind": "sample2"}, True),
    ("kind:*.Fetch", {"kind": "app.jobs.Fetch"}, True),
    ("kind:*jobs*", {"kind": "app.jobs.Fetch"}, True),
    ("kind:*jobs", {"kind": "app.jobs.Fetch"}, False),
    ("key:12", {"key": "123"}, False),
    ("key:12", {"key": "12"}, True),
    ("key:12", {}, False),
    ("-key:12", {}, True),
    ("key:*", {}, False),
    ("key:*", {"key": ""}, True),
    ('key:""', {"key": ""}, True),
    ('key:""', {}, False),
    ('key:"a*"', {"key": "a*"}, True),
    ('key:"a*"', {"key": "ab"}, False),
    ("tag:red", {"tags": ("blue", "Red")}, True),
    ("tag:re", {"tags": ("blue", "red")}, False),
    ("tag:re*,green", {"tags": ("blue", "red")}, True),
    ("-tag:red", {"tags": ()}, True),
    ("name:port", {"name": "Report 7"}, True),
    ('name:"port 7"', {"name": "Report 7"}, True),
    ("error:timeout", {"error": ERROR}, True),
    ("error:ANSWER", {"error": ERROR}, True),
    ('error:"\\"db-1\\""', {"error": ERROR}, True),
    ("error:secret", {"error": ERROR}, False),
    ("error:timeout", {}, False),
    ("-error:timeout", {}, True),
    ("port", {"name": "Report"}, True),
    ("port", {"key": "Report"}, True),
    ("port", {"tags": ("a", "Report")}, True),
    ("db-1", {"error": ERROR}, True),
    ("port", {"kind": "Report"}, False),
    ("-port", {"name": "Report"}, False),
    ('"two words"', {"name": "Two Words"}, True),
    ('"two words"', {"name": "two  words"}, False),
    ('"state:failed"', {"name": "of state:failed"}, True),
    ('-"two words"', {"name": "two words"}, False),
    ('"-x"', {"name": "a-x"}, True),
    ("a,b", {"name": "xa,by"}, True),
    ('"back\\\\slash"', {"name": "back\\slash"}, True),
    ("state:queued polls>3", {"polls": 4}, True),
    ("state:queued polls>3", {"polls": 3}, False),
    ("straße", {"name": "STRAßE"}, True),
    ("ÄRGER", {"name": "ärger"}, False),
    ("k", {"name": "\u212a"}, False),
    ("%", {"name": "100"}, False),
    ("_", {"name": "a"}, False),
]


@pytest.mark.parametrize(("text", "fields", "expected"), MEANINGS)
def test_a_query_means_what_its_page_says(
    text: str, fields: dict[str, Any], expected: bool
) -> None:
    """Every kind of term, on a task that it fits or just misses."""
    assert expected is matches(text, **fields)


@pytest.mark.parametrize("state", State)
def test_the_groups_part_the_states(state: State) -> None:
    """A task is either live or final, and each state is found by its name."""
    assert (state in LIVE) is matches("state:live", state=state)
    assert (state in FINAL) is matches("state:final", state=state)
    assert matches(f"state:{state}", state=state)
    assert matches(f"-state:{state} state:live,final", state=state) is False


BAD: list[tuple[str, str]] = [
    ("colour:red", "colour"),
    ("a:b", "a"),
    ("http://x", "http"),
    ("state:nowhere", "nowhere"),
    ("state:failed,,lost", ","),
    ("state:failed, lost", ""),
    ("state:fai lost", "fai"),
    ("mode:slow", "slow"),
    ("id:x", "x"),
    ("id:-1", "-1"),
    ("id:1234567890123456789", "1234567890123456789"),
    ("id>1.5", "1.5"),
    ("polls>5m", "5m"),
    ("age>5 x y>3", "y"),
    ("age>5x", "5x"),
    ("age>-5", "-5"),
    ("age>1e9", "1e9"),
    ("age>\u0665", "\u0665"),
    ("age>0.1234567890", "0.1234567890"),
    ("age>9999999999999999", "9999999999999999"),
    ("age:5m", "age:"),
    ("age>, x", ","),
    ("state>3", "state>"),
    ("name=foo", "name="),
    (">5", ">5"),
    (":x", ":x"),
    ("- x", "-"),
    ('name:""', '""'),
    ('""', '""'),
    ('"a"b', "b"),
    ('a"b"', '"b"'),
    ('state:"failed"x', "x"),
    ("kind:a*b", "a*b"),
    ("kind:*a*b*", "*a*b*"),
]


@pytest.mark.parametrize(("text", "part"), BAD)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_bad_query_shows_its_bad_part(text: str, part: str, lenient: bool) -> None:
    """The error marks exactly what is wrong, and being lenient does not make it right."""
    with pytest.raises(BadQuery) as caught:
        Query.parse(text, lenient=lenient)
    error = caught.value
    assert part == error.text[error.start : error.end]
    assert error.problem in str(error)


def test_a_second_minus_is_searched_for() -> None:
    """One minus negates; what follows is the word, even if it begins with another."""
    assert matches("--x", name="a-x") is False
    assert matches("--x", name="ax") is True


UNFINISHED: list[tuple[str, str]] = [
    ("state:failed -", "state:failed"),
    ("state:", ""),
    ("state:fa", ""),
    ("state:failed,", ""),
    ("state:failed,lo", ""),
    ("x state:f", "x"),
    ("x  -state:f", "x"),
    ("mode:polling mode:po", "mode:polling"),
    ("age>", ""),
    ("age > ", ""),
    ("x age>=5.", "x"),
    ("polls<", ""),
    ('x "open quote', "x"),
    ('x "', "x"),
    ('x key:"open, and', "x"),
    ("key:", ""),
    ("name:", ""),
    ("kind:a,", ""),
    ("id:", ""),
    ("tag: ", ""),
]


@pytest.mark.parametrize(("text", "rest"), UNFINISHED)
def test_an_unfinished_last_term_is_left_out_when_lenient(text: str, rest: str) -> None:
    """While somebody types, the terms before the last one count; without leniency it is an error
    that reaches to the end."""
    query = Query.parse(text, lenient=True)
    assert Query.parse(rest) == query
    assert rest == query.text
    with pytest.raises(BadQuery) as caught:
        Query.parse(text)
    assert caught.value.end == len(text.rstrip())


@pytest.mark.parametrize("text", [case[0] for case in MEANINGS])
def test_every_beginning_of_a_good_query_is_fine_when_lenient(text: str) -> None:
    """Typing a good query never shows an error on the way (but for a field not typed out yet)."""
    for end in range(len(text)):
        try:
            Query.parse(text[:end], lenient=True)
        except BadQuery as error:
            pytest.fail(f"{text[:end]!r}: {error}")


@given(st.text(max_size=60) | st.text('statemodeage:><=,-"\\ 0123.msh*?é\t', max_size=60))
@example('"' * 7)
@example("\\")
@example("-")
def test_parsing_is_total(text: str) -> None:
    """Any text is a query or a BadQuery with a part of the text; a query's text is the same query
    again, and leniency never changes a good one."""
    for lenient in (False, True):
        try:
            query = Query.parse(text, lenient=lenient)
        except BadQuery as error:
            assert 0 <= error.start <= error.end <= len(text)  # noqa: PT017  a property of it
            continue
        assert query == Query.parse(query.text)
        assert hash(query) == hash(Query.parse(query.text))
        query.matches(task(error=ERROR, key="k", tags=("t",), duration=1.0), NOW)
        sql, values = query.sql(NOW)
        assert sql.count("?") >= len(values) > -1


@pytest.mark.parametrize("text", ["a\0", "\ud800", 'x "\udfff"'])
def test_what_no_text_can_hold_is_refused(text: str) -> None:
    """NUL and lone surrogates could not be compared the same way everywhere."""
    with pytest.raises(BadQuery, match="no text can hold"):
        Query.parse(text)


def test_a_query_is_bounded() -> None:
    """2,000 characters, 64 terms, 256 values: up to there it is taken, beyond it is refused."""
    assert Query.parse("x" * LENGTH_LIMIT).conditions
    assert len(Query.parse("x " * TERM_LIMIT).conditions) == TERM_LIMIT
    assert Query.parse("id:" + ",".join(["1"] * VALUE_LIMIT)).conditions
    for text in (
        "x" * (LENGTH_LIMIT + 1),
        "x " * (TERM_LIMIT + 1),
        "id:" + ",".join(["1"] * (VALUE_LIMIT + 1)),
    ):
        for lenient in (False, True):
            with pytest.raises(BadQuery, match=r"longer|more than"):
                Query.parse(text, lenient=lenient)


HARD = ["-", '"', "\\", "a:", "state:f", 'key:"', "age>", "*", "é", " ", "key:,", '"\\"', "1."]


@pytest.mark.parametrize("piece", HARD)
def test_no_text_takes_long(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each character is looked at a few times at most: a hundred times the limit is still read
    in moments, where looking at each for each would take hours."""
    for limit in ("LENGTH_LIMIT", "TERM_LIMIT", "VALUE_LIMIT"):
        monkeypatch.setattr(query_module, limit, 200_000)
    text = (piece * 200_000)[:200_000]
    began = time.process_time()
    for lenient in (False, True):
        with contextlib.suppress(BadQuery):
            Query.parse(text, lenient=lenient)
    assert time.process_time() - began < 10.0


def test_a_query_is_a_value() -> None:
    """Equal by its terms, hashable, unchangeable, and shown as it was written."""
    query = Query.parse("  state:failed   x")
    assert query == Query.parse("state:failed x")
    assert len({query, Query.parse("state:failed x"), Query.everything()}) == 2
    assert str(query) == "  state:failed   x"
    with pytest.raises(AttributeError):
        query.text = "y"  # type: ignore[misc]  # that is what is tested
    assert Query.everything() == Query.parse("")
    assert Query.everything().sql(NOW) == ("1", [])
    assert Query.everything().matches(task(), NOW)


@given(
    st.lists(st.sampled_from(["state:live", "polls>1", "x", "-key:*", "age<1m"]), max_size=6),
    st.integers(0, 3),
)
def test_more_terms_never_find_more(terms: list[str], polls: int) -> None:
    """All terms must hold, in whatever order."""
    found = [matches(" ".join(terms[:n]), polls=polls, name="x") for n in range(len(terms) + 1)]
    assert all(later <= earlier for earlier, later in pairwise(found))
    assert found[-1] is matches(" ".join(reversed(terms)), polls=polls, name="x")
