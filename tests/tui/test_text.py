"""Text for a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine import State
from tui.text import (
    LOOKS,
    age,
    clip,
    count,
    duration,
    rate,
    safe_block,
    safe_text,
    short_count,
)

HOSTILE = [
    "[/]",
    "[@click=app.quit]x[/]",
    "\x1b]52;c;aGk=\x07",
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "\x1b]0;title\x1b\\",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "a\u200bb\u200d\ufeff",
    "line\u2028sep\u2029",
    "\ud800\udfff",
    "\x7f\x00\r\n\t",
    "\U000e0041\U000e007f",
    "z\u0300\u0301\u0302\u0303\u0304\u0305",
    "\u3164\u115f",
]

anything = st.text(st.characters(), max_size=60) | st.text(
    "\x1b[]\u202e\u0301日👨\u200da ", max_size=40
)


@given(anything)
def test_no_character_that_a_terminal_acts_on_is_left(text: str) -> None:
    """Whatever goes in, controls, formats, separators and surrogates do not come out."""
    shown = safe_text(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(anything)
def test_safe_text_is_stable(text: str) -> None:
    """Harmless text stays as it is."""
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_plain_ascii_is_untouched(text: str) -> None:
    """Printable ASCII passes unchanged, brackets and all."""
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;x\x07", "␛]52;c;x␇"),
        ("a\nb\tc\r\x00", "a␊b␉c␍␀"),
        ("\x7f", "␡"),
        ("\x9b31m", "�31m"),
        ("\u202egpj.exe", "�gpj.exe"),
        ("a\u200bb", "a�b"),
        ("\ud800", "�"),
        ("z\u0301\u0302\u0303\u0304\u0305", "z\u0301\u0302\u0303"),
        ("❤\ufe0f", "❤"),
        ("x\u3164", "x�"),
        ("日本 é\u00a0", "日本 é\u00a0"),
        ("\ue0b0", "\ue0b0"),
        ("\ufdd0\U000e0001\u2065", "���"),
    ],
)
def test_stand_ins(text: str, shown: str) -> None:
    """Each kind of dangerous character has its visible stand-in; what is printable stays."""
    assert safe_text(text) == shown


@given(anything, st.integers(-2, 30))
def test_clipped_text_fits(text: str, cells: int) -> None:
    """Clipped text is harmless and never wider than asked for; filled up it is exactly as wide."""
    assert cell_len(clip(text, cells)) <= max(0, cells)
    assert cell_len(clip(text, cells, pad=True)) == max(0, cells)
    assert safe_text(clip(text, cells)) == clip(text, cells)


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("abc", 0, ""),
        ("\x1b" * 9, 3, "␛␛…"),
    ],
)
def test_cut_text_says_so(text: str, cells: int, shown: str) -> None:
    """Where something is missing stands an ellipsis, and no wide character is cut in half."""
    assert clip(text, cells) == shown


def test_a_megabyte_is_cut_without_being_read() -> None:
    """Only what can be seen is looked at."""
    text = "\u0301" * 1_000_000
    assert clip("x" + text, 10) == "x\u0301\u0301\u0301…"


def test_blocks_keep_their_lines() -> None:
    """Line breaks and tabs of a traceback stay lines and indents, the rest is harmless."""
    assert safe_block("a\r\n\tb\x1b\n\x0b") == "a\n    b␛\n␋"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_blocks_are_harmless(text: str) -> None:
    """No line of a block holds what a terminal acts on."""
    for line in safe_block(text).split("\n"):
        assert safe_text(line) == line


def test_every_state_has_a_look_of_its_own() -> None:
    """Glyph and word tell states apart without any colour; a glyph is one cell wide."""
    assert set(LOOKS) == set(State)
    assert len({look.glyph for look in LOOKS.values()}) == len(State)
    assert len({look.word for look in LOOKS.values()}) == len(State)
    assert {cell_len(look.glyph) for look in LOOKS.values()} == {1}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0ms"),
        (0.038, "38ms"),
        (0.9996, "1.00s"),
        (9.994, "9.99s"),
        (9.996, "10.0s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (125, "2m05s"),
        (3600, "1h00m"),
        (90_000, "1d01h"),
        (1e9, "11574d"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    """Durations take six cells at most and never round to a unit they are not in."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-3, "0s"), (59.9, "59s"), (60, "1m00s"), (7322, "2h02m")]
)
def test_ages(seconds: float, shown: str) -> None:
    """Ages count whole seconds."""
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (9_999, "9999"),
        (12_345, "12.3k"),
        (99_999, "100k"),
        (999_999, "1.00M"),
        (45_600_000, "45.6M"),
        (2_000_000_000, "2.00G"),
    ],
)
def test_short_counts(number: int, shown: str) -> None:
    """Large counts take five cells."""
    assert short_count(number) == shown


def test_counts_and_rates() -> None:
    """Thousands are set apart; slow rates keep a digit."""
    assert (count(1_234_567), rate(0), rate(0.44), rate(12_345)) == (
        "1,234,567",
        "0/s",
        "0.4/s",
        "12.3k/s",
    )
