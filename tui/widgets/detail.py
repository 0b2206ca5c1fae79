"""The pane beside the table: all about the task under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine import CrecheError, State

from .story import tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from engine import TaskSnapshot


class Detail(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Follows the cursor; shows overview, timeline, error and output, one below the other.

    Args:
        read_output: Gives the JSON text of a succeeded task's output; raises a CrecheError
            that says why there is none.
        wall: Seconds since the epoch.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "Down", show=False),
        Binding("k,up", "scroll_up", "Up", show=False),
        Binding("g,home", "scroll_home", "To the top", show=False),
        Binding("G,end", "scroll_end", "To the end", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
    ]

    def __init__(
        self,
        read_output: Callable[[int], Awaitable[str]],
        wall: Callable[[], float],
        *,
        id: str,  # noqa: A002 - Textual's own name for it
    ) -> None:
        super().__init__(id=id)
        self._read = read_output
        self._wall = wall
        self._body = Static(Content(""))
        self._shown: TaskSnapshot | None = None
        self._output: str | None = None
        self._asked: int | None = None

    def compose(self) -> ComposeResult:
        """One text, as long as it needs to be."""
        yield self._body

    def show(self, task: TaskSnapshot | None) -> None:
        """Show a task, None for none. Its output is read when the pane is in sight."""
        before, self._shown = self._shown, task
        if task is None or before is None or task.id != before.id:
            self._output = self._asked = None
            self.scroll_home(animate=False)
        if not self.display:
            return
        if task is not None and task.state is State.SUCCEEDED and self._asked != task.id:
            self._asked = task.id
            self._fetch(task.id)
        self.tick()

    def tick(self) -> None:
        """Tell it again: time has passed, or the output has come."""
        task = self._shown
        if task is None:
            self._body.update(Content.styled("No task is selected.", "$foreground-muted"))
        else:
            width = self.scrollable_content_region.width
            self._body.update(tell(task, self._output, self._wall(), width))

    def on_resize(self) -> None:
        """The timeline's bars take the room there is."""
        self.tick()

    @work(exclusive=True)
    async def _fetch(self, task_id: int) -> None:
        try:
            text = await self._read(task_id)
        except CrecheError as error:
            text = str(error)  # it says why there is none, and names the task
        if self._shown is not None and self._shown.id == task_id:
            self._output = text
            self.tick()
