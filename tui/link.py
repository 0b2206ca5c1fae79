"""The dashboard's line to the engine: who runs the store, does it answer, what does it say.

The owner row of the store names the control socket. An engine that ends, hangs, or starts again
under another socket is followed without being asked; only while one answers are there commands.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from .ports import ControlRefused, ControlUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine import Owner

    from .ports import Connect, Control

ASK_EVERY: Final = 1.0
"""Seconds between two questions for live facts."""


class Contact(Enum):
    """How the store's engine stands to us."""

    UNKNOWN = "connecting"
    """It lives and names a socket; it was not asked yet."""
    ANSWERS = "live"
    SILENT = "no answer"
    """It lives and names a socket, but does not answer."""
    NO_SOCKET = "read-only"
    """It lives, and offers no control socket."""
    ENDED = "stopped"
    """It has closed the store in good order."""
    DIED = "died"
    """It is gone, and did not close the store."""
    NEVER = "no engine"
    """No engine has ever run here, as far as the store says."""


class Facts(NamedTuple):
    """What only the engine's memory knows. None where it does not say."""

    slots_taken: int | None
    capacity: int | None
    zombies: int | None
    draining: bool
    uptime: float | None
    """Seconds."""


def read_facts(stats: Mapping[str, object]) -> Facts:
    """Take what is shown out of the documented JSON; what is missing or odd is None."""

    def number(name: str) -> int | None:
        value = stats.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    uptime = stats.get("uptime_ms")
    return Facts(
        slots_taken=number("slots_taken"),
        capacity=number("capacity"),
        zombies=number("zombies"),
        draining=stats.get("draining") is True,
        uptime=uptime / 1000 if isinstance(uptime, int | float) else None,
    )


class Link:
    """Follows the engine of a store.

    Args:
        connect: Makes a control for a socket's path; None leaves the dashboard read-only.
        control: A control to be used whatever the store says.
    """

    def __init__(self, connect: Connect | None, control: Control | None = None) -> None:
        self.contact = Contact.NEVER
        self.facts: Facts | None = None
        self._connect = connect
        self._given = control
        self._control: Control | None = None
        self._known: tuple[int, str | None] | None = None
        self._news = asyncio.Event()

    @property
    def commands(self) -> bool:
        """True while an engine answers, so that tasks can be cancelled."""
        return self.contact is Contact.ANSWERS

    async def follow(self, owner: Owner | None) -> None:
        """Take the owner row that was read last."""
        if owner is None or not owner.alive:
            await self._hang_up()
            dead = Contact.ENDED if owner is not None and owner.clean else Contact.DIED
            self.contact = Contact.NEVER if owner is None else dead
            return
        if (known := (owner.epoch, owner.endpoint)) == self._known:
            return
        await self._hang_up()
        self._known = known
        self._control = self._given
        if self._control is None and self._connect is not None and owner.endpoint is not None:
            self._control = self._connect(owner.endpoint)
        self.contact = Contact.NO_SOCKET if self._control is None else Contact.UNKNOWN
        self._news.set()

    def ask_now(self) -> None:
        """Ask for live facts without waiting for the second to pass."""
        self._news.set()

    async def run(self) -> None:
        """Ask for live facts once a second, for ever."""
        while True:
            control = self._control
            if control is not None:
                await self._ask(control)
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), ASK_EVERY)
            except TimeoutError:
                continue

    async def cancel(self, task_id: int, reason: str | None = None) -> Mapping[str, object]:
        """Ask the engine to end a task. Raises ControlUnreachable, ControlRefused."""
        if self._control is None:
            raise ControlUnreachable("this store", "it names no control socket")
        return await self._control.cancel(task_id, reason)

    async def look(self, task_id: int) -> Mapping[str, object] | None:
        """What the engine knows of a task at this moment; None when it does not say."""
        if self._control is None:
            return None
        try:
            return await self._control.task(task_id)
        except (ControlUnreachable, ControlRefused):
            return None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._hang_up()

    async def _ask(self, control: Control) -> None:
        try:
            facts: Facts | None = read_facts(await control.stats())
            contact = Contact.ANSWERS
        except ControlUnreachable:
            facts, contact = None, Contact.SILENT
        except ControlRefused:
            # It did answer, if only to say no: commands may well be taken.
            facts, contact = None, Contact.ANSWERS
        if control is self._control:
            self.facts, self.contact = facts, contact

    async def _hang_up(self) -> None:
        control, self._control = self._control, None
        self._known, self.facts = None, None
        if control is not None and control is not self._given:
            await control.aclose()
