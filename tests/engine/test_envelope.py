"""Exceptions as they travel: complete where they are small, bounded and harmless where not."""

from __future__ import annotations

import contextlib
import gc
import itertools
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import envelope as module
from engine.envelope import (
    CAUSES,
    MEMBERS,
    MESSAGE_BYTES,
    NOTE_BYTES,
    NOTES,
    TOTAL_BYTES,
    TRACEBACK_BYTES,
    envelope,
    let_go,
)
from engine.model import ErrorInfo

_E = TypeVar("_E", bound=BaseException)


def raised(error: _E, cause: BaseException | None = None) -> _E:
    """The error as it is after it was raised here."""
    with contextlib.suppress(BaseException):
        raise error from cause
    return error


def everything(info: ErrorInfo) -> Iterator[ErrorInfo]:
    yield info
    for inner in (*info.causes, *info.members):
        yield from everything(inner)


def assert_bounded(info: ErrorInfo) -> None:
    """Every bound of the page, and that it can be written as strict JSON and read back."""
    total = causes = members = 0
    for one in everything(info):
        assert len(one.type.encode()) <= 200
        assert len(one.message.encode()) <= MESSAGE_BYTES
        assert len(one.traceback.encode()) <= TRACEBACK_BYTES
        assert len(one.notes) <= NOTES + 2
        assert all(len(note.encode()) <= NOTE_BYTES for note in one.notes)
        causes += len(one.causes)
        members += len(one.members)
        total += sum(len(text.encode()) for text in (one.type, one.message, one.traceback))
        total += sum(len(note.encode()) for note in one.notes if not note.startswith("left out"))
    assert causes <= CAUSES
    assert members <= MEMBERS
    assert total <= TOTAL_BYTES
    text = msgspec.json.encode(info)
    assert b"\\u0000" not in text
    assert info == msgspec.json.decode(text, type=ErrorInfo)


# -- the usual ones ------------------------------------------------------------------------------


def test_a_usual_exception_is_described_in_full() -> None:
    """Type, message, notes, and a traceback with the lines of the source."""
    error = ValueError("no such thing")
    error.add_note("tried twice")
    info = envelope(raised(error))
    assert info.type == "ValueError"
    assert info.message == "no such thing"
    assert info.notes == ("tried twice",)
    assert info.traceback.startswith("Traceback (most recent call last):\n  File ")
    assert "    raise error from cause\n" in info.traceback
    assert (info.causes, info.members) == ((), ())
    assert_bounded(info)


class Inner(Exception):
    class Deeper(Exception):
        pass


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit"),
        (Inner.Deeper(), f"{__name__}.Inner.Deeper"),
        (msgspec.DecodeError(), "msgspec.DecodeError"),
        (ExceptionGroup("g", [ValueError()]), "ExceptionGroup"),
    ],
)
def test_a_type_is_named_with_its_module(error: BaseException, name: str) -> None:
    """Builtin ones without it, as in a traceback of Python."""
    assert name == envelope(error).type


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ValueError("a"),
        ValueError("a", 1, {"b": 2}),
        KeyError("k"),
        KeyError(("k", 1)),
        OSError(2, "No such file", "x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        SystemExit(3),
        ExceptionGroup("some", [ValueError()]),
    ],
    ids=repr,
)
def test_a_message_is_what_str_says(error: BaseException) -> None:
    """As long as it is short enough and made of whole characters."""
    assert str(error) == envelope(error).message


def test_an_exception_that_was_never_raised_has_no_traceback() -> None:
    """There is nothing to tell of."""
    assert envelope(ValueError("x")) == ErrorInfo("ValueError", "x")


def test_causes_stand_in_their_order() -> None:
    """The direct cause first, then the cause of that; a context counts where Python shows it."""
    error = ValueError("page")
    error.__context__ = raised(KeyError("row"), raised(OSError("disk")))
    info = envelope(error)
    assert [cause.type for cause in info.causes] == ["KeyError", "OSError"]
    assert all(cause.causes == () for cause in info.causes)
    assert all(cause.traceback for cause in info.causes)


