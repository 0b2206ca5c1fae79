"""What is listed: the tabs, the filter, the order, and the places to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen

from engine import BadQuery

from ..goto import NoSuchPlace, parse_goto
from ..text import count, safe_block, safe_text
from ..views import ALL, ERRORS, VIEWS, read_query
from ..widgets.heads import Heads
from ..widgets.prompt import Prompt
from ..widgets.table import TaskTable
from ..widgets.tabs import TabBar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from ..feed import Feed
    from ..goto import GoTo
    from ..listing import Listing


class ListingScreen(Screen[None], inherit_bindings=False):
    """A screen around a listing, its table, and the two lines to type into.

    Args:
        listing: What the table shows.
        feed: Keeps the listing up to date.
        wall: Seconds since the epoch.
    """

    def __init__(self, listing: Listing, feed: Feed, wall: Callable[[], float]) -> None:
        super().__init__()
        self.listing, self.feed, self.wall = listing, feed, wall
        self.view = ALL
        self.table = TaskTable(listing, wall, id="table")
        self.heads = Heads(self.table)
        self.filter = Prompt("/", "name, state:failed, age>5m, -word …", id="filter")
        self.goto = Prompt(":", "42, failed, sort age …", id="goto")

    def show(self) -> None:
        """Bring everything but the rows up to date."""
        if self.filter.text and self.filter.good:
            more = "" if self.listing.complete else "+"
            self.filter.say(f"{count(self.listing.matched)}{more} match")

    def say(
        self,
        words: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
    ) -> None:
        """Say something in passing."""
        self.notify(safe_block(words), title=title, severity=severity, markup=False)

    def relist(self) -> None:
        """List what the tab and the filter say; a bad filter keeps the rows of before."""
        try:
            query = read_query(VIEWS[self.view], self.filter.text)
        except BadQuery as bad:
            self.filter.complain(safe_text(bad.problem), bad.start, bad.end)
            return
        self.filter.say("")
        if query != self.listing.query:
            self.listing.begin(query)
            self.feed.wake()
        self.show()

    # -- keys ------------------------------------------------------------------------------------

    def action_view(self, view: int) -> None:
        """List another tab."""
        self.view = view
        self.relist()

    def action_errors(self) -> None:
        """List errors only, or everything again."""
        self.action_view(ALL if self.view == ERRORS else ERRORS)

    def action_filter(self) -> None:
        """Type a filter."""
        self.goto.clear()
        self.filter.open()

    def action_goto(self) -> None:
        """Type a place to go to."""
        self.goto.say("")
        self.goto.open()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.listing.reverse()
        self.table.relist()
        self.table.go(self.listing.cursor_row)
        self.heads.refresh()

    def action_follow(self) -> None:
        """Keep the cursor's row on the screen, or not."""
        self.table.follow = not self.table.follow
        self.table.relist()
        self.show()

    def action_copy(self) -> None:
        """Copy the id of the task under the cursor."""
        if self.listing.cursor_id is not None:
            self.app.copy_to_clipboard(str(self.listing.cursor_id))
            self.say(f"copied {self.listing.cursor_id}")

    def action_to_rows(self) -> None:
        """Leave the line that is typed into as it is, and go to the table."""
        self.set_focus(self.table)

    def back_to_table(self) -> bool:
        """Leave the line that is typed into; False when there is none."""
        if self.goto.display:
            self.goto.clear()
        elif self.filter.typing:
            self.filter.clear()
        else:
            return False
        self.set_focus(self.table)
        return True

    def back_to_all(self) -> None:
        """Drop the filter, else the tab."""
        if self.filter.text:
            self.filter.clear()
        elif self.view != ALL:
            self.action_view(ALL)

    # -- what was typed --------------------------------------------------------------------------

    @on(Prompt.Typed, "#filter")
    def _filter_typed(self) -> None:
        self.relist()

    @on(Prompt.Entered, "#filter")
    def _filter_kept(self) -> None:
        if not self.filter.text.strip():
            self.filter.clear()
        self.set_focus(self.table)

    @on(Prompt.Entered, "#goto")
    def _goto_entered(self, event: Prompt.Entered) -> None:
        try:
            place = parse_goto(event.text)
        except NoSuchPlace as nowhere:
            self.goto.complain(safe_text(str(nowhere)), 0, len(event.text))
            return
        self.goto.clear()
        self.set_focus(self.table)
        self.go(place)

    def go(self, place: GoTo) -> None:
        """Go to a place."""
        if place.view is not None:
            self.action_view(place.view)
        elif place.newest_first is not None:
            if place.newest_first != self.listing.newest_first:
                self.action_reverse()
        elif place.task_id is not None:
            self._go_to_task(place.task_id)
        elif place.action is not None:
            self.call_later(self.run_action, place.action)

    def _go_to_task(self, task_id: int) -> None:
        if self.listing.select(task_id):
            self.table.go(self.listing.cursor_row)
            return
        narrowed = bool(self.filter.text) or self.view != ALL
        where = "listed here" if narrowed else "in this store"
        self.say(f"no task {task_id} is {where}", severity="warning")

    @on(TabBar.Chosen)
    def _tab_chosen(self, event: TabBar.Chosen) -> None:
        self.action_view(event.view)

    @on(TaskTable.Looked)
    def _looked(self, event: TaskTable.Looked) -> None:
        self.feed.look_at(event.first, event.last)
        self.heads.refresh()
