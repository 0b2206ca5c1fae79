"""Drives the dashboard without a terminal, and waits for what it shows instead of for time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widgets._footer import FooterKey

from tests.tui.stores import NOW
from tui.app import Dashboard
from tui.link import Link
from tui.screens.tasks import TasksScreen
from tui.source import Source

if TYPE_CHECKING:
    from textual.pilot import Pilot
    from textual.widget import Widget

    from tests.tui.fakes import FakeControl


def dashboard(path: Path, control: FakeControl | None = None) -> Dashboard:
    """A dashboard whose clocks stand still at `NOW`."""
    return Dashboard(Source(path), Link(None, control), clock=lambda: 50.0, wall=lambda: NOW)


class Driver:
    """Presses keys and reads the screen."""

    def __init__(self, app: Dashboard, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> TasksScreen:
        """The main screen, also while another one covers it."""
        found = next(screen for screen in self.app.screen_stack if isinstance(screen, TasksScreen))
        assert isinstance(found, TasksScreen)
        return found

    async def press(self, *keys: str) -> None:
        """Press keys, and let everything that they set going come to its end."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Let the feed make a step after all that has happened by now."""
        for _ in range(2):
            stepped = asyncio.ensure_future(self.screen.feed.stepped())
            await asyncio.sleep(0)
            self.screen.feed.wake()
            await asyncio.wait_for(stepped, 20)
            await self.pilot.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        """Step on until something holds."""
        async with asyncio.timeout(20):
            while not holds():
                await self.settle()

    def lines(self) -> list[str]:
        """What stands on the screen."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        assert len(lines) == height
        assert {strip.cell_length for strip in lines} <= {width}
        return [strip.text for strip in lines]

    def text(self, widget: Widget | None = None) -> str:
        """What stands on the screen, or in a widget's part of it, as one text."""
        lines = self.lines()
        if widget is not None:
            x, y, width, height = widget.region
            lines = [line[x : x + width] for line in lines[y : y + height]]
        return "\n".join(lines)

    def rows(self) -> list[str]:
        """The table's lines, without its scroll bar."""
        return [line[:-2] for line in self.text(self.screen.table).split("\n")]

    def offered(self) -> set[str]:
        """The keys in the footer."""
        return {key.key_display for key in self.app.screen.query(FooterKey)}


@asynccontextmanager
async def driving(
    path: Path,
    control: FakeControl | None = None,
    *,
    size: tuple[int, int] = (120, 40),
) -> AsyncIterator[Driver]:
    """Run a dashboard on a store, until the block is left."""
    app = dashboard(path, control)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.settle()
        yield driver
