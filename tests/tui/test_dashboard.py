"""The dashboard as its user meets it: keys in, screen out."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import ErrorInfo, State
from tests.tui.driving import driving
from tests.tui.fakes import FakeControl
from tests.tui.stores import LiveStore, task, write
from tui.link import Contact


def some(tmp_path: Path, count: int = 30) -> Path:
    states = [State.QUEUED, State.RUNNING, State.POLLING, State.SUCCEEDED, State.FAILED]
    rows = [task(i, states[i % 5]) for i in range(1, count + 1)]
    return write(tmp_path / "a.db", rows, {i: f'{{"value": {i}}}' for i in range(3, count, 5)})


async def test_the_first_frame_has_rows(tmp_path: Path) -> None:
    """Counters, tabs, rows and the pane are there at once, newest task first."""
    async with driving(some(tmp_path)) as drive:
        text = drive.text()
        assert "✗ failed     task 29" in text
        assert "1 all 30" in text
        assert "read-only: no engine runs, the last one has stopped" in text
        assert "#30" in drive.text(drive.screen.query_one("#detail"))


async def test_moving_and_the_pane_that_follows(tmp_path: Path) -> None:
    """The cursor moves by the keys of the table; the pane tells of its task without Enter."""
    async with driving(some(tmp_path)) as drive:
        listing, detail = drive.screen.listing, drive.screen.query_one("#detail")
        for keys, task_id in [
            (["j"], 29),
            (["down"], 28),
            (["k", "up"], 30),
            (["G"], 1),
            (["g"], 30),
            (["end"], 1),
            (["home"], 30),
            (["pagedown"], 1),
            (["pageup"], 30),
        ]:
            await drive.press(*keys)
            assert listing.cursor_id == task_id
            assert f"#{task_id}" in drive.text(detail).split("\n")[0]


async def test_outputs_and_errors_are_in_the_pane(tmp_path: Path) -> None:
    """A succeeded task shows its output, a failed one its error, each with the timeline."""
    async with driving(some(tmp_path)) as drive:
        detail = drive.screen.query_one("#detail")
        await drive.press("j")
        assert "ValueError: the input is out of range" in drive.text(detail)
        await drive.press("j")
        await drive.until(lambda: '"value": 28' in drive.text(detail))
        assert "polled" in drive.text(detail)


async def test_filtering_as_you_type(tmp_path: Path) -> None:
    """Rows follow what is typed; an unfinished term waits; Enter keeps, Esc drops the filter."""
    async with driving(some(tmp_path)) as drive:
        listing = drive.screen.listing
        await drive.press("slash", *"state:fail")
        assert listing.matched == 30
        await drive.press(*"ed")
        assert (listing.matched, "6 match" in drive.text()) == (6, True)
        await drive.press("enter", "j")
        assert (listing.matched, listing.cursor_id) == (6, 24)
        await drive.press("escape")
        assert (listing.matched, listing.cursor_id) == (30, 24)


async def test_a_bad_filter_keeps_the_last_good_rows(tmp_path: Path) -> None:
    """What is wrong is named and underlined, and the rows of before stay."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("slash", *"task state:nosuch more")
        assert drive.screen.listing.matched == 30
        assert "expected one of waiting" in drive.text()
        line = drive.app.screen._compositor.render_strips()[drive.screen.filter.region.y]
        assert [s.text for s in line if s.style and s.style.underline] == ["nosuch"]
        await drive.press("escape")
        assert "expected one of" not in drive.text()


async def test_no_match_says_what_to_do(tmp_path: Path) -> None:
    """An empty table says why it is empty and how to get out of it."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("slash", *"nothing-like-it")
        assert "No task matches nothing-like-it" in drive.text()
        assert "Esc clears the filter" in drive.text()
        await drive.press("escape")
        assert "No task matches" not in drive.text()
        await drive.press("7")
        assert "No task is cancelled now" in drive.text()


async def test_tabs_and_errors_only(tmp_path: Path) -> None:
    """1 to 7 list groups of states; x goes to the errors and back; Esc goes back to all."""
    async with driving(some(tmp_path)) as drive:
        listing = drive.screen.listing
        for key, matched in zip("1234567", [30, 6, 6, 6, 6, 6, 0], strict=True):
            await drive.press(key)
            assert listing.matched == matched
        await drive.press("x")
        assert (drive.screen.view, listing.matched) == (5, 6)
        await drive.press("x")
        assert (drive.screen.view, listing.matched) == (0, 30)
        await drive.press("x", "escape")
        assert (drive.screen.view, listing.matched) == (0, 30)


async def test_going_to_places(tmp_path: Path) -> None:
    """The colon goes to tasks, tabs and orders, and says when there is no such place."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("colon", *"12", "enter")
        assert drive.screen.listing.cursor_id == 12
        await drive.press("colon", *"nowhere", "enter")
        assert "nowhere to go by 'nowhere'" in drive.text()
        await drive.press("escape", "colon", *"failed", "enter")
        assert drive.screen.view == 5
        await drive.press("colon", *"12", "enter")
        await drive.until(lambda: "no task 12 is listed here" in drive.text())
        await drive.press("colon", *"sort -age", "enter")
        assert drive.screen.listing.id_at(0) == 4
        assert "id▴" in drive.text()


