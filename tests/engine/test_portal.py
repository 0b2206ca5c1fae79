"""The engine in a thread of a synchronous program: every verb from real threads, and its edges."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import inspect
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from engine import (
    BadOption,
    Engine,
    EngineClosed,
    EnginePortal,
    Event,
    NotATask,
    Order,
    OutputNotReady,
    Receipt,
    Rung,
    State,
    StoreInUse,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    UsedAfterFork,
    WouldDeadlock,
)
from engine.portal import EngineOptions
from tests.cli.programs import ROOT, environment
from tests.contract.engines import PATIENCE, Gate, one, raising

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where the tasks are kept."""
    return tmp_path / "tasks.db" if request.param == "file" else None


def settle(portal: EnginePortal) -> None:
    """Wait until the engine has nothing left to do."""
    portal._loop.wait(trio.testing.wait_all_tasks_blocked)


def waiting_in(portal: EnginePortal) -> int:
    """How many callers wait in the engine."""

    def callers() -> int:
        assert portal._loop._callers is not None
        return len(portal._loop._callers.child_tasks)

    return portal._loop.ask(callers)


def in_thread(function: Callable[[], object]) -> concurrent.futures.Future[object]:
    """Call it in a thread of its own."""
    answer: concurrent.futures.Future[object] = concurrent.futures.Future()

    def call() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:  # noqa: BLE001  handed on
            answer.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return answer


# -- the verbs -------------------------------------------------------------------------------------


def test_every_verb_answers_as_the_engine_does(store: Path | None) -> None:
    """Submitting, asking, acting and watching, one after the other, in plain code."""
    gate = Gate("let go")
    with EnginePortal(store, capacity=3) as engine:
        assert engine.store_path == store
        stream = engine.events()
        first = engine.submit_nowait(gate, name="gate", key="k")
        second = engine.submit(lambda: {"a": 1}, name="second")
        third, fourth = engine.submit_many([one, raising(OSError("no"))], tags=["many"])
        assert engine.status(first).name == "gate"
        assert engine.result(second, timeout=PATIENCE) == {"a": 1}
        assert engine.output_json(second) == '{"a":1}'
        assert engine.get(second).state is State.SUCCEEDED
        assert [row.state for row in engine.wait([fourth, third])] == [
            State.FAILED,
            State.SUCCEEDED,
        ]
        with pytest.raises(TaskFailed, match="no"):
            engine.result(fourth)
        with pytest.raises(OutputNotReady):
            engine.output_json(first)
        with pytest.raises(TaskNotFound):
            engine.status(99)
        assert [row.id for row in engine.list("tag:many", limit=1).tasks] == [fourth]
        receipt, refused = engine.submit_each([Order.of(one, name="ordered"), Order.of(3)])
        assert isinstance(receipt, Receipt)
        assert (engine.result(receipt.task_id), type(refused)) == (1, NotATask)
        later = engine.submit_nowait(one, not_before=time.time() + 1e6)
        last = engine.submit_nowait(one, not_before=time.time() + 1e6)
        assert engine.cancel(later, reason="enough").rung is Rung.DROPPED
        assert engine.cancel_nowait(last).rung is Rung.DROPPED
        assert set(engine.as_completed([later, last, second])) == {later, last, second}
        assert engine.counts()[State.CANCELLED] == 2
        figures = engine.statistics()
        assert (figures.capacity, figures.submitted, engine.epoch) == (3, 7, 1)
        event = next(stream)
        assert isinstance(event, Event)
        assert (event.task_id, event.state, stream.cursor) == (first, State.QUEUED, event.cursor)
        gate.open.set()
        assert engine.result_future(first).result(PATIENCE) == "let go"
        assert not engine.draining
        engine.drain(0)
        assert engine.draining


def test_its_options_are_those_of_the_engine() -> None:
    """Whatever `Engine` takes, the portal takes."""
    of_engine = {name: p.kind for name, p in inspect.signature(Engine).parameters.items()}
    assert of_engine.pop("store") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(EngineOptions.__annotations__) == set(of_engine)
    with pytest.raises(BadOption):
        EnginePortal(capacity=0)


def test_its_verbs_are_those_of_the_engine() -> None:
    """Every public verb of `Engine` is there, but for those of its own thread."""
    own = {"reader", "announce"}
    verbs = {name for name, _ in inspect.getmembers(Engine) if not name.startswith("_")}
    assert verbs - own <= set(dir(EnginePortal))


