"""A task object in its thread: its mode, and the wall around it. The whole table of shapes."""

from __future__ import annotations

from typing import Any, Final

import pytest

from engine.api import Finished, KeptOutput, Pending, Raised, Recipe
from engine.box import Box
from engine.model import Mode, OutputMark

RUN: Final = "from run"
LOOK: Final = "from look"
HANDLE: Final = "from handle"


class Error(Exception):
    """A task's own."""


def answer(what: str, value: str) -> Any:
    """None, the value, or an exception."""
    if what == "raises":
        raise Error(value)
    return value if what == "value" else None


def shape(run: str, look: str | None, handle: str | None, name: str = "check_output") -> object:
    """An object whose methods answer so, and which notes its calls; without those given as None."""
    calls: list[str] = []

    def noting(method: str, what: str, value: str) -> Any:
        def call(_: object) -> Any:
            calls.append(method)
            return answer(what, value)

        return call

    members: dict[str, Any] = {"run": noting("run", run, RUN), "calls": calls}
    if look is not None:
        members[name] = noting("look", look, LOOK)
    if handle is not None:
        members["handle"] = noting("handle", handle, HANDLE)
    return type("Shape", (), members)()


def expected(  # noqa: PLR0911  one return a row of the table
    declared: Mode, run: str, look: str | None, handle: str | None
) -> tuple[tuple[Any, ...], list[str]]:
    """What the table of modes says: the outcome in short, and the calls that lead to it."""
    polling = declared is Mode.POLLING or handle is not None
    if run == "raises":
        mode = Mode.POLLING if declared is Mode.POLLING else Mode.BLOCKING
        return ("raised", RUN, mode, False), ["run"]
    run_value = RUN if run == "value" else None
    look_value = LOOK if look == "value" else None
    if look is None:
        return ("finished", run_value, Mode.BLOCKING), ["run"]
    if declared is Mode.BLOCKING:
        if look == "raises":
            return ("raised", LOOK, Mode.BLOCKING, False), ["run", "look"]
        return ("finished", look_value, Mode.BLOCKING), ["run", "look"]
    if polling:
        calls = ["run", "handle"] if handle is not None else ["run"]
        if handle == "raises":
            return ("raised", HANDLE, Mode.POLLING, False), calls
        text = f'"{HANDLE}"' if handle == "value" else None
        return ("pending", False, text), calls
    calls = ["run", "look"]
    if look == "raises":
        return ("raised", LOOK, Mode.POLLING, True), calls
    if look_value is not None or run_value is not None:
        value = look_value if look_value is not None else run_value
        return ("finished", value, Mode.BLOCKING), calls
    return ("pending", True, None), calls


def in_short(outcome: object) -> tuple[Any, ...]:
    """An outcome as `expected` writes it."""
    match outcome:
        case Finished(output, mode, _):
            return ("finished", output, mode)
        case Pending(_, guessed, handle):
            return ("pending", guessed, handle)
        case Raised(error, _, mode, looking, _):
            return ("raised", str(error), mode, looking)
    raise AssertionError(outcome)


def box(task: object, mode: Mode = Mode.AUTO) -> Box:
    """A box around an object."""
    return Box(Recipe(lambda: task, mode, reusable=False), None)


@pytest.mark.parametrize("declared", [Mode.AUTO, Mode.BLOCKING, Mode.POLLING])
@pytest.mark.parametrize("handle", [None, "none", "value", "raises"])
@pytest.mark.parametrize("look", [None, "none", "value", "raises"])
@pytest.mark.parametrize("run", ["none", "value", "raises"])
@pytest.mark.parametrize("name", ["check_output", "get_output"])
def test_the_whole_table_of_modes(
    declared: Mode, run: str, look: str | None, handle: str | None, name: str
) -> None:
    """Every combination of what run(), the look and handle() do with every declaration has the
    outcome of the table, by exactly the calls that it needs."""
    task = shape(run, look, handle, name)
    outcome = box(task, declared).run()
    short, calls = expected(declared, run, look, handle)
    assert in_short(outcome) == short
    assert task.calls == calls  # type: ignore[attr-defined]