async def test_the_order_can_be_turned_round(tmp_path: Path) -> None:
    """S shows the oldest first, the cursor stays with its task."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("j", "S")
        assert (drive.screen.listing.cursor_id, drive.screen.listing.id_at(0)) == (29, 1)


async def test_without_an_engine_nothing_can_be_changed(tmp_path: Path) -> None:
    """Read-only: the keys that change tasks are neither in the footer nor in the help, nor do
    they do anything."""
    async with driving(some(tmp_path)) as drive:
        assert not {"K", "space"} & drive.offered()
        await drive.press("space", "asterisk", "K")
        assert drive.screen.listing.marks == set()
        await drive.press("question_mark")
        assert "Cancel" not in drive.text()
        assert "Filter as you type" in drive.text()


async def test_with_an_engine_a_task_is_cancelled_at_once(tmp_path: Path) -> None:
    """K asks the engine without a question, and the answer's own words are shown."""
    control = FakeControl()
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1, State.POLLING)])
        async with driving(store.path, control) as drive:
            await drive.until(lambda: "K" in drive.offered())
            assert "● live" in drive.text()
            assert "slots 3/16" in drive.text()
            await drive.press("K")
            await drive.until(lambda: "no longer looked at" in drive.text())
            assert control.cancelled == [(1, "dashboard")]


async def test_the_task_in_the_pane_is_up_to_the_second(tmp_path: Path) -> None:
    """Looks at the selected task come from the engine, not from the file's last sample."""
    control = FakeControl()
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(2, State.POLLING, polls=3)])
        async with driving(store.path, control) as drive:
            await drive.until(lambda: drive.screen._link.commands)
            row = drive.screen.listing.selected
            assert row is not None
            control.tasks[2] = {"id": 2, "revision": row.cursor, "polls": 1234}
            drive.screen._tick()
            await drive.until(lambda: "polls      1,234" in drive.text())
            await drive.settle()
            assert "polls      1,234" in drive.text()


async def test_a_refused_cancel_shows_the_reason(tmp_path: Path) -> None:
    """The engine's own words come to the screen, not a traceback."""
    control = FakeControl()
    control.refused = {1: "task 1 is held [bold]"}
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1, State.POLLING)])
        async with driving(store.path, control) as drive:
            await drive.until(lambda: "K" in drive.offered())
            await drive.press("K")
            await drive.until(lambda: "task 1 is held [bold]" in drive.text())


async def test_many_are_cancelled_after_a_question(tmp_path: Path) -> None:
    """Marks make a bulk; No is the default; after a partial failure only failures stay marked."""
    control = FakeControl()
    control.refused = {2: "not now"}
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(task(i, State.POLLING) for i in range(1, 5))
        async with driving(store.path, control) as drive:
            await drive.until(lambda: "K" in drive.offered())
            await drive.press("space", "space")
            assert drive.screen.listing.marks == {4, 3}
            assert "2 marked" in drive.text()
            await drive.press("asterisk", "K")
            assert "Cancel 4 marked tasks?" in drive.text()
            await drive.press("enter")
            assert (control.cancelled, len(drive.screen.listing.marks)) == ([], 4)
            await drive.press("K", "y")
            await drive.until(lambda: drive.screen.listing.marks == {2})
            assert sorted(control.cancelled) == [(i, "dashboard") for i in (1, 3, 4)]
            await drive.press("escape")
            assert drive.screen.listing.marks == set()


async def test_the_question_can_be_answered_by_moving(tmp_path: Path) -> None:
    """Left and right go from No to Yes; Esc means No."""
    control = FakeControl()
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(task(i, State.POLLING) for i in range(1, 3))
        async with driving(store.path, control) as drive:
            await drive.until(lambda: "K" in drive.offered())
            await drive.press("asterisk", "K", "escape")
            assert "Cancel 2" not in drive.text()
            await drive.press("K", "right", "enter")
            await drive.until(lambda: len(control.cancelled) == 2)