def test_many_threads_share_a_portal(store: Path | None) -> None:
    """Twenty threads submit and wait at once: each gets its own outputs."""

    def talk(number: int) -> list[object]:
        ids = [engine.submit_nowait(lambda n=n: (number, n)) for n in range(20)]
        return [engine.result(task_id) for task_id in ids]

    with EnginePortal(store) as engine:
        talks = [in_thread(partial(talk, number)) for number in range(20)]
        got = [talk.result(PATIENCE) for talk in talks]
    assert got == [[(number, n) for n in range(20)] for number in range(20)]


def test_a_body_may_submit_and_wait() -> None:
    """A task in a thread may use the portal, also while its block is being left."""
    with EnginePortal() as engine:
        child = engine.submit_nowait(lambda: engine.result(engine.submit(lambda: 21)))
    assert engine.result(child) == 21


def test_the_iterator_of_a_batch_runs_in_its_own_thread() -> None:
    """`submit_many` of a generator that blocks does not hold the engine up."""
    with EnginePortal() as engine:
        names: list[str] = []

        def tasks() -> Iterator[object]:
            names.append(threading.current_thread().name)
            yield one
            assert engine.result(engine.submit(one)) == 1
            yield one

        assert len(engine.submit_many(tasks())) == 2
    assert names == [threading.current_thread().name]


def test_iterators_end_and_may_be_left() -> None:
    """`as_completed` gives each id once, raises for what is unknown, and a break leaves nobody
    waiting."""
    gate = Gate()
    with EnginePortal() as engine:
        first, held = engine.submit_many([one, gate])
        for task_id in engine.as_completed([first, held]):
            assert task_id == first
            break
        settle(engine)
        assert waiting_in(engine) == 0
        with pytest.raises(TaskNotFound):
            next(engine.as_completed([first, 99]))
        completions = engine.as_completed([first, held, first], timeout=0)
        with pytest.raises(TimeoutError):
            list(completions)
        assert list(engine.as_completed([])) == []
        gate.open.set()
        assert sorted(engine.as_completed([held, first, held])) == [first, held]


def test_events_are_complete_and_resume(store: Path | None) -> None:
    """Every move comes once, in order; from a cursor on, exactly those after it."""
    with EnginePortal(store) as engine:
        engine.wait(engine.submit_many([one] * 700))
        with engine.events("") as stream:
            events = [next(stream) for _ in range(2_100)]
        cursors = [event.cursor for event in events]
        assert cursors == [f"1.{n}" for n in range(1, 2_101)]
        assert next(stream, None) is None
        resumed = engine.events(cursors[999])
        assert next(resumed).cursor == cursors[1000]
        with pytest.raises(ValueError, match="not a cursor"):
            engine.events("nonsense")
    assert [event.cursor for event in resumed] == cursors[1001:]


def test_events_of_earlier_lives_come_from_the_file(tmp_path: Path) -> None:
    """From the oldest kept on, events of earlier engines come first."""
    for _ in range(2):
        with EnginePortal(tmp_path / "tasks.db") as engine:
            engine.result(engine.submit(one))
    with EnginePortal(tmp_path / "tasks.db") as engine:
        engine.result(engine.submit(one))
        stream = engine.events("")
        cursors = [next(stream).cursor for _ in range(9)]
    assert cursors == [f"{epoch}.{n}" for epoch in (1, 2, 3) for n in (1, 2, 3)]


def test_closing_ends_a_thread_that_listens() -> None:
    """`close` from another thread ends a loop that waits for the next event."""
    with EnginePortal() as engine:
        asked = told_when_asked(engine, "events")
        stream = engine.events()
        listening = in_thread(lambda: list(stream))
        assert asked.wait(PATIENCE)
        stream.close()
        assert listening.result(PATIENCE) == []


