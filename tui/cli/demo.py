"""``creche demo``: mind N sample tasks in a store of its own, show how it goes, and tell the truth.

The server is a child process; this process only watches it, as any other terminal could.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from engine import OutputNotKept, Query, State, StoreNotFound, open_reader

from ..text import safe_block
from .demo_process import DemoProcess, DemoServerEnded
from .demo_report import Report
from .demo_watch import Watch, hints
from .exits import Exit
from .output import complain, is_terminal, say
from .signals import Interrupted, exit_at_once, stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine import Reader, TaskSnapshot

_PAGE: Final = 1_000


def demo(
    tasks: Annotated[
        int,
        Parameter(name="N", help="How many.", validator=validators.Number(gte=1, lte=1_000_000)),
    ] = 300,
    /,
    *,
    scale: Annotated[
        float,
        Parameter(
            help="Factor on how long they take.", validator=validators.Number(gte=0, lte=1_000)
        ),
    ] = 0.2,
    plain: Annotated[bool, Parameter(help="Print lines instead of opening the dashboard.")] = False,
    seed: Annotated[
        int | None,
        Parameter(
            help="Settles which tasks they are, so that a demo can be repeated.",
            validator=validators.Number(gte=0),
        ),
    ] = None,
    keep: Annotated[bool, Parameter(help="Do not remove the store at the end.")] = False,
) -> int:
    """Mind N sample tasks in a store of its own and show how it goes.

    Half of them block, half are polled, by chance; each takes 1 to 99 s times the scale. The
    exit status is 0 only when all have succeeded and every output is right.
    """
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    dashboard = not plain and is_terminal() and sys.stdin.isatty()
    with stop_signals() as signals, _folder(keep=keep) as folder:
        server = DemoProcess(folder, tasks=tasks, scale=scale, seed=seed, keep=keep)
        signals.at_once = lambda _number: server.kill()
        ended: Interrupted | DemoServerEnded | None = None
        try:
            signals.interrupt()
            # Loaded while the server starts: a screen that stays blank looks broken.
            show = _dashboard() if dashboard else None
            control = server.wait_ready().control
            say(f"{tasks} sample tasks, scale {scale:g}, --seed {seed}; from another terminal:")
            for line in hints(server.store, control):
                say(f"  {line}")
            with closing(open_reader(server.store)) as reader:
                watch = Watch(server, reader, tasks)
                if show is None:
                    watch.in_lines()
                else:
                    watch.in_dashboard(show, signals.install)
        except (Interrupted, DemoServerEnded) as reason:
            ended = reason
        finally:
            # From here on a signal only hastens the end, so that nothing is left behind.
            signals.hold()
            server.stop()
            signals.at_once = exit_at_once
            signals.rearm()
        return _conclude(server.store, tasks, ended, keep=keep)


def _dashboard() -> Callable[[Path], int]:
    from ..app import run_dashboard

    return run_dashboard


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """A folder for this demo alone, readable by its owner only."""
    folder = Path(tempfile.mkdtemp(prefix="creche-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _conclude(
    store: Path, tasks: int, ended: Interrupted | DemoServerEnded | None, *, keep: bool
) -> int:
    """Say what the store holds now that its server has ended; gives the exit status."""
    if isinstance(ended, Interrupted):
        say(f"stopped by {ended}: tasks that were live are counted as they were left")
    elif ended is not None:
        complain("demo", str(ended))
        sys.stderr.write(safe_block(ended.log))
    if keep:
        say(f"the store is kept: {store}")
    try:
        with closing(open_reader(store)) as reader:
            rows = list(_rows(reader))
            report = Report(rows, dict(_outputs(reader, rows)), tasks)
    except StoreNotFound:
        if ended is None:
            raise
        report = Report([], {}, tasks)
    for line in report.lines():
        say(line)
    if isinstance(ended, Interrupted):
        return 128 + ended.number
    if ended is not None:
        return Exit.UNAVAILABLE
    return Exit.OK if report.good else Exit.NOT_SUCCEEDED


def _rows(reader: Reader) -> Iterator[TaskSnapshot]:
    """Every row of the store, newest first."""
    after = None
    while True:
        page = reader.page(Query.everything(), after=after, limit=_PAGE)
        yield from page.tasks
        after = page.next_after
        if after is None:
            return


def _outputs(reader: Reader, rows: list[TaskSnapshot]) -> Iterator[tuple[int, str]]:
    """The stored outputs of what has succeeded; one that is not kept is left out."""
    for task in rows:
        if task.state is State.SUCCEEDED:
            try:
                yield task.id, reader.output(task.id)
            except OutputNotKept:
                continue
