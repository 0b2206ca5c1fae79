"""The dashboard's application: one screen, its colours, and how it leaves the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App, SystemCommand
from textual.binding import Binding

from engine import Query, find_store

from .feed import Feed
from .leaving import leaving_on_signals
from .link import Link
from .listing import Listing
from .screens.tasks import TasksScreen
from .source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import BindingType
    from textual.command import Provider
    from textual.screen import Screen

    from .ports import Connect, Control

NO_TERMINAL: Final = 2


def _key_commands() -> type[Provider]:
    """Loaded when the palette is opened: the first frame should not wait for it."""
    from .palette import KeyCommands

    return KeyCommands


class Dashboard(App[None], inherit_bindings=False):
    """Shows the tasks of one store.

    Args:
        source: Where rows come from.
        link: The line to the engine.
        clock: Monotonic seconds.
        wall: Seconds since the epoch.
    """

    TITLE = "creche"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = App.COMMANDS | {
        _key_commands
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True),
    ]

    def __init__(
        self,
        source: Source,
        link: Link,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._source, self._link = source, link
        self._clock, self._wall = clock, wall

    def get_default_screen(self) -> Screen[None]:
        """The one screen."""
        listing = Listing(Query.everything())
        feed = Feed(self._source, listing, self._link, clock=self._clock, wall=self._wall)
        return TasksScreen(
            self._source, listing, feed, self._link, clock=self._clock, wall=self._wall
        )

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002 - Textual's signature
        """What the palette offers beside the keys."""
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save this screen as SVG", self.deliver_screenshot)

    def leave(self, number: int) -> None:
        """End because of a signal."""
        self.exit(return_code=128 + number)

    async def on_unmount(self) -> None:
        """Let go of the store and of the engine."""
        await self._link.close()
        await self._source.close()


async def _run(app: Dashboard) -> None:
    with leaving_on_signals(app.leave):
        await app.run_async()


def run_dashboard(
    path: Path | None, control: Control | None = None, *, connect: Connect | None = None
) -> int:
    """Show the dashboard until it is left.

    Args:
        path: The store; None for the one that ``CRECHE_STORE`` or the platform names. It need not
            exist yet.
        control: A line to its engine; None to use the one that the store names.
        connect: Makes a control from a socket's path; None for HTTP over it.

    Returns:
        The exit status: 0, 2 where there is no terminal, 128 + n after signal n.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        sys.stderr.write(
            "creche dash: it needs a terminal; 'creche ls' and 'creche stats' do not\n"
        )
        return NO_TERMINAL
    if connect is None:
        from .control import AsyncControl

        connect = AsyncControl
    store = find_store(None, os.environ) if path is None else path
    app = Dashboard(Source(store), Link(connect, control))
    asyncio.run(_run(app))
    return app.return_code or 0