def interrupt_main(_: object = None) -> None:
    """Ctrl-C, as the main thread gets it."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def told_when_asked(portal: EnginePortal, verb: str) -> threading.Event:
    """Set as soon as the engine itself is asked by this verb."""
    asked = threading.Event()
    original = getattr(portal._engine, verb)

    def telling(*args: Any, **keywords: Any) -> Any:
        asked.set()
        return original(*args, **keywords)

    setattr(portal._engine, verb, telling)
    return asked


# -- waiting ---------------------------------------------------------------------------------------


def test_a_timeout_ends_the_waiting_and_not_the_task() -> None:
    """`result` and `wait` raise TimeoutError; the task goes on, and nobody waits any more."""
    gate = Gate()
    with EnginePortal() as engine:
        task_id = engine.submit(gate)
        with pytest.raises(TimeoutError):
            engine.result(task_id, timeout=0.0)
        with pytest.raises(TimeoutError):
            engine.wait([task_id], timeout=0.0)
        settle(engine)
        assert waiting_in(engine) == 0
        assert gate.begun.wait(PATIENCE)
        assert engine.status(task_id).state is State.RUNNING
        gate.open.set()
        assert engine.result(task_id, timeout=PATIENCE) == "through"


def test_ctrl_c_ends_the_waiting_at_once_and_not_the_task() -> None:
    """KeyboardInterrupt comes out of `result` in the main thread; the task goes on."""
    gate = Gate()
    with EnginePortal() as engine:
        task_id = engine.submit(gate)
        asked = told_when_asked(engine, "result")

        def interrupt() -> None:
            assert asked.wait(PATIENCE)
            interrupt_main()

        interrupting = in_thread(interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.result(task_id)
        interrupting.result(PATIENCE)
        settle(engine)
        assert waiting_in(engine) == 0
        gate.open.set()
        assert engine.result(task_id) == "through"


def test_ctrl_c_while_the_block_waits_cancels_its_tasks() -> None:
    """KeyboardInterrupt at the end of the block comes out of it once all tasks are cancelled."""
    engine = EnginePortal()
    with pytest.raises(KeyboardInterrupt), engine:  # noqa: PT012  the block is what is left
        task_id = engine.submit(trio.sleep_forever)
        watch_end(engine).add_done_callback(interrupt_main)
    assert engine.status(task_id).state is State.CANCELLED
    assert engine.statistics().live == 0


def test_a_second_ctrl_c_leaves_at_once() -> None:
    """While the block waits for a thread that does not end, Ctrl-C again ends the waiting."""
    gate = Gate()
    engine = EnginePortal(grace=1_000)

    def interrupt_again() -> None:
        for move in engine.events(""):
            if isinstance(move, Event) and move.state is State.CANCELLING:
                interrupt_main()

    with pytest.raises(KeyboardInterrupt), engine:  # noqa: PT012  as above
        engine.submit(gate)
        assert gate.begun.wait(PATIENCE)
        interrupting = in_thread(interrupt_again)
        watch_end(engine).add_done_callback(interrupt_main)
    assert not engine._loop.over
    gate.open.set()
    engine._loop._gone.result(PATIENCE)
    interrupting.result(PATIENCE)


def watch_end(portal: EnginePortal) -> concurrent.futures.Future[None]:
    """Done when the loop has been told that the block has ended."""
    return portal._loop.start(portal._loop._end.wait)


def test_futures_are_those_of_the_standard_library() -> None:
    """`concurrent.futures.wait` takes them; cancelling one ends its waiting and not the task; a
    callback that raises does no harm."""
    gate = Gate()
    with EnginePortal() as engine:
        held, quick = engine.submit_many([gate, one])
        futures = [engine.result_future(held), engine.result_future(quick)]
        done, pending = concurrent.futures.wait(
            futures, PATIENCE, return_when=concurrent.futures.FIRST_COMPLETED
        )
        assert (done, pending) == ({futures[1]}, {futures[0]})
        assert futures[0].cancel()
        concurrent.futures.wait(futures, PATIENCE)
        settle(engine)
        assert waiting_in(engine) == 0
        again = engine.result_future(held)

        def callback(_: object) -> None:
            raise SystemExit

        again.add_done_callback(callback)
        gate.open.set()
        assert again.result(PATIENCE) == "through"
        assert engine.result(held) == "through"


def test_asyncio_awaits_results() -> None:
    """`asyncio.wrap_future` gives outputs and errors; cancelling it never cancels the task."""
    gate = Gate()

    async def main(engine: EnginePortal) -> list[object]:
        held, good, bad = engine.submit_many([gate, one, raising(OSError("no"))])
        waiting = asyncio.ensure_future(asyncio.wrap_future(engine.result_future(held)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0)
        waiting.cancel()
        await asyncio.wait([waiting])
        outcomes = await asyncio.gather(
            *(asyncio.wrap_future(engine.result_future(task_id)) for task_id in (good, bad)),
            return_exceptions=True,
        )
        gate.open.set()
        return [*outcomes, await asyncio.wrap_future(engine.result_future(held))]

    with EnginePortal() as engine:
        good, bad, held = asyncio.run(main(engine))
    assert (good, type(bad), held) == (1, TaskFailed, "through")


# -- opening and leaving ---------------------------------------------------------------------------


def test_what_opening_raises_comes_out_of_the_call(tmp_path: Path) -> None:
    """A store that is held already raises StoreInUse in the caller, and leaves no thread."""
    with EnginePortal(tmp_path / "tasks.db"):
        before = threading.active_count()
        refused = EnginePortal(tmp_path / "tasks.db")
        with pytest.raises(StoreInUse):
            refused.__enter__()
        assert threading.active_count() <= before
    with pytest.raises(EngineClosed):
        refused.submit_nowait(one)


def test_a_portal_is_used_only_inside_its_block() -> None:
    """Before the block every verb raises EngineClosed, and a second opening does; after it,
    submitting does and the rest answers from memory."""
    engine = EnginePortal()
    for ask in (engine.counts, engine.statistics, engine.events, partial(engine.submit, one)):
        with pytest.raises(EngineClosed):
            ask()
    with engine:
        with pytest.raises(EngineClosed, match="only once"):
            engine.__enter__()
        task_id = engine.submit(lambda: "kept")
    submits: list[Callable[[], object]] = [
        partial(engine.submit, one),
        partial(engine.submit_nowait, one),
        partial(engine.submit_many, [one]),
        partial(engine.submit_each, [Order.of(one)]),
        partial(engine.cancel_nowait, task_id),
    ]
    for submit in submits:
        with pytest.raises(EngineClosed):
            submit()
    assert engine.result(task_id) == engine.result_future(task_id).result(PATIENCE) == "kept"
    assert engine.status(task_id) == engine.get(task_id) == engine.wait([task_id])[0]
    assert list(engine.as_completed([task_id])) == [task_id]
    assert len(list(engine.events(""))) == 3
    assert engine.counts()[State.SUCCEEDED] == engine.statistics().finished == 1
    assert engine.cancel(task_id).rung is Rung.ALREADY_FINAL
    with pytest.raises(EngineClosed):
        engine.__enter__()


def test_leaving_waits_for_every_live_task() -> None:
    """The end of the block comes when all tasks have ended, and who waits gets its answer."""
    gate = Gate()
    with EnginePortal() as engine:
        task_id = engine.submit(gate)
        waiting = engine.result_future(task_id)
        listening = in_thread(lambda: list(engine.events("")))
        ended = watch_end(engine)
        ended.add_done_callback(lambda _: gate.open.set())
    assert engine.status(task_id).state is State.SUCCEEDED
    assert waiting.result(PATIENCE) == "through"
    heard = listening.result(PATIENCE)
    assert isinstance(heard, list)
    assert [event.state for event in heard] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]


@pytest.mark.parametrize(
    "error",
    [ValueError("mine"), SystemExit(3), KeyboardInterrupt(), StopIteration(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_comes_out_as_the_same_object(store: Path | None, error: Exception) -> None:
    """What leaves the block is the very object, without the loop's frames; its tasks are cancelled
    and who waits for them hears it."""
    engine = EnginePortal(store)
    with pytest.raises(type(error)) as caught, engine:  # noqa: PT012  the block is what is left
        task_id = engine.submit(trio.sleep_forever)
        waiting = engine.result_future(task_id)
        raise error
    assert caught.value is error
    assert (error.__context__, error.__cause__) == (None, None)
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    assert files == {__file__}
    assert engine.status(task_id).reason == "the engine was left"
    with pytest.raises(TaskCancelled):
        waiting.result(PATIENCE)


def test_a_defect_of_the_engine_is_raised() -> None:
    """When the engine itself breaks, verbs say EngineClosed and leaving raises the defect, with the
    user's exception as its context."""
    defect = LookupError("broken")

    def broken(_: object) -> None:
        raise defect

    mine = ValueError("mine")
    with pytest.raises(LookupError) as caught, EnginePortal() as engine:  # noqa: PT012  as above
        waiting = engine.result_future(engine.submit(trio.sleep_forever))
        supervisor = engine._engine._inside.supervisor
        engine._loop.ask(supervisor._nursery.start_soon, trio.to_thread.run_sync, broken, None)
        with pytest.raises((EngineClosed, TaskCancelled)):
            waiting.result(PATIENCE)
        engine._loop._gone.result(PATIENCE)
        with pytest.raises(EngineClosed, match="broken"):
            engine.submit(one)
        raise mine
    assert caught.value is defect
    assert caught.value.__context__ is mine


