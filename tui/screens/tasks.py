"""The main screen: status, tabs, filter, the table of tasks and the pane beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.containers import Container, Vertical
from textual.widgets import Footer

from ..cancelling import cancel_all
from ..live import freshened
from ..pane import Extent, Pane
from ..text import count, safe_text
from ..views import ALL, VIEWS
from ..widgets.banner import Banner, warning
from ..widgets.counters import Counters
from ..widgets.detail import Detail
from ..widgets.empty import Empty, advice
from ..widgets.status import StatusLine, parts
from ..widgets.table import TaskTable
from ..widgets.tabs import TabBar
from .base import ListingScreen
from .help import Help, entries
from .keys import FILTER_NOTES, KEYS, MUTATING, TYPING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from engine import TaskSnapshot

    from ..feed import Feed
    from ..link import Link
    from ..listing import Listing, Touched
    from ..source import Source

SHOW_EVERY = 0.5
TICK_EVERY = 1.0


class TasksScreen(ListingScreen):
    """Tasks, live.

    Args:
        source: Reads outputs.
        listing: What the table shows.
        feed: Keeps the listing up to date; run by this screen.
        link: The line to the engine; run by this screen.
        clock: Monotonic seconds.
        wall: Seconds since the epoch.
    """

    BINDINGS = KEYS

    def __init__(
        self,
        source: Source,
        listing: Listing,
        feed: Feed,
        link: Link,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        super().__init__(listing, feed, wall)
        self._path, self._link, self._clock = source.path, link, clock
        self._pane = Pane()
        self._frozen_at = 0
        self._commands = False
        self._empty = Empty(id="empty")
        self._detail = Detail(source.output, wall, id="detail")
        self._status = StatusLine(safe_text(str(source.path)))
        self._counters, self._tabs, self._banner = Counters(), TabBar(), Banner()

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self._status
        yield self._counters
        yield self._tabs
        yield self._banner
        yield self.filter
        yield self.goto
        with Container(id="body"):
            with Vertical(id="list"):
                yield self.heads
                yield self.table
                yield self._empty
            yield self._detail
        yield Footer()

    async def on_mount(self) -> None:
        """Read enough for a first frame that is not blank, then keep reading."""
        self.feed.look_at(0, self.app.size.height)
        await self.feed.step()
        self.set_focus(self.table)
        self.show()
        self.run_worker(self.feed.run(self._take), group="feed")
        self.run_worker(self._link.run(), group="link")
        self.set_interval(SHOW_EVERY, self.show)
        self.set_interval(TICK_EVERY, self._tick)

    # -- what comes in ---------------------------------------------------------------------------

    def _take(self, touched: Touched) -> None:
        self.table.update(touched)
        if touched.moved or self.listing.cursor_id in touched.ids:
            self._tell_task()
        self.show()

    def _tick(self) -> None:
        self.table.tick()
        task = self.listing.selected
        if self._detail.display and task is not None and not task.state.final:
            self._detail.tick()
            if self._link.commands:
                self._look(task)

    @work(exclusive=True, group="look")
    async def _look(self, task: TaskSnapshot) -> None:
        """The file has looks at a polling task some seconds late: ask the engine for this one."""
        answer = await self._link.look(task.id)
        if answer is not None:
            self.table.update(self.listing.take_rows([freshened(task, answer)]))
            self._tell_task()

    @on(TaskTable.Moved)
    def _tell_task(self) -> None:
        self._detail.show(self.listing.selected)

    def show(self) -> None:
        """Bring everything but the rows up to date."""
        super().show()
        pulse, contact = self.feed.pulse, self._link.contact
        self._status.show(parts(pulse, contact, self._link.facts, self._clock()))
        self._counters.show(pulse.counts)
        self._tabs.show(self.view, pulse.counts, self._notes())
        self._banner.show(warning(pulse, contact, self.wall()))
        self._show_emptiness()
        if self._commands != self._link.commands:
            self._commands = self._link.commands
            if not self._commands:
                self.listing.marks.clear()
                self.table.refresh()
            self.refresh_bindings()

    def _notes(self) -> list[tuple[str, str]]:
        notes: list[tuple[str, str]] = []
        if self.listing.marks:
            notes.append((f"● {count(len(self.listing.marks))} marked", "$text-warning bold"))
        if self.feed.frozen:
            new = max(0, self.feed.pulse.total - self._frozen_at)
            notes.append((f"❚❚ frozen +{count(new)} new", "$text-warning bold"))
        if self.table.follow:
            notes.append(("follow", "$text-accent"))
        return notes

    def _show_emptiness(self) -> None:
        listing, pulse = self.listing, self.feed.pulse
        # Without a filter the counters say how many rows there will be, before they are read.
        listing.estimate = 0 if self.filter.text else VIEWS[self.view].count(pulse.counts)
        empty = not listing.height and (listing.complete or not pulse.total)
        if empty:
            view = "" if self.view == ALL else VIEWS[self.view].word
            words = advice(self._path, pulse, filter_text=self.filter.text, view=view)
            self._empty.show(*words)
        if self._empty.display != empty:
            focused = self.table.has_focus or self.focused is None
            self._empty.display = empty
            self.heads.display = self.table.display = not empty
            if focused and not empty:
                self.set_focus(self.table)

    # -- the pane --------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Beside the table where there is room, else below it."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        self._pane.fit(width, height)
        extent = self._pane.extent
        self.set_class(self._pane.beside, "-beside")
        self.set_class(extent is Extent.FULL, "-full")
        self.set_class(height < 12, "-low")
        self._detail.display = extent is not Extent.CLOSED
        if extent is Extent.FULL:
            self.set_focus(self._detail)
        elif extent is Extent.CLOSED:
            self.set_focus(self.table)
        self._tell_task()

    @on(TaskTable.Opened)
    def action_open(self) -> None:
        """Show the pane and go there; from there, make it as large as the screen."""
        if self.listing.cursor_id is None:
            return
        if self._pane.extent is Extent.CLOSED or self._detail.has_focus:
            self._pane.resize(1)
        self._arrange()
        self.set_focus(self._detail)

    def action_pane(self, steps: int) -> None:
        """Make the pane larger or smaller."""
        self._pane.resize(steps)
        self._arrange()

    # -- keys ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What changes tasks is there only while an engine answers."""
        if action in MUTATING and not self._link.commands:
            return False
        if action in TYPING and (self.filter.typing or self.goto.typing):
            return False
        return super().check_action(action, parameters)

    def action_freeze(self) -> None:
        """Let the view stand still while the work goes on."""
        self.feed.freeze(on=not self.feed.frozen)
        self._frozen_at = self.feed.pulse.total
        self.show()

    def action_mark(self) -> None:
        """Mark the task under the cursor, or take its mark away."""
        if self.listing.cursor_id is not None:
            self.listing.toggle_mark(self.listing.cursor_id)
            self.table.action_move(1)
            self._marked()

    def action_mark_all(self) -> None:
        """Mark every task that matches, or none."""
        self.listing.mark_all()
        self._marked()

    def _marked(self) -> None:
        self.table.refresh()
        self.show()

    def action_back(self) -> None:
        """Back out one step."""
        if self.back_to_table():
            pass
        elif self._pane.back():
            self._arrange()
        elif self._detail.has_focus:
            self.set_focus(self.table)
        elif self.listing.marks:
            self.listing.marks.clear()
            self._marked()
        else:
            self.back_to_all()
        self.show()

    def action_help(self) -> None:
        """Say which keys do what."""
        active = self.active_bindings.values()
        self.app.push_screen(Help(entries(active, self.app.get_key_display), FILTER_NOTES))

    # -- cancel ----------------------------------------------------------------------------------

    def action_cancel(self) -> None:
        """Cancel the task under the cursor at once, or the marked ones after a question."""
        marks = sorted(self.listing.marks)
        if marks:
            self._ask_and_cancel(marks)
        elif self.listing.cursor_id is not None:
            self._cancel([self.listing.cursor_id])

    @work
    async def _ask_and_cancel(self, ids: Sequence[int]) -> None:
        from .confirm import Confirm

        tasks = "1 marked task" if len(ids) == 1 else f"{count(len(ids))} marked tasks"
        rule = (
            "Tasks that have ended stay as they are. What runs in a thread cannot be stopped:"
            " it ends with its call."
        )
        if await self.app.push_screen_wait(Confirm(f"Cancel {tasks}?", rule)):
            self._cancel(ids)

    @work
    async def _cancel(self, ids: Sequence[int]) -> None:
        self.table.asked |= frozenset(ids)
        self.table.refresh()
        told = await cancel_all(self._link, ids, answered=self._answered, reason="dashboard")
        self.listing.marks -= set(ids) - told.failed.keys()
        self._marked()
        self.feed.wake()
        title = f"task {ids[0]}" if len(ids) == 1 else f"{count(len(ids))} tasks"
        self.say(told.sentence, title=title, severity="error" if told.failed else "information")

    def _answered(self, task_id: int) -> None:
        self.table.asked -= {task_id}
