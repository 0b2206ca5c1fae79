"""The seven tabs: groups of states that people ask for together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine import Query, State

if TYPE_CHECKING:
    from collections.abc import Mapping


class View(NamedTuple):
    """One tab."""

    word: str
    states: tuple[State, ...]
    """The states in it; none means all."""

    @property
    def query(self) -> str:
        """The tab as a term of the query grammar, "" for all."""
        return f"state:{','.join(self.states)}" if self.states else ""

    def count(self, counts: Mapping[State, int]) -> int:
        """How many tasks the tab holds."""
        return sum(counts.get(state, 0) for state in self.states or State)


VIEWS: Final = (
    View("all", ()),
    View("queued", (State.WAITING, State.QUEUED)),
    View("running", (State.RUNNING, State.CANCELLING)),
    View("polling", (State.POLLING,)),
    View("done", (State.SUCCEEDED,)),
    View("failed", (State.FAILED, State.TIMED_OUT, State.LOST)),
    View("cancelled", (State.CANCELLED,)),
)
"""In the order of the keys 1 to 7."""

ALL: Final = 0
ERRORS: Final = 5
"""Where `x` goes: everything that ended badly."""


def read_query(view: View, typed: str) -> Query:
    """The tab and what was typed into the filter, as one query.

    Args:
        view: The tab.
        typed: A query of the user's; a last term that is not complete yet is left out.

    Raises:
        BadQuery: ``typed`` is no query; the error marks the bad part of it.
    """
    complete = Query.parse(typed, lenient=True)
    return Query.parse(" ".join(part for part in (view.query, complete.text.strip()) if part))