def test_a_drained_portal_leaves_what_is_live(tmp_path: Path) -> None:
    """After `drain` rows stay as they are, waits for them end, and the next engine has them."""
    with EnginePortal(tmp_path / "tasks.db") as engine:
        task_id = engine.submit("sample", arguments={"value": 1}, not_before=time.time() + 1e6)
        waiting = engine.result_future(task_id)
        engine.drain(0)
        with pytest.raises(EngineClosed):
            waiting.result(PATIENCE)
        with pytest.raises(EngineClosed, match="drain"):
            engine.submit(one)
    with EnginePortal(tmp_path / "tasks.db") as engine:
        assert engine.status(task_id).state is State.WAITING
        engine.cancel(task_id)


# -- where it may not be used ----------------------------------------------------------------------


def test_its_own_thread_is_refused() -> None:
    """An async task, and a callback of a future, get WouldDeadlock from every verb, and the engine
    goes on."""
    said: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def ask_all(engine: EnginePortal) -> None:
        verbs: list[Callable[[], object]] = [
            partial(engine.submit, one),
            partial(engine.submit_nowait, one),
            partial(engine.result, 1),
            partial(engine.result_future, 1),
            engine.counts,
            engine.events,
            partial(engine.__exit__, None, None, None),
        ]
        for verb in verbs:
            try:
                verb()
            except WouldDeadlock as error:
                said.put(error)

    async def task() -> None:
        await trio.lowlevel.checkpoint()
        ask_all(engine)

    gate = Gate()
    with EnginePortal() as engine:
        future = engine.result_future(engine.submit(gate))
        future.add_done_callback(lambda _: ask_all(engine))
        gate.open.set()
        engine.result(engine.submit(task))
        assert engine.result(engine.submit(one)) == 1
    assert said.qsize() == 14


