"""Engines under test in virtual time, and the tasks that tests give them."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import trio

from engine import FINAL, Durability, Engine, Event, Reset, State, TaskSnapshot
from engine.history import is_path
from engine.testing import VirtualThreads
from tests.store.invariants import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from trio.testing import MockClock

WALL_AT_START = 1_700_000_000.0
PATIENCE = 30.0
"""Real seconds after which a body that nobody lets go gives up, so that no test hangs."""


class World:
    """One clock, one place for a store, and the engines opened on it one after the other."""

    def __init__(self, clock: MockClock, path: Path | None) -> None:
        self.clock = clock
        self.path = path
        self.threads = VirtualThreads(clock)
        self.engines: list[Engine] = []
        self.bodies_left_behind = False
        """Set by a test that leaves an engine while a body of it cannot end."""

    @property
    def durable(self) -> bool:
        """True when the engines keep their tasks in a file."""
        return self.path is not None

    def wall(self) -> float:
        """Wall time that goes on with the virtual one. From any thread."""
        return WALL_AT_START + self.clock.current_time()

    def engine(self, **options: Any) -> Engine:
        """A new engine in this world, not yet opened."""
        options.setdefault("rng", random.Random(7))
        options.setdefault("durability", Durability.NONE)
        options.setdefault("threads", self.threads)
        options.setdefault("wall", self.wall)
        engine = Engine(self.path, **options)
        self.engines.append(engine)
        return engine

    async def until(self, event: threading.Event) -> None:
        """Wait for something that a thread does; virtual time stands still meanwhile."""
        assert await self.threads.run_sync(event.wait, PATIENCE)

    def problems(self) -> list[str]:
        """What does not hold of the engines, now that they are closed, in words."""
        found = [problem for engine in self.engines for problem in self._problems_of(engine)]
        if self.path is not None and self.path.exists():
            found += broken(self.path)
        return found

    def _problems_of(self, engine: Engine) -> Iterable[str]:
        statistics = engine.statistics()
        taken = (statistics.slots_taken, statistics.coroutines, statistics.attempts)
        if taken != (0, 0, 0) and not self.bodies_left_behind:
            yield f"I7: slots, coroutines and attempts are {taken} after the end"
        moves: defaultdict[int, list[tuple[str, State | None, State]]] = defaultdict(list)
        last = 0
        for event in engine.reader().events("", limit=1_000_000):
            if not isinstance(event, Event):
                continue
            if event.epoch == engine.epoch and last and event.revision != last + 1:
                yield f"I8: revision {event.revision} follows {last}"
            last = event.revision
            moves[event.task_id].append((event.move, event.previous, event.state))
        for task_id, path in moves.items():
            if path[0][1] is None and not is_path(path):
                yield f"I2: task {task_id} went {path}"


class LateThreads:
    """Threads for the engine's lanes that are only there once `come` is set: until then every call
    of a task is on its way, and no code of it runs."""

    def __init__(self, world: World) -> None:
        self.come = trio.Event()
        self._threads = world.threads

    async def run_sync(
        self,
        sync_fn: Callable[..., Any],
        *args: object,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,
    ) -> Any:
        """As `trio.to_thread.run_sync`."""
        if sync_fn.__module__ == "engine.lanes":
            await self.come.wait()
        return await self._threads.run_sync(
            sync_fn, *args, limiter=limiter, abandon_on_cancel=abandon_on_cancel
        )


class Gate:
    """A blocking task that says when its body has begun, and ends when it is let go."""

    def __init__(self, output: object = "through", error: BaseException | None = None) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.calls = 0
        self._output = output
        self._error = error

    def __call__(self) -> object:
        self.calls += 1
        self.begun.set()
        assert self.open.wait(PATIENCE), "nobody let it go"
        if self._error is not None:
            raise self._error
        return self._output


class Script:
    """A polling task whose looks answer what the script says, one item a look, the last for ever:
    an exception is raised, all else returned."""

    def __init__(self, *looks: object, answer: object = None) -> None:
        self.looks_made = 0
        self.runs = 0
        self._looks = looks
        self._answer = answer

    def run(self) -> object:
        """Begin the script anew."""
        self.runs += 1
        self.looks_made = 0
        return self._answer

    def check_output(self) -> object:
        """The next item."""
        item = self._looks[min(self.looks_made, len(self._looks) - 1)]
        self.looks_made += 1
        if isinstance(item, BaseException):
            raise item
        return item


class Work:
    """A polling task that is ready so many virtual seconds after run()."""

    def __init__(self, clock: MockClock, seconds: float, output: object = "ready") -> None:
        self.looked_at: list[float] = []
        self._clock = clock
        self._seconds = seconds
        self._output = output
        self._began = 0.0

    def run(self) -> None:
        """Begin."""
        self._began = self._clock.current_time()

    def check_output(self) -> object:
        """The output, once the time has passed."""
        elapsed = self._clock.current_time() - self._began
        self.looked_at.append(elapsed)
        return self._output if elapsed >= self._seconds else None


class HeldLook:
    """A polling task that finds nothing at look 0, and whose next look is held until let go."""

    def __init__(self, output: object = "seen") -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.looks = 0
        self._output = output

    def run(self) -> None:
        """Nothing to start."""

    def check_output(self) -> object:
        """None, then wait, then the output."""
        self.looks += 1
        if self.looks == 1:
            return None
        self.begun.set()
        assert self.open.wait(PATIENCE), "nobody let it go"
        return self._output


def raising(error: BaseException) -> Callable[[], object]:
    """A function that raises this."""

    def body() -> object:
        raise error

    return body


def one() -> int:
    """A task that succeeds at once."""
    return 1


async def reaches(engine: Engine, task_id: int, *states: State) -> TaskSnapshot:
    """The task's row once it has gone into one of these states (left out: into a final one),
    whatever its waiters are told."""
    async for move in engine.events(""):
        if isinstance(move, Reset) or move.task_id != task_id:
            continue
        if move.state in (states or FINAL):
            return engine.status(task_id)
    raise AssertionError(f"task {task_id} never got there: {engine.status(task_id)}")


async def steps(number: int = 20) -> None:
    """Let the loop go round so many times, at the same virtual moment."""
    for _ in range(number):
        await trio.lowlevel.checkpoint()