def test_a_suppressed_context_is_left_out() -> None:
    """``raise … from None`` says that the context does not matter."""
    error = KeyError("row")
    error.__context__ = OSError("disk")
    assert [cause.type for cause in envelope(error).causes] == ["OSError"]
    error.__suppress_context__ = True
    assert envelope(error).causes == ()


def test_a_group_shows_its_members_with_their_causes() -> None:
    """Members keep their order, their own causes and their own groups."""
    inner = ExceptionGroup("inner", [TypeError("t")])
    group = ExceptionGroup("outer", [ValueError("v"), raised(KeyError("k"), OSError("o")), inner])
    info = envelope(group)
    assert [member.type for member in info.members] == ["ValueError", "KeyError", "ExceptionGroup"]
    assert [cause.message for cause in info.members[1].causes] == ["o"]
    assert [member.type for member in info.members[2].members] == ["TypeError"]
    assert info.notes == ()


def test_our_own_leading_frames_are_left_out() -> None:
    """A traceback begins in the task's own code, not in what called it; all of it stays when
    nothing of the task is in it."""
    code = compile("def call(f):\n    return f()\n", module.__file__, "exec")
    ours: dict[str, Any] = {}
    exec(code, ours)

    def theirs() -> object:
        return ours["call"](lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError) as caught:
        ours["call"](theirs)
    frames = envelope(caught.value.with_traceback(caught.tb.tb_next)).traceback.splitlines()
    assert "in theirs" in frames[1]
    assert sum("in call" in line for line in frames) == 1
    with pytest.raises(TypeError) as caught_ours:
        ours["call"](None)
    text = envelope(caught_ours.value.with_traceback(caught_ours.tb.tb_next)).traceback
    assert "in call" in text


# -- large ones ----------------------------------------------------------------------------------

HUGE = "x" * 50_000_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError(HUGE),
        lambda: ValueError(HUGE, HUGE),
        lambda: KeyError(HUGE),
        lambda: ValueError(HUGE.encode(), 1),
        lambda: ExceptionGroup(HUGE, [ValueError(HUGE)]),
        lambda: OSError(5, "io"),
    ],
    ids=["text", "two", "key", "bytes", "group", "usual"],
)
def test_a_huge_message_is_cut_without_being_copied(
    make: Callable[[], BaseException],
) -> None:
    """Of 50 MB of message 8 KiB are left, and less than 1 MB is touched on the way."""
    error = make()
    tracemalloc.start()
    try:
        info = envelope(error)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert info.message.endswith("…") is not isinstance(error, OSError)
    assert_bounded(info)


def test_a_long_traceback_keeps_both_ends() -> None:
    """Of a deep recursion the beginning and the end stay, and how much is between."""

    def fall(depth: int) -> None:
        if not depth:
            raise ValueError("ground")
        fall(depth - 1)

    with pytest.raises(ValueError, match="ground") as caught:
        fall(700)
    text = envelope(caught.value).traceback
    assert text.startswith("Traceback (most recent call last):")
    assert "in test_a_long_traceback" in text
    assert "… 582 frames left out …" in text
    assert text.endswith('    raise ValueError("ground")\n')