def test_process_globals_are_left_alone() -> None:
    """A portal changes no signal handler, wake-up descriptor, collector, umask or hook."""

    def globals_of_the_process() -> tuple[object, ...]:
        umask = os.umask(0o077)
        os.umask(umask)
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        return (
            {number: signal.getsignal(number) for number in signal.valid_signals()},
            wakeup,
            sys.getswitchinterval(),
            (gc.isenabled(), gc.get_threshold()),
            umask,
            (sys.excepthook, threading.excepthook, sys.unraisablehook),
            sys.get_asyncgen_hooks(),
        )

    before = globals_of_the_process()
    with EnginePortal() as engine:
        engine.wait(engine.submit_many([one] * 10))
        during = globals_of_the_process()
    assert before == during == globals_of_the_process()


def program(source: str, *args: object) -> subprocess.CompletedProcess[str]:
    """A program of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, args)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment(PYTHONWARNINGS="error,ignore::DeprecationWarning"),
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_a_program_may_end_with_its_portal_open(tmp_path: Path) -> None:
    """The interpreter does not wait for an open portal, whatever its tasks are doing; the next
    engine finds them lost, as after a crash."""
    source = """
import sys, threading, trio
from engine import EnginePortal

engine = EnginePortal(sys.argv[1]).__enter__()
begun = threading.Event()
engine.submit(lambda: (begun.set(), threading.Event().wait()))
engine.submit(trio.sleep_forever)
begun.wait()
"""
    done = program(source, tmp_path / "tasks.db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with EnginePortal(tmp_path / "tasks.db") as engine:
        assert engine.counts()[State.LOST] == 2


@pytest.mark.slow
def test_a_forked_process_is_refused(tmp_path: Path) -> None:
    """In a child every verb raises UsedAfterFork, also leaving the block; an exception goes through
    there as it is; the parent's engine never notices."""
    source = """
import os, sys
from engine import EnginePortal, UsedAfterFork

def child(body):
    pid = os.fork()
    if pid == 0:
        try:
            status = body()
        except BaseException as error:
            print(error, file=sys.stderr)
            status = 99
        sys.stderr.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

with EnginePortal(sys.argv[1]) as engine:
    task = engine.submit(lambda: 1)
    verbs = [engine.counts, engine.events, lambda: engine.submit(int), lambda: engine.result(task),
             lambda: engine.result_future(task), lambda: engine.__exit__(None, None, None)]

    def refused():
        count = 0
        for verb in verbs:
            try:
                verb()
            except UsedAfterFork as error:
                count += error.owner == os.getppid()
        return count

    def through():
        engine.__exit__(SystemExit, SystemExit(), None)
        return 7

    def own():
        with EnginePortal() as inner:
            return inner.result(inner.submit(lambda: 21))

    print(child(refused), child(through), child(own), engine.result(engine.submit(lambda: 2)))
"""
    done = program(source, tmp_path / "tasks.db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "6 7 21 2\n", "")


def test_the_error_after_a_fork_names_the_owner() -> None:
    """The sentence tells which process to ask."""
    error = UsedAfterFork(4711)
    assert (error.owner, "process 4711" in str(error)) == (4711, True)
