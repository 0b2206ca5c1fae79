"""What the table shows."""

from __future__ import annotations

from engine import Query, State
from tests.tui.stores import NOW, task
from tui.listing import Listing, Touched

EVERYTHING = Query.everything()
RUNNING = Query.parse("state:running")


def listing_of(ids: list[int], query: Query = EVERYTHING) -> Listing:
    listing = Listing(query)
    listing.take_ids(sorted(ids, reverse=True), 0)
    listing.take_rows(task(task_id) for task_id in ids)
    return listing


def shown(listing: Listing) -> list[int | None]:
    return [listing.id_at(row) for row in range(listing.height)]


def test_newest_first_then_oldest_first() -> None:
    """Turning the order round keeps the cursor on its task."""
    listing = listing_of([1, 2, 3, 4])
    listing.move_to(1)
    assert (shown(listing), listing.cursor_id) == ([4, 3, 2, 1], 3)
    listing.reverse()
    assert (shown(listing), listing.cursor_id, listing.cursor_row) == ([1, 2, 3, 4], 3, 2)


def test_the_cursor_belongs_to_its_task() -> None:
    """New rows above do not move the cursor to another task."""
    listing = listing_of([1, 2, 3])
    listing.move_to(2)
    assert listing.take_changes([task(4), task(5)], NOW) == Touched(frozenset(), moved=True)
    assert (listing.cursor_id, listing.cursor_row) == (1, 4)


def test_when_its_task_leaves_the_cursor_stays_in_its_line() -> None:
    """A task that no longer matches hands the cursor to the one that takes its line."""
    listing = listing_of([1, 2, 3], RUNNING)
    listing.move_to(1)
    listing.take_changes([task(2, State.SUCCEEDED)], NOW)
    assert (shown(listing), listing.cursor_id, listing.cursor_row) == ([3, 1], 1, 1)
    listing.take_changes([task(1, State.SUCCEEDED)], NOW)
    assert (shown(listing), listing.cursor_id) == ([3], 3)


def test_a_changed_row_is_touched_only_when_it_reads_differently() -> None:
    """The same snapshot again touches nothing; rows that are not at hand touch nothing."""
    listing = listing_of([1, 2])
    assert listing.take_changes([task(1)], NOW) == Touched(frozenset(), moved=False)
    assert listing.take_changes([task(1, State.RUNNING)], NOW) == Touched(
        frozenset({1}), moved=False
    )


def test_the_old_rows_stay_until_the_new_ones_are_there() -> None:
    """Listing something else never shows an empty frame in between."""
    listing = listing_of([1, 2, 3])
    listing.begin(RUNNING)
    assert (shown(listing), listing.scanning) == ([3, 2, 1], True)
    assert listing.take_ids([2], 0).moved
    assert (shown(listing), listing.scanning, listing.complete) == ([2], False, True)


def test_a_rescan_shows_nothing_until_it_is_through() -> None:
    """The rows of now stay whole while the ids are read again, and changes reach both."""
    listing = listing_of([1, 2, 3])
    listing.rescan()
    assert not listing.take_ids([3], 3).moved
    listing.take_changes([task(9)], NOW)
    assert shown(listing) == [9, 3, 2, 1]
    assert listing.take_ids([1], 0).moved
    assert shown(listing) == [9, 3, 1]


def test_room_is_made_for_what_the_counters_promise() -> None:
    """While the scan is under way the height is the expected one; lines ahead of it are blank."""
    listing = Listing(EVERYTHING)
    listing.estimate = 1000
    listing.take_ids([9, 8], 8)
    assert (listing.height, listing.id_at(1), listing.id_at(2)) == (1000, 8, None)
    listing.take_ids([], 0)
    assert listing.height == 2


def test_deleted_tasks_leave_rows_and_marks() -> None:
    """A task that exists no more is nowhere any more."""
    listing = listing_of([1, 2, 3])
    listing.mark_all()
    assert listing.take_rows([], gone=[2]).moved
    assert (shown(listing), listing.marks) == ([3, 1], {1, 3})


def test_marking_all_twice_marks_none() -> None:
    """Marks elsewhere stay as they are."""
    listing = listing_of([1, 2])
    listing.toggle_mark(7)
    listing.mark_all()
    assert listing.marks == {1, 2, 7}
    listing.mark_all()
    assert listing.marks == {7}


def test_missing_rows_are_those_not_at_hand() -> None:
    """Only lines with a known task and no snapshot are asked for."""
    listing = listing_of([1, 2])
    listing.take_changes([task(5)], NOW)
    assert listing.missing(-3, 10) == [5]


def test_time_alone_matters_only_to_ages() -> None:
    """A query on the age must be asked again as time goes by; a word that sounds alike need not."""
    assert Listing(Query.parse("age>5m")).timed
    assert not Listing(Query.parse("message state:running")).timed


def test_an_older_sample_does_not_turn_the_polls_back() -> None:
    """What the engine said is not undone by the file, which has it some seconds later."""
    listing = listing_of([])
    listing.take_rows([task(2, State.POLLING, polls=9)])
    assert listing.take_rows([task(2, State.POLLING, polls=4)]) == Touched(frozenset(), moved=False)
    assert listing.take_rows([task(2, State.SUCCEEDED, polls=9, revision=3)]).ids == {2}