async def test_an_engine_that_falls_silent_takes_its_keys_along(tmp_path: Path) -> None:
    """No answer: a banner, no commands; an answer again: everything as before."""
    control = FakeControl()
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1)])
        async with driving(store.path, control) as drive:
            await drive.until(lambda: "K" in drive.offered())
            control.silent = True
            drive.screen._link.ask_now()
            await drive.until(lambda: "the engine does not answer" in drive.text())
            assert "K" not in drive.offered()
            control.silent = False
            drive.screen._link.ask_now()
            await drive.until(lambda: "K" in drive.offered())
            assert "does not answer" not in drive.text()


async def test_an_engine_that_died_is_told(tmp_path: Path) -> None:
    """The rows stay, a banner says how old they are, and a new engine is found by itself."""
    path = tmp_path / "a.db"
    with LiveStore(path).open() as first:
        first.record([task(1)])
        first.crash()
        async with driving(path, FakeControl()) as drive:
            await drive.until(lambda: drive.screen._link.contact is Contact.ANSWERS)
            first.end()
            await drive.until(lambda: "the engine died; data from" in drive.text())
            assert "task 1" in drive.text()
            with LiveStore(path).open() as second:
                second.record([task(2)])
                await drive.until(lambda: "task 2" in drive.text() and "● live" in drive.text())


async def test_no_store_yet(tmp_path: Path) -> None:
    """Without a file the screen says how to make one, and fills by itself when there is one."""
    async with driving(tmp_path / "later.db") as drive:
        assert "There is no store here yet" in drive.text()
        assert "creche serve --store" in drive.text()
        write(tmp_path / "later.db", [])
        await drive.until(lambda: "No tasks yet" in drive.text())
        with LiveStore(tmp_path / "later.db").open() as store:
            store.record([task(1)])
            await drive.until(lambda: "task 1" in drive.text())


async def test_a_frozen_view_counts_what_is_new(tmp_path: Path) -> None:
    """P stops the rows, not the counters; p again catches up."""
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1)])
        async with driving(store.path) as drive:
            await drive.press("p")
            store.record([task(2), task(3)])
            await drive.until(lambda: "frozen +2 new" in drive.text())
            assert "task 3" not in drive.text()
            await drive.press("p")
            await drive.until(lambda: "task 3" in drive.text())
            assert "frozen +" not in drive.text()


async def test_new_rows_do_not_move_the_ones_under_the_eye(tmp_path: Path) -> None:
    """Scrolled down, the line at the top of the screen stays where it is."""
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(map(task, range(1, 200)))
        async with driving(store.path) as drive:
            await drive.press("colon", *"100", "enter")
            before = drive.rows()
            store.record(map(task, range(200, 260)))
            await drive.until(lambda: drive.screen.listing.matched == 259)
            assert drive.rows() == before
            assert drive.screen.listing.cursor_id == 100


async def test_following_keeps_the_row_in_sight(tmp_path: Path) -> None:
    """With f the view moves with the cursor's row, also when it is pushed down."""
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record(map(task, range(1, 3)))
        async with driving(store.path) as drive:
            await drive.press("f")
            store.record(map(task, range(3, 100)))
            await drive.until(lambda: drive.screen.listing.matched == 99)
            assert "▌     2" in drive.text(drive.screen.table)


async def test_the_pane_opens_grows_and_closes(tmp_path: Path) -> None:
    """At 80 × 24 the pane comes with Enter, fills the screen with another, and goes with Esc."""
    async with driving(some(tmp_path), size=(80, 24)) as drive:
        detail = drive.screen.query_one("#detail")
        assert not detail.display
        await drive.press("enter")
        assert (detail.display, detail.has_focus) == (True, True)
        await drive.press("enter")
        assert detail.size.height > 15
        assert not drive.screen.table.region
        await drive.press("escape", "escape")
        assert (detail.display, drive.screen.table.has_focus) == (False, True)
        await drive.press("plus", "tab")
        assert detail.has_focus
        await drive.press("minus")
        assert not detail.display


async def test_escape_never_quits(tmp_path: Path) -> None:
    """However often it is pressed."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("x", "slash", *"task", "enter", "enter", "enter", *["escape"] * 12)
        assert drive.app.is_running
        assert (drive.screen.view, drive.screen.filter.text) == (0, "")


@pytest.mark.parametrize(
    "keys", [["q"], ["ctrl+c"], ["slash", "ctrl+c"], ["question_mark", "ctrl+c"]]
)
async def test_quitting(tmp_path: Path, keys: list[str]) -> None:
    """Q quits, Ctrl-C quits from anywhere."""
    async with driving(some(tmp_path)) as drive:
        await drive.pilot.press(*keys)
        await drive.pilot.pause()
        assert not drive.app.is_running


async def test_letters_typed_into_the_filter_are_no_commands(tmp_path: Path) -> None:
    """Q in the filter is a letter."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("slash", *"qpx1")
        assert (drive.app.is_running, drive.screen.filter.text) == (True, "qpx1")