@pytest.mark.parametrize("look", ["none", "value", "raises"])
@pytest.mark.parametrize("declared", [Mode.AUTO, Mode.POLLING])
def test_a_later_look_says_what_it_found(declared: Mode, look: str) -> None:
    """Nothing yet, the output, or an error that may be looked past; a guess stays one."""
    task = shape("none", "none", None)
    seen = box(task, declared)
    seen.run()
    seen._look = lambda: answer(look, LOOK)
    outcome = seen.check_output()
    guessed = declared is Mode.AUTO
    if look == "none":
        assert outcome == Pending(Mode.POLLING, guessed)
    elif look == "value":
        assert outcome == Finished(LOOK, Mode.POLLING)
    else:
        assert isinstance(outcome, Raised)
        assert (outcome.looking, outcome.guessed, outcome.mode) == (True, guessed, Mode.POLLING)
        assert (outcome.info.type.rpartition(".")[2], outcome.info.message) == ("Error", LOOK)


def test_a_callable_is_called_and_a_class_is_made() -> None:
    """A function's result is its output; what a factory gives is run, or called."""
    assert box(lambda: 5).run() == Finished(5, Mode.BLOCKING)
    made = Box(Recipe(lambda: shape("value", None, None), Mode.AUTO, reusable=True), None)
    assert made.run() == Finished(RUN, Mode.BLOCKING)


def test_what_cannot_be_run_is_the_tasks_own_fault() -> None:
    """A factory that gives nothing to run ends its attempt with a TypeError that says so."""
    outcome = box(object()).run()
    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, TypeError)
    assert "no run()" in outcome.info.message


def test_a_factory_that_raises_is_walled_in() -> None:
    """What the making of an object raises is an outcome like any other."""

    def make() -> object:
        raise SystemExit(3)

    outcome = Box(Recipe(make, Mode.AUTO, reusable=True), None).run()
    assert isinstance(outcome, Raised)
    assert (outcome.info.type, outcome.looking) == ("SystemExit", False)


@pytest.mark.parametrize("where", ["run", "look 0", "check_output"])
def test_what_the_encoder_raises_is_walled_in(where: str) -> None:
    """An output whose own code raises while it is made ready for the store fails the task."""

    def encode(_: object) -> KeptOutput:
        raise SystemExit("hostile")

    task = shape("value" if where == "run" else "none", None if where == "run" else "none", None)
    seen = Box(Recipe(lambda: task, Mode.AUTO, reusable=False), encode)
    if where == "look 0":
        type(task).check_output = lambda _: LOOK  # type: ignore[attr-defined]
    outcome = seen.run()
    if where == "check_output":
        seen._look = lambda: LOOK
        outcome = seen.check_output()
    assert isinstance(outcome, Raised)
    assert outcome.info.type == "SystemExit"


def test_the_output_is_made_ready_for_the_store_in_the_thread() -> None:
    """Where there is a store, what it can keep comes with the outcome."""
    kept = KeptOutput("5", OutputMark.KEPT, 1)
    seen = Box(Recipe(lambda: lambda: 5, Mode.AUTO, reusable=False), lambda _: kept)
    assert seen.run() == Finished(5, Mode.BLOCKING, kept)


def test_after_the_output_nothing_is_called_any_more() -> None:
    """A look after the output is a defect of the caller, and the object is not asked."""
    task = shape("none", "value", None)
    seen = box(task, Mode.POLLING)
    seen.run()
    assert seen.check_output() == Finished(LOOK, Mode.POLLING)
    outcome = seen.check_output()
    assert isinstance(outcome, Raised)
    assert task.calls == ["run", "look"]  # type: ignore[attr-defined]


def test_a_look_is_timed_by_itself() -> None:
    """`look_seconds` is the time of the last look, `run_seconds` of run()."""
    seen = box(shape("none", "none", None))
    assert (seen.look_seconds, seen.run_seconds) == (0.0, 0.0)
    seen.run()
    assert seen.run_seconds > 0
    seen.check_output()
    assert 0 < seen.look_seconds < 1
