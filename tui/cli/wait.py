"""``creche wait``: return when tasks have ended; the exit status is theirs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from engine import State, task_json

from ..text import duration, safe_text
from .exits import BadUsage, Exit
from .output import complain, say, say_json
from .place import JsonOption, StoreOption, no_engine, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine import Reader, TaskSnapshot

RESTART: Final = 10.0
"""Seconds that an engine may be away during a wait before nobody counts on it any more."""
_LOOK: Final = (0.02, 0.25)
"""Shortest and longest pause between two looks at the file, in seconds."""


def wait(
    *ids: Annotated[
        int, Parameter(name="ID", help="Numbers of the tasks.", validator=validators.Number(gte=1))
    ],
    timeout: Annotated[
        float | None,
        Parameter(
            help="Seconds to wait at most; then the exit status is 5.",
            validator=validators.Number(gte=0),
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = None,
) -> int:
    """Wait until tasks have ended; the exit status is 0 only when all have succeeded."""
    if not ids:
        raise BadUsage("which task? Give one id or more; see 'creche ls'")
    wanted = tuple(dict.fromkeys(ids))
    with opened(store) as reader:
        watch = Watch(reader, wanted, timeout)
        for task in watch:
            if not as_json:
                say(ending(task))
                sys.stdout.flush()
        last = [reader.get(task_id) for task_id in wanted]
        if as_json:
            now = time.time()
            say_json({"tasks": [task_json(task, now) for task in last]})
    if watch.trouble is not None:
        complain("wait", watch.trouble)
        return watch.status
    succeeded = all(task.state is State.SUCCEEDED for task in last)
    return Exit.OK if succeeded else Exit.NOT_SUCCEEDED


def ending(task: TaskSnapshot) -> str:
    """One line on how a task has ended, or that it cannot; harmless."""
    name = safe_text((task.name or task.kind)[:200])
    took = "" if task.duration is None else f" after {duration(task.duration)}"
    why = f": {safe_text(task.error.type[:200])}" if task.error and task.state.final else ""
    return f"{task.id}  {task.state}{took}  {name}{why}"


class Watch:
    """The tasks of a wait, each once, as they are answered.

    As for `Engine.wait`, a task is answered when it is final, and when it must end but its code
    is still executing (``cancelling``): that may last as long as the engine's process.

    Args:
        reader: An open reader.
        ids: The tasks.
        timeout: Seconds, None for ever.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.

    Raises:
        TaskNotFound: One of them does not exist (any more); raised while iterating.
    """

    def __init__(
        self,
        reader: Reader,
        ids: tuple[int, ...],
        timeout: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reader = reader
        self._ids = ids
        self._clock = clock
        self._sleep = sleep
        self._deadline = None if timeout is None else clock() + timeout
        self.trouble: str | None = None
        """Why the wait ended early; None when all were answered."""
        self.status = Exit.OK
        """The exit status that goes with it."""

    def __iter__(self) -> Iterator[TaskSnapshot]:
        left = list(self._ids)
        owner = self._reader.owner()
        seen_alive: float | None = None
        cursor: str | None = None
        pause = _LOOK[0]
        while True:
            newest = self._reader.cursor()
            if newest != cursor:
                cursor, pause = newest, _LOOK[0]
                for task in [self._reader.get(task_id) for task_id in left]:
                    if task.state.final or task.state is State.CANCELLING:
                        left.remove(task.id)
                        yield task
            if not left:
                return
            now = self._clock()
            owner = self._reader.owner()
            if owner is not None and owner.alive:
                seen_alive = now
            elif seen_alive is None or now - seen_alive >= RESTART:
                self._give_up(left, no_engine(owner), Exit.UNAVAILABLE)
                return
            if self._deadline is not None and now >= self._deadline:
                self._give_up(left, "the time is over", Exit.TIME_OVER)
                return
            until = pause if self._deadline is None else min(pause, self._deadline - now)
            self._sleep(until)
            pause = min(pause * 1.5, _LOOK[1])

    def _give_up(self, left: list[int], why: str, status: Exit) -> None:
        some = ", ".join(map(str, left[:5])) + (" …" if len(left) > 5 else "")
        self.trouble = f"{len(left)} of {len(self._ids)} still live ({some}): {why}"
        self.status = status
