"""The table of tasks: draws the lines that are on the screen, whatever the number of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .columns import GUTTER, layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.binding import BindingType

    from engine import TaskSnapshot

    from ..listing import Listing, Touched
    from .columns import Column

ROLES = ("text", "muted", "primary", "secondary", "accent", "success", "warning", "error")


class TaskTable(ScrollView, can_focus=True, inherit_bindings=False):
    """The tasks of a listing; the cursor moves in it.

    Args:
        listing: What is shown.
        wall: Seconds since the epoch, for ages.
    """

    ALLOW_SELECT = False

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"table--{role}" for role in ROLES} | {
        "table--cursor",
        "table--marked",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("g,home", "first", "First row", show=False),
        Binding("G,end", "last", "Last row", show=False),
    ]

    class Looked(Message):
        """Other lines are on the screen now."""

        def __init__(self, first: int, last: int) -> None:
            super().__init__()
            self.first = first
            self.last = last

    class Moved(Message):
        """The cursor is on another task."""

    class Opened(Message):
        """A row was clicked twice."""

    def __init__(self, listing: Listing, wall: Callable[[], float], *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self.listing = listing
        self.follow = False
        """While True the view moves so that the cursor's row stays on the screen."""
        self.asked: frozenset[int] = frozenset()
        """Tasks that a cancel was asked for, and the answer is not there yet."""
        self._wall = wall
        self._columns: list[Column] = []
        self._layout_of = (-1, -1)
        self._top_id: int | None = None
        self._told: int | None = None
        self._styles: dict[tuple[str, bool], Style] = {}

    # -- what changed ----------------------------------------------------------------------------

    def update(self, touched: Touched) -> None:
        """Draw again what the change touches, if it is on the screen."""
        if touched.moved:
            self.relist()
        elif touched.ids:
            for row in self._sight():
                if self.listing.id_at(row) in touched.ids:
                    self.refresh_line(row)
        self._tell_cursor()

    def relist(self) -> None:
        """Rows came or went: keep the line at the top of the screen where it was."""
        top = None if self.scroll_offset.y == 0 else self._top_id
        self.virtual_size = Size(self.scrollable_content_region.width, self.listing.height)
        row = None if top is None else self.listing.row_of(top)
        if row is not None:
            self.scroll_to(y=row, animate=False, force=True)
        if self.follow:
            self._show_cursor()
        self.refresh()
        self._tell_sight()

    def tick(self) -> None:
        """A second has passed: ages and running times read differently."""
        if self.listing.matched:
            self.refresh()

    def notify_style_update(self) -> None:
        """Forget the colours of the theme before."""
        self._styles.clear()
        super().notify_style_update()

    def on_mount(self) -> None:
        """Take the first rows."""
        super().on_mount()  # type: ignore[no-untyped-call] # Textual gives it no hints
        self.relist()

    def on_resize(self) -> None:
        """Fit to the new size, the cursor in sight."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.listing.height)
        self._show_cursor()
        self._tell_sight()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other lines are in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._tell_sight()

    # -- the cursor ------------------------------------------------------------------------------

    def go(self, row: int) -> None:
        """Put the cursor on a line, and that line on the screen."""
        before = self.listing.cursor_row
        self.listing.move_to(row)
        self.refresh_line(before)
        self.refresh_line(self.listing.cursor_row)
        self._show_cursor()
        self._tell_cursor()

    def action_move(self, lines: int) -> None:
        """Move the cursor by lines."""
        self.go(self.listing.cursor_row + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what fits on the screen."""
        self.go(self.listing.cursor_row + pages * max(1, self._lines - 1))

    def action_first(self) -> None:
        """Go to the first line."""
        self.go(0)

    def action_last(self) -> None:
        """Go to the last line that is known."""
        self.go(self.listing.matched - 1)

    def on_click(self, event: events.Click) -> None:
        """Go to the row under the mouse; twice opens it."""
        self.go(event.y + self.scroll_offset.y)
        if event.chain == 2:
            self.post_message(self.Opened())

    @property
    def _lines(self) -> int:
        return self.scrollable_content_region.height

    def _sight(self) -> range:
        first = self.scroll_offset.y
        return range(first, min(first + self._lines, self.listing.height))

    def _show_cursor(self) -> None:
        row, first, lines = self.listing.cursor_row, self.scroll_offset.y, self._lines
        if row < first:
            self.scroll_to(y=row, animate=False, force=True)
        elif row >= first + lines > 0:
            self.scroll_to(y=row - lines + 1, animate=False, force=True)

    def _tell_sight(self) -> None:
        sight = self._sight()
        self._top_id = self.listing.id_at(sight.start)
        # A screen more in each direction, so that scrolling finds its rows at hand.
        self.post_message(self.Looked(max(0, sight.start - self._lines), sight.stop + self._lines))

    def _tell_cursor(self) -> None:
        if self._told != self.listing.cursor_id:
            self._told = self.listing.cursor_id
            self.post_message(self.Moved())

    # -- drawing ---------------------------------------------------------------------------------

    def columns(self) -> list[Column]:
        """The columns as they are laid out for the present width."""
        top = max(self.listing.id_at(0) or 0, self.listing.id_at(self.listing.matched - 1) or 0)
        wanted = (self.scrollable_content_region.width - GUTTER, len(str(top)))
        if wanted != self._layout_of:
            self._layout_of = wanted
            self._columns = layout(wanted[0], top)
        return self._columns

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        row = y + self.scroll_offset.y
        if row >= self.listing.height:
            return Strip.blank(width, self._style("text", cursor=False))
        task_id = self.listing.id_at(row)
        task = None if task_id is None else self.listing.rows.get(task_id)
        cursor = row == self.listing.cursor_row
        marked = task_id in self.listing.marks
        segments = [
            Segment("▌" if cursor else " ", self._style("primary", cursor=cursor)),
            Segment("●" if marked else " ", self._style("marked", cursor=cursor)),
        ]
        if task is None:
            waiting = "·" if task_id is None else f"{task_id} ·"
            segments.append(Segment(f" {waiting}", self._style("muted", cursor=cursor)))
        else:
            segments.extend(self._cells(task, cursor=cursor))
        return Strip(segments).adjust_cell_length(width, self._style("text", cursor=cursor))

    def _cells(self, task: TaskSnapshot, *, cursor: bool) -> list[Segment]:
        blank = Segment(" ", self._style("text", cursor=cursor))
        now, segments = self._wall(), list[Segment]()
        for column in self.columns():
            if segments:
                segments.append(blank)
            cell = column.draw(task, now)
            if column.title == "state" and task.id in self.asked and not task.state.final:
                cell = cell._replace(text=column.fit("◌ asked…"), role="warning")
            segments.append(Segment(cell.text, self._style(cell.role, cursor=cursor)))
        return segments

    def _style(self, role: str, *, cursor: bool) -> Style:
        style = self._styles.get((role, cursor))
        if style is None:
            style = self.get_component_rich_style(f"table--{role}")
            if cursor:
                over = self.get_component_rich_style("table--cursor")
                # The cursor gives the ground; words keep their colour.
                style += Style(bgcolor=over.bgcolor, bold=over.bold, reverse=over.reverse)
            self._styles[role, cursor] = style
        return style
