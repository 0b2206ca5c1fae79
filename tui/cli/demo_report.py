"""What a demo has to say in the end, from its rows alone: pure arithmetic, no promise kept by hope.

A task's own end is not seen directly: a polling task's output came between the last look that
found nothing and the one that found it. Figures that rest on this are given as intervals.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from engine import State

from ..text import LOOKS, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine import TaskSnapshot

_LABEL: Final = 15


def totals(tasks: int, counts: Mapping[State, int]) -> str:
    """The totals in words, for a grep too: ``3000 tasks: 2990 succeeded, 10 failed``."""
    parts = [f"{counts[state]} {LOOKS[state].word}" for state in LOOKS if counts.get(state)]
    return f"{tasks} {'task' if tasks == 1 else 'tasks'}: {', '.join(parts) or 'none'}"


class Interval(NamedTuple):
    """Seconds that a task's own work took, as far as could be seen."""

    least: float
    most: float

    def __str__(self) -> str:
        if self.most - self.least < 0.0005:
            return f"{self.most:.2f} s"
        return f"between {self.least:.2f} s and {self.most:.2f} s"


def observed(task: TaskSnapshot) -> Interval | None:
    """How long a succeeded task took; None when it is not known."""
    if task.state is not State.SUCCEEDED or task.duration is None:
        return None
    if task.polling_at is None or task.unready_for is None:
        return Interval(task.duration, task.duration)
    return Interval(min(task.unready_for, task.duration), task.duration)


class Report:
    """The figures of one demo.

    Args:
        tasks: Every row of the demo's store.
        outputs: JSON text of the outputs, by task; what is missing counts as wrong.
        expected: How many tasks were asked for.
    """

    def __init__(
        self, tasks: Sequence[TaskSnapshot], outputs: Mapping[int, str], expected: int
    ) -> None:
        self._tasks = tasks
        self._expected = expected
        self.counts: Counter[State] = Counter(task.state for task in tasks)
        self.right = sum(_is_right(task, outputs.get(task.id)) for task in tasks)

    @property
    def good(self) -> bool:
        """True when every task asked for has succeeded with the output that it must have."""
        return len(self._tasks) == self.counts[State.SUCCEEDED] == self.right == self._expected

    def lines(self) -> Iterator[str]:
        """The report; its last line is `totals`."""
        yield from self._table()
        yield self._row(
            "outputs",
            f"{count(self.right)} of {count(self._expected)} are 2 × the task's value",
        )
        yield from self._longest()
        yield from self._makespan()
        yield self._row("polls", f"{count(sum(task.polls for task in self._tasks))} looks in all")
        yield from self._lag()
        missing = self._expected - len(self._tasks)
        if missing:
            yield self._row("missing", f"{count(missing)} of {count(self._expected)} tasks")
        yield totals(len(self._tasks), self.counts)

    @staticmethod
    def _row(label: str, words: str) -> str:
        return f"{label:<{_LABEL}}{words}"

    def _table(self) -> Iterator[str]:
        states = [state for state in LOOKS if self.counts[state]]
        modes = Counter((task.shown_mode, task.state) for task in self._tasks)
        heads = [LOOKS[state].word for state in states]
        if not states:
            return
        yield self._row("mode", "  ".join(f"{head:>9}" for head in heads))
        for mode in sorted({mode for mode, _state in modes}):
            cells = [
                f"{count(modes[mode, state]):>{max(9, len(head))}}"
                for state, head in zip(states, heads, strict=True)
            ]
            yield self._row(mode, "  ".join(cells))

    def _longest(self) -> Iterator[str]:
        seen = [(took, task) for task in self._tasks if (took := observed(task)) is not None]
        if seen:
            took, task = max(seen, key=lambda pair: pair[0].most)
            yield self._row("longest task", f"{took} (task {task.id}, {task.mode})")

    def _makespan(self) -> Iterator[str]:
        ends = [task.finished_at for task in self._tasks if task.finished_at is not None]
        if ends:
            span = max(0.0, max(ends) - min(task.submitted_at for task in self._tasks))
            yield self._row("makespan", f"{span:.2f} s from the first submit to the last end")

    def _lag(self) -> Iterator[str]:
        lags = [
            took.most - took.least
            for task in self._tasks
            if task.polling_at is not None and (took := observed(task)) is not None
        ]
        if not lags:
            return
        p95 = statistics.quantiles(lags, n=20, method="inclusive")[-1] if len(lags) > 1 else lags[0]
        within = zip(
            ("half", "95 %", "all"), (statistics.median(lags), p95, max(lags)), strict=True
        )
        words = ", ".join(f"{share} within {seconds * 1000:.0f} ms" for share, seconds in within)
        yield self._row("detection lag", f"{words} ({count(len(lags))} polled)")
        yield self._row("", "interval estimate: counted from the last look that found nothing")


def _is_right(task: TaskSnapshot, output: str | None) -> bool:
    """True when the stored output is twice the value in the stored arguments."""
    if task.state is not State.SUCCEEDED or output is None or task.arguments is None:
        return False
    return bool(json.loads(output) == 2 * json.loads(task.arguments)["value"])
