"""The dashboard on a real terminal: the bytes it writes, and how it leaves."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from engine import ErrorInfo, State
from tests.tui.stores import task, write
from tests.tui.terminals import Terminal, terminal

pytestmark = pytest.mark.slow

CSI = re.compile(r"\x1b\[[0-?]*[ -/]*([@-~])")
OWN = set("ABCDHJKhlmnpqrtu")
"""Final bytes of the control sequences that Textual writes: moves, colours, modes, queries."""
POINTER = "\x1b]22;default\x07"
"""And this one, for the shape of the mouse pointer."""
FORBIDDEN = re.compile("[\0-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")

EVIL = "[/][@click=app.quit]\x1b]52;c;aGk=\x07\x1b]0;title\x1b\\\x9b2J\x1b[6n\u202egpj\u200b\x08"


def hostile(tmp_path: Path) -> Path:
    rows = [
        task(
            i,
            State.FAILED if i % 2 else State.SUCCEEDED,
            name=f"{EVIL}{i}",
            kind=EVIL,
            key=EVIL,
            tags=(EVIL,),
            reason=EVIL,
            error=ErrorInfo(EVIL, EVIL, EVIL, (EVIL,)),
        )
        for i in range(1, 60)
    ]
    return write(tmp_path / "a.db", rows, dict.fromkeys(range(2, 60, 2), f'"{EVIL}"'))


def shown(held: Terminal) -> None:
    """Wait for the first full frame."""
    held.read_for(b"palette")


def test_nothing_of_a_task_is_obeyed_by_the_terminal(tmp_path: Path) -> None:
    """All bytes that reach the terminal are Textual's own sequences and harmless text, in the
    table, the pane, the filter and the help."""
    with terminal(hostile(tmp_path), size=(200, 50)) as held:
        shown(held)
        for keys, sign in [("j", b"#58"), ("\r", b"Output"), ("\r", b"#58"), ("q", b"\x1b[?1049l")]:
            held.type(keys)
            held.read_for(sign)
        assert held.wait() == 0
        output = held.output.decode()
    assert "␛]52;c;aGk=␇" in output
    assert "]52;c;aGk=\x07" not in output
    assert {match[1] for match in CSI.finditer(output)} <= OWN
    text = CSI.sub("", output.replace(POINTER, ""))
    assert FORBIDDEN.findall(text) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_restore_the_terminal(tmp_path: Path, number: signal.Signals) -> None:
    """It ends with 128 + n, the screen, the cursor and the line mode as they were."""
    with terminal(write(tmp_path / "a.db", [task(1)])) as held:
        before = held.attributes()
        shown(held)
        assert held.attributes() != before
        os.kill(held.pid, number)
        held.read_for(b"\x1b[?1049l")
        assert held.wait() == 128 + number
        assert held.attributes() == before
        tail = held.output[held.output.rindex(b"\x1b[?1049l") - 200 :]
        assert b"\x1b[?25h" in tail
        assert b"Traceback" not in held.output


def test_a_terminal_that_goes_away_ends_it(tmp_path: Path) -> None:
    """A lost connection leaves no process behind that nobody sees."""
    with terminal(write(tmp_path / "a.db", [task(1)])) as held:
        shown(held)
        held.hang_up()
        assert held.wait() == 128 + signal.SIGHUP


def test_a_terminal_that_takes_no_more_output_cannot_hold_it(tmp_path: Path) -> None:
    """With nobody reading, a signal ends it all the same."""
    with terminal(write(tmp_path / "a.db", map(task, range(1, 400)))) as held:
        shown(held)
        for columns in range(60, 120):
            held.resize(columns, 40)
            held.type("j")
        os.kill(held.pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(held.pid, 0)[1]) == 128 + signal.SIGTERM
        held.status = 128 + signal.SIGTERM


def test_suspending_gives_the_terminal_back_for_a_while(tmp_path: Path) -> None:
    """Ctrl-Z stops the process with the terminal restored; it comes back where it was."""
    with terminal(write(tmp_path / "a.db", [task(1)])) as held:
        before = held.attributes()
        shown(held)
        held.type("\x1a")
        held.read_for(b"\x1b[?1049l")
        assert os.WIFSTOPPED(os.waitpid(held.pid, os.WUNTRACED)[1])
        assert held.attributes() == before
        os.kill(held.pid, signal.SIGCONT)
        shown(held)
        held.type("q")
        assert held.wait() == 0


def test_without_a_terminal_it_says_what_to_use(tmp_path: Path) -> None:
    """Output that goes to a file gets no screen, but a sentence."""
    import subprocess
    import sys

    from tests.tui.terminals import PROGRAM, ROOT

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "a.db")],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a terminal" in done.stderr


def test_a_burst_that_begins_with_a_slash_is_all_text(tmp_path: Path) -> None:
    """Keys that arrive together act one after the other: what follows "/" is typed, not done."""
    with terminal(write(tmp_path / "a.db", map(task, range(1, 9)))) as held:
        shown(held)
        held.type("/qKx7?")
        held.read_for(b"No task matches qKx7?")
        held.type("\x03")
        assert held.wait() == 0