async def test_the_help_lists_every_active_key(tmp_path: Path) -> None:
    """Help is made from the active bindings; any key that it names is bound."""
    control = FakeControl()
    with LiveStore(tmp_path / "a.db").open() as store:
        store.record([task(1)])
        async with driving(store.path, control, size=(100, 60)) as drive:
            await drive.until(lambda: "K" in drive.offered())
            await drive.press("question_mark")
            text = drive.text()
            for words in ["Cancel the task", "Mark all that match", "Filter as you type", "1 2 3"]:
                assert words in text
            await drive.press("escape")
            assert "Mark all that match" not in drive.text()


async def test_the_palette_offers_the_actions_with_their_keys(tmp_path: Path) -> None:
    """Ctrl-P finds an action by its words, shows its key, and Enter does it."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("ctrl+p", *"oldest")
        await drive.until(lambda: "key S" in drive.text())
        await drive.press("enter")
        await drive.until(lambda: drive.screen.listing.id_at(0) == 1)


async def test_copying_the_id(tmp_path: Path) -> None:
    """C puts the id, and nothing else, into the clipboard."""
    async with driving(some(tmp_path)) as drive:
        await drive.press("j", "c")
        assert drive.app.clipboard == "29"


async def test_the_mouse_chooses_rows_and_tabs(tmp_path: Path) -> None:
    """A click goes to a row, a second one opens it; a click on a tab lists it."""
    async with driving(some(tmp_path)) as drive:
        await drive.pilot.click("#table", offset=(5, 3))
        await drive.settle()
        assert drive.screen.listing.cursor_id == 27
        await drive.pilot.click("#table", offset=(5, 3), times=2)
        await drive.settle()
        assert drive.screen.query_one("#detail").has_focus
        await drive.pilot.click("TabBar", offset=(12, 0))
        await drive.settle()
        assert drive.screen.view == 1


async def test_any_size_will_do(tmp_path: Path) -> None:
    """Resizing in a storm, down to one cell and up again, breaks nothing."""
    async with driving(some(tmp_path)) as drive:
        for size in [(1, 1), (200, 60), (2, 50), (300, 3), (10, 10), (80, 24), (1, 1), (120, 40)]:
            await drive.pilot.resize_terminal(*size)
            await drive.press("j", "enter", "slash", "a", "escape", "escape")
        assert "task 30" in drive.text()


HOSTILE = [
    "[/]",
    "[@click=app.quit]x[/]",
    "[bold red]",
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "\x9b2J",
    "\u202egpj.exe",
    "a\u200b\u2028b",
    "日本語 👨‍👩‍👧 ❤️ é",
    "x" * 10_000,
    "",
    "\n\n\n",
]


@pytest.mark.parametrize("evil", HOSTILE)
async def test_hostile_text_is_only_text(tmp_path: Path, evil: str) -> None:
    """Names, kinds, keys, errors, reasons and outputs are shown without being obeyed, wherever
    they are shown."""
    error = ErrorInfo(evil, evil, evil, (evil,), (ErrorInfo(evil, evil),), ())
    everywhere = {"name": evil, "kind": evil, "key": evil, "tags": (evil,), "reason": evil}
    rows = [
        task(1, State.FAILED, error=error, late=evil, arguments=evil, handle=evil, **everywhere),
        task(2, State.SUCCEEDED, **everywhere),
    ]
    path = write(tmp_path / "a.db", rows, {2: f'"{evil}"'})
    async with driving(path, size=(200, 60)) as drive:
        for keys in [["g"], ["j"], ["enter", "enter"], ["escape", "question_mark"]]:
            await drive.press(*keys)
            assert drive.app.is_running
            for strip in drive.app.screen._compositor.render_strips():
                assert strip.text.isprintable()
                assert not [s for s in strip if s.style and s.style.meta.get("@click")]
                assert not [s for s in strip if s.style and s.style.link]


async def test_a_hostile_filter_is_only_text(tmp_path: Path) -> None:
    """What is pasted into the filter is harmless too."""
    from textual import events

    async with driving(some(tmp_path)) as drive:
        await drive.press("slash")
        drive.app.post_message(events.Paste("\x1b[2J[/]\u202e[@click=app.quit]x"))
        await drive.settle()
        assert drive.screen.filter.text == "␛[2J[/]�[@click=app.quit]x"
        assert "No task matches ␛[2J[/]�" in drive.text()