def test_lines_of_any_length_stay_within_the_bound(tmp_path: Any) -> None:
    """A source of enormous lines gives a traceback of 64 KiB, its two ends."""
    source = tmp_path / "wide.py"
    call = "fall(depth - 1)  # " + "é" * 100_000
    source.write_text(f"def fall(depth):\n    if not depth: 1 / 0\n    {call}\n", "utf-8")
    namespace: dict[str, Any] = {}
    exec(compile(source.read_text("utf-8"), str(source), "exec"), namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["fall"](50)
    info = envelope(caught.value)
    assert TRACEBACK_BYTES - 8 <= len(info.traceback.encode()) <= TRACEBACK_BYTES
    assert "\n… cut …\n" in info.traceback
    assert info.traceback.endswith("if not depth: 1 / 0\n")


def test_a_long_chain_is_cut() -> None:
    """Of a thousand causes the nearest eight stay, and a note says that there were more."""
    error: BaseException = ValueError("0")
    for n in range(1, 1000):
        error = raised(ValueError(str(n)), error)
    info = envelope(error)
    assert [cause.message for cause in info.causes] == [str(n) for n in range(998, 990, -1)]
    assert info.notes == ("left out: further causes",)
    assert_bounded(info)


def test_a_circle_of_causes_is_cut() -> None:
    """Each exception of it is told once."""
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    info = envelope(first)
    assert [cause.message for cause in info.causes] == ["'second'"]
    assert info.notes == ("left out: its causes run in a circle",)


def test_a_group_in_two_thousand_groups_is_cut() -> None:
    """Nesting costs members like anything else."""
    error: Exception = ValueError("leaf")
    for n in range(2000):
        error = ExceptionGroup(str(n), [error])
    info = envelope(error)
    assert len(list(everything(info))) == 1 + MEMBERS
    assert_bounded(info)


def test_a_broad_group_shares_its_bounds_fairly() -> None:
    """The nearest members come first: one deep branch cannot use up the places of the others."""
    deep: Exception = ValueError("leaf")
    for _ in range(100):
        deep = ExceptionGroup("deep", [deep])
    flat = ExceptionGroup("flat", [ValueError(str(n)) for n in range(5)])
    for members, place in (([deep, flat], 1), ([flat, deep], 0)):
        shown = envelope(ExceptionGroup("top", members)).members
        assert [member.message for member in shown[place].members] == ["0", "1", "2", "3", "4"]
    wide = ExceptionGroup("top", [ValueError(str(n)) for n in range(5000)])
    info = envelope(wide)
    assert [member.message for member in info.members] == [str(n) for n in range(MEMBERS)]
    assert info.notes == (f"left out: {5000 - MEMBERS} more members",)


def test_all_of_it_together_stays_within_the_whole() -> None:
    """Sixteen members with huge messages and notes fit into 256 KiB of text."""
    members = []
    for n in range(MEMBERS):
        error = raised(ValueError(f"{n}" * 10_000), KeyError("c" * 10_000))
        for _ in range(20):
            error.add_note("n" * 5_000)
        members.append(error)
    assert_bounded(envelope(ExceptionGroup("g", members)))


@given(st.text(), st.text(), st.lists(st.text(), max_size=20))
def test_any_text_can_be_encoded_and_stored(message: str, other: str, notes: list[str]) -> None:
    """Lone surrogates and NUL become replacement characters; all else stays as it is."""
    error = raised(ValueError(message), KeyError(other))
    for note in notes:
        error.add_note(note)
    info = envelope(error)
    assert_bounded(info)
    expected = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in message)
    assert expected == info.message


@given(st.text(min_size=1, max_size=5), st.integers(0, 20_000))
def test_a_cut_message_is_a_beginning(unit: str, count: int) -> None:
    """No character is broken, and nothing is invented but the mark of the cut."""
    message = "".join(c for c in unit if c != "\0" and not "\ud800" <= c <= "\udfff") * count
    info = envelope(ValueError(message))
    cut = info.message
    if len(message.encode()) <= MESSAGE_BYTES:
        assert message == cut
    else:
        assert cut.endswith("…")
        assert message.startswith(cut[:-1])
        assert len(cut.encode()) > MESSAGE_BYTES - 4


# -- hostile ones --------------------------------------------------------------------------------


def exploding(*_: Any) -> Any:
    raise SystemExit("hostile")


def error_class(**namespace: Any) -> Any:
    return type("Hostile", (Exception,), namespace)


class Text(str):
    """A text whose every method is its own."""

    __slots__ = ()
    __getitem__ = __len__ = __iter__ = __str__ = __add__ = exploding
    __hash__ = str.__hash__
    __eq__ = str.__eq__


class Meta(type):
    """A class that answers every question with an exception."""

    __getattribute__ = __instancecheck__ = __subclasscheck__ = __repr__ = exploding


def anonymous() -> BaseException:
    """Of a class of that kind, which pytest must not find when it looks for tests."""
    error: BaseException = Meta("Anonymous", (Exception,), {})()
    return error


