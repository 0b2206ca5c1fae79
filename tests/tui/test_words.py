"""What the dashboard says of a store, an engine and a task, without drawing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import ErrorInfo, OutputMark, State
from tests.tui.fakes import FakeControl
from tests.tui.stores import NOW, task
from tui.facts import facts
from tui.feed import Pulse
from tui.link import Contact, Facts, Link
from tui.rowcache import RowCache
from tui.widgets.banner import warning
from tui.widgets.columns import layout
from tui.widgets.empty import advice
from tui.widgets.status import fit, parts
from tui.widgets.story import tell


def pulse(**more: object) -> Pulse:
    facts_of_now: dict[str, object] = {
        "counts": dict.fromkeys(State, 0),
        "owner": None,
        "rate": 3.0,
        "read_at": 10.0,
        "trouble": None,
        "missing": False,
        "written_at": NOW - 65,
    }
    return Pulse(**(facts_of_now | more))  # type: ignore[arg-type]


def said(state: Pulse, contact: Contact, facts_: Facts | None = None, width: int = 200) -> str:
    return "  ".join(part.text for part in fit(parts(state, contact, facts_, 12.5), width))


def test_the_status_line_says_what_matters_first() -> None:
    """Everything where there is room; how the engine stands always."""
    engine = Facts(slots_taken=1234, capacity=2000, zombies=2, draining=True, uptime=3700.0)
    assert said(pulse(), Contact.ANSWERS, engine) == (
        "2 zombies  draining  3.0/s  slots 1,234/2,000  up 1h01m  data 2.5s old  ● live"
    )
    assert said(pulse(), Contact.ANSWERS, engine, 40) == "2 zombies  draining  3.0/s  ● live"
    assert said(pulse(), Contact.ANSWERS, engine, 1) == "● live"
    assert said(pulse(read_at=None), Contact.NEVER) == "◌ no engine"
    assert said(pulse(trouble="gone", read_at=-60.0), Contact.DIED) == "data 1m12s old  ✗ no data"
    assert said(pulse(), Contact.ANSWERS, engine._replace(zombies=1)).startswith("1 zombie  ")


@pytest.mark.parametrize(
    ("state", "contact", "words"),
    [
        (pulse(), Contact.ANSWERS, None),
        (pulse(), Contact.UNKNOWN, None),
        (pulse(), Contact.DIED, "read-only: the engine died; data from 1m05s ago"),
        (pulse(written_at=None), Contact.NEVER, "read-only: no engine runs on this store"),
        (
            pulse(trouble="it is damaged"),
            Contact.ANSWERS,
            "the store cannot be read, trying again: it is damaged",
        ),
        (
            pulse(trouble="x", missing=True),
            Contact.NEVER,
            "the store's file is gone; waiting for it",
        ),
        (pulse(trouble="x", missing=True, read_at=None), Contact.NEVER, None),
    ],
)
def test_the_banner_names_what_is_wrong(state: Pulse, contact: Contact, words: str | None) -> None:
    """One sentence for each trouble, none when all is well or the empty screen says it."""
    assert warning(state, contact, NOW) == words


@pytest.mark.parametrize(
    ("state", "filter_text", "view", "headline"),
    [
        (pulse(trouble="x", missing=True, read_at=None), "", "", "There is no store here yet"),
        (pulse(trouble="damaged\x1b"), "", "", "The store cannot be read"),
        (pulse(read_at=None), "", "", "Opening the store…"),
        (pulse(), "", "", "No tasks yet"),
        (pulse(counts={State.LOST: 1}), "a\x1b", "", "No task matches a␛"),
        (pulse(counts={State.LOST: 1}), "", "running", "No task is running now"),
        (pulse(counts={State.LOST: 1}), "", "", "No tasks"),
    ],
)
def test_an_empty_table_says_why(state: Pulse, filter_text: str, view: str, headline: str) -> None:
    """Each kind of emptiness has its own words, and all of them are harmless."""
    words = advice(Path("/x/\x1b.db"), state, filter_text=filter_text, view=view)
    assert words[0] == headline
    assert "\x1b" not in words[1]


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"state": State.WAITING, "not_before": NOW + 90}, "starts in 1m30s"),
        ({"state": State.POLLING, "next_poll_at": NOW + 5}, "next look in 5s"),
        ({"state": State.POLLING, "next_poll_at": NOW - 5, "attempts": 2}, "attempt 2 of 1"),
        ({"state": State.POLLING, "key": "mail", "tags": ("a", "b")}, "key mail #a #b"),
        ({"state": State.CANCELLED, "reason": "too late"}, "too late"),
        ({"state": State.POLLING, "error": ErrorInfo("E", "m")}, "E: m"),
    ],
)
def test_the_note_says_what_is_worth_knowing(more: dict[str, object], note: str) -> None:
    """What went wrong comes before what it waits for, and that before what it is called."""
    state = more.pop("state")
    assert isinstance(state, State)
    column = layout(150, 10)[-1]
    assert column.draw(task(2, state, **more), NOW).text.strip() == note


def test_facts_of_rare_kinds() -> None:
    """An output that was not kept, looks that raised, a wait between attempts."""
    row = task(
        2,
        State.WAITING,
        kind="k",
        name="k",
        output_mark=OutputMark.TOO_LARGE,
        failed_looks=2,
        not_before=NOW - 3,
        start_by=NOW + 3,
    )
    assert dict(facts(row, NOW)) == {
        "mode": "polling",
        "failed": "2 looks in a row",
        "start by": "in 3s",
        "starts": "passed 3s ago",
        "output": "too large",
    }


def test_secret_arguments_are_dots() -> None:
    """What a kind keeps secret is in the row and not on the screen."""
    row = task(1, arguments='{"pw":{"creche:secret":"hunter2"},"user":"u"}')
    assert '{"pw":"•••","user":"u"}' == dict(facts(row, NOW))["arguments"]
    assert "arguments" not in dict(facts(task(1, arguments=None), NOW))


def test_long_outputs_are_counted_not_shown() -> None:
    """The pane shows the beginning, and how much is missing."""
    row = task(2, State.SUCCEEDED)
    text = tell(row, '"' + "x" * 20_000 + '"', NOW, 60).plain
    assert "… 3,618 more characters" in text
    assert "9" * 30 not in tell(row, "[1e999, 9]", NOW, 60).plain


def test_a_group_tells_its_members() -> None:
    """Notes, causes and members of an error stand below it."""
    error = ErrorInfo(
        "Group", "two", "", ("a note",), (ErrorInfo("C", "why"),), (ErrorInfo("M", "one of them"),)
    )
    text = tell(task(1, State.FAILED, error=error), None, NOW, 60).plain
    for words in ["Group: two", "a note", "caused by C: why", "holds M: one of them"]:
        assert words in text


def test_the_cache_forgets_what_was_not_seen_for_longest() -> None:
    """A bounded number of rows is kept, the ones in use among them."""
    cache = RowCache(limit=2)
    cache.put([task(1), task(2)])
    cache.get(1)
    cache.put([task(3)])
    assert [cache.get(i) is not None for i in (1, 2, 3)] == [True, False, True]


async def test_an_engine_that_does_not_say_is_no_error() -> None:
    """Without an answer the row from the file has to do."""
    control = FakeControl()
    link = Link(None, control)
    assert await link.look(1) is None
    control.silent = True
    link._control = control
    assert await link.look(1) is None
