"""What can be typed after ``:`` — a task's number, a tab's name, an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine import CrecheError

from .views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP: Final = "a task's number, a tab (failed, running…), sort age, quit, help"


class GoTo(NamedTuple):
    """A place to go to: exactly one of them is given."""

    task_id: int | None = None
    view: int | None = None
    newest_first: bool | None = None
    action: str | None = None
    """An action of the screen."""


class NoSuchPlace(CrecheError):
    """Nothing is called like that."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"nowhere to go by {text[:40]!r}: type {HELP}")


_ORDERS: Final[Mapping[str, bool]] = {"age": True, "id": True, "-age": False, "-id": False}
"""Youngest first, and turned round; tasks are numbered in the order of submission."""

_ACTIONS: Final[Mapping[str, str]] = {
    "q": "app.quit",
    "quit": "app.quit",
    "help": "help",
    "?": "help",
}


def parse_goto(text: str) -> GoTo:
    """Understand what was typed.

    Args:
        text: ``42``, ``task 42``, ``#42``, a tab's word or the beginning of it, ``sort age``,
            ``sort -age``, ``quit``, ``help``.

    Raises:
        NoSuchPlace: It is none of them.
    """
    words = text.strip().lower().split()
    last = words[-1] if words else ""
    number = last.removeprefix("#")
    if number.isascii() and number.isdigit() and words[:-1] in ([], ["task"]):
        return GoTo(task_id=min(int(number[:20]), 2**63 - 1))
    if words[:1] == ["sort"] and len(words) == 2 and last in _ORDERS:
        return GoTo(newest_first=_ORDERS[last])
    if len(words) == 1:
        if last in _ACTIONS:
            return GoTo(action=_ACTIONS[last])
        for number_of_view, view in enumerate(VIEWS):
            if view.word.startswith(last) or last in view.states:
                return GoTo(view=number_of_view)
    raise NoSuchPlace(text.strip())