HOSTILE: list[Callable[[], BaseException]] = [
    error_class(__str__=exploding),
    lambda: error_class(__repr__=exploding)(1),
    lambda: ValueError(error_class(__repr__=exploding)(), 1),
    error_class(__str__=lambda _: 7),
    error_class(__str__=lambda _: Text("t")),
    error_class(__str__=lambda self: "again " + str(self)),
    error_class(__notes__=property(exploding)),
    error_class(__notes__=7),
    error_class(__notes__="one string"),
    error_class(__notes__=itertools.repeat("for ever")),
    error_class(__notes__=[7, None, Text("t"), object()]),
    error_class(__notes__=[error_class(__str__=exploding)()]),
    error_class(__cause__=property(exploding), __context__=property(exploding)),
    error_class(__suppress_context__=property(exploding)),
    error_class(__traceback__=property(exploding), args=property(exploding)),
    error_class(__getattribute__=exploding),
    error_class(__eq__=exploding, __hash__=None),
    error_class(__class__=property(lambda _: BaseExceptionGroup)),
    error_class(__module__=7),
    error_class(__module__=property(exploding)),
    type("N" * 100_000, (Exception,), {"__module__": "m" * 100_000}),
    anonymous,
    error_class(exceptions=[error_class()]),
    lambda: type("G", (ExceptionGroup,), {"exceptions": property(exploding)})("g", [ValueError()]),
    lambda: ValueError(10**5000, 1),
    lambda: ValueError([[...]] * 100, "\ud800" * 10_000),
]


@pytest.mark.parametrize("make", HOSTILE)
def test_a_hostile_exception_is_only_described(make: Callable[[], BaseException]) -> None:
    """Whatever it raises, returns or claims, it is told in bounded, printable words; also as
    a cause, and as a member of a group."""
    error = make()
    group = BaseExceptionGroup("group", [make(), ValueError("sibling")])
    for made in (error, raised(make()), raised(ValueError("outer"), make()), group):
        info = envelope(made)
        assert_bounded(info)
        assert info.type
    assert envelope(group).members[1].message == "sibling"


def test_a_message_that_cannot_be_read_says_why() -> None:
    """The type stays, the message names what str() raised, and so do notes."""
    info = envelope(error_class(__str__=exploding, __notes__=7)())
    assert info.type == f"{__name__}.Hostile"
    assert info.message == "<no message: str() raised SystemExit>"
    assert info.notes == ("<its notes cannot be read>",)
    assert envelope(error_class(__notes__="one string")()).notes == ("one string",)


def test_notes_without_an_end_are_cut() -> None:
    """Sixteen notes stay, and a word that there were more."""
    info = envelope(error_class(__notes__=itertools.repeat("again"))())
    assert info.notes == ("again",) * NOTES + ("left out: further notes",)


def test_a_source_that_cannot_be_read_leaves_the_places() -> None:
    """A loader of the task's own may fail: then file, line and function are told without text."""

    class Loader:
        get_source = exploding

    namespace: dict[str, Any] = {"__name__": "ghost", "__loader__": Loader()}
    exec(compile("def f():\n    1 / 0\n", "<ghost>", "exec"), namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["f"]()
    text = envelope(caught.value).traceback
    assert 'File "<ghost>", line 2, in f\n' in text


# -- letting go ----------------------------------------------------------------------------------


class Held:
    """Something large that a task had in hand when it failed."""


def failing(cause: BaseException | None, refs: list[weakref.ref[Held]]) -> BaseException:
    """An exception raised in a frame that holds something."""

    def task() -> None:
        held = Held()
        refs.append(weakref.ref(held))
        raise error_class(__eq__=exploding, __hash__=None)("no") from cause

    with pytest.raises(Exception, match="no") as caught:
        task()
    error = caught.value
    del caught
    return error


def test_what_the_frames_held_is_let_go() -> None:
    """The exception and its causes stay, with their lines; what their locals held is freed. They
    are told apart by identity, whatever they think of themselves."""
    refs: list[weakref.ref[Held]] = []
    error = failing(failing(None, refs), refs)
    before = envelope(error)
    let_go(error)
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert envelope(error) == before
    assert "in task" in before.traceback


def test_letting_go_of_a_circle_ends() -> None:
    """Each exception of a chain is visited once."""
    first, second = raised(ValueError("first")), raised(KeyError("second"))
    first.__cause__, second.__cause__ = second, first
    let_go(first)
    assert [cause.message for cause in envelope(first).causes] == ["'second'"]
