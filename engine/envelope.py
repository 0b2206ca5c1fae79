"""An exception as it travels: a bounded, printable `ErrorInfo`, whatever the exception does.

Bounds, for one exception with all that hangs on it: a message of 8 KiB each, a traceback of
64 KiB, 16 notes of 4 KiB, 8 causes (along ``__cause__``, else ``__context__`` where Python would
show it) and 16 members of groups, the nearest first, and 256 KiB of text in all. Where something
was left out, a last note says so.

Nothing here trusts the exception. Its `str`, notes and class may raise, lie, loop or be of any
size; chains are cut at cycles; no text holds a lone surrogate or a NUL, so each can be
encoded and stored.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import re
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from .model import ErrorInfo

MESSAGE_BYTES: Final = 8 * 1024
TRACEBACK_BYTES: Final = 64 * 1024
TOTAL_BYTES: Final = 256 * 1024
NOTE_BYTES: Final = 4 * 1024
NOTES: Final = 16
CAUSES: Final = 8
MEMBERS: Final = 16

_TYPE_BYTES: Final = 200
_FRAMES_FIRST: Final = 20
_FRAMES_LAST: Final = 100
_OUR_FRAMES: Final = str(Path(__file__).parent)
_THEIR_FRAMES: Final = tuple(str(Path(__file__).parent / name) for name in ("samples", "kinds"))
_SUSPENDABLE: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_UNSAFE: Final = re.compile("[\ud800-\udfff\0]")

# What Python itself set, not what a subclass may have put before it.
_cause: Final = BaseException.__dict__["__cause__"].__get__
_context: Final = BaseException.__dict__["__context__"].__get__
_suppressed: Final = BaseException.__dict__["__suppress_context__"].__get__
_traceback: Final = BaseException.__dict__["__traceback__"].__get__
_arguments: Final = BaseException.__dict__["args"].__get__
_title: Final = BaseExceptionGroup.__dict__["message"].__get__
_members: Final = BaseExceptionGroup.__dict__["exceptions"].__get__
_qualname: Final = type.__dict__["__qualname__"].__get__

_T = TypeVar("_T")


def envelope(error: BaseException) -> ErrorInfo:
    """Describe an exception within the bounds of this module. Never raises."""
    budget = _Budget()
    root = _Node(error)
    nodes = [root]
    waiting = deque(nodes)
    while waiting:  # nearest first, so that one deep branch does not use up the others' share
        node = waiting.popleft()
        for child in budget.children(node):
            nodes.append(child)
            waiting.append(child)
    for node in nodes:
        node.write(budget)
    built: dict[int, ErrorInfo] = {}
    for node in reversed(nodes):  # those that hang on it are built before it
        built[id(node)] = node.build(built)
    return built[id(root)]


class _Budget:
    """What may still be written, for the whole envelope."""

    def __init__(self) -> None:
        self._bytes = TOTAL_BYTES
        self._causes = CAUSES
        self._members = MEMBERS
        self._seen: set[int] = set()

    def cut(self, text: str, most: int, *, tail: bool = False) -> str:
        """The text, safe to encode, in at most so many bytes."""
        short = _cut(text, min(most, self._bytes), tail=tail)
        self._bytes -= len(short.encode())
        return short

    def children(self, node: _Node) -> Iterator[_Node]:
        """The causes and members that are still to be described."""
        self._seen.add(id(node.error))
        cause = _next_cause(node.error)
        while cause is not None and not node.is_cause:
            if id(cause) in self._seen:
                node.left_out.append("its causes run in a circle")
                break
            if not self._causes:
                node.left_out.append("further causes")
                break
            self._causes -= 1
            child = _Node(cause, is_cause=True)
            node.causes.append(child)
            yield child
            self._seen.add(id(cause))
            cause = _next_cause(cause)
        members = _group_members(node.error)
        for member in members[: self._members]:
            self._members -= 1
            child = _Node(member)
            node.members.append(child)
            yield child
        if len(members) > len(node.members):
            node.left_out.append(f"{len(members) - len(node.members)} more members")


class _Node:
    """One exception of the envelope, on its way to an `ErrorInfo`."""

    def __init__(self, error: BaseException, *, is_cause: bool = False) -> None:
        self.error = error
        self.is_cause = is_cause
        """True when its own causes stand beside it, not below it."""
        self.causes: list[_Node] = []
        self.members: list[_Node] = []
        self.left_out: list[str] = []
        self._type = self._message = self._frames = ""
        self._notes: list[str] = []

    def write(self, budget: _Budget) -> None:
        """Take the texts."""
        error = self.error
        self._type = budget.cut(_ask(lambda: _type_name(error), "exception"), _TYPE_BYTES)
        self._message = budget.cut(_message(error), MESSAGE_BYTES)
        self._frames = budget.cut(_ask(lambda: _frames(error), ""), TRACEBACK_BYTES, tail=True)
        self._notes = [budget.cut(note, NOTE_BYTES) for note in _notes(error)]
        if self.left_out:
            self._notes.append(f"left out: {', '.join(self.left_out)}")

    def build(self, built: Mapping[int, ErrorInfo]) -> ErrorInfo:
        """Join the texts with the causes and members that are built already."""
        return ErrorInfo(
            type=self._type,
            message=self._message,
            traceback=self._frames,
            notes=tuple(self._notes),
            causes=tuple(built[id(node)] for node in self.causes),
            members=tuple(built[id(node)] for node in self.members),
        )


def _ask(question: Callable[[], _T], otherwise: _T) -> _T:
    """The answer of somebody else's code, or the other one when it raises."""
    try:
        return question()
    except BaseException:  # noqa: BLE001  a hostile exception is still only described
        return otherwise


def _next_cause(error: BaseException) -> BaseException | None:
    cause: BaseException | None = _cause(error)
    if cause is None and not _suppressed(error):
        cause = _context(error)
    return cause


def _group_members(error: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = _members(error)
    return members


def _type_name(error: BaseException) -> str:
    cls = type(error)
    name = str.__str__(_qualname(cls))
    module = type.__getattribute__(cls, "__module__")
    if type(module) is not str or module in {"builtins", "__main__"}:
        return name
    return f"{module}.{name}"


def _message(error: BaseException) -> str:
    """The text of `str`, as an exact `str`."""
    try:
        shortened = _shortened(error)
        text = str(error) if shortened is None else shortened
        # A subclass of str may have a slicing of its own.
        return str.__getitem__(text, slice(0, MESSAGE_BYTES + 1))
    except BaseException as raised:  # noqa: BLE001  a hostile exception is still only described
        problem = raised
    return f"<no message: str() raised {_ask(lambda: _type_name(problem), 'something')}>"


def _shortened(error: BaseException) -> str | None:
    """The beginning of what str() gives, where it would copy a huge argument to quote it."""
    arguments: tuple[Any, ...] = _arguments(error)
    text = type.__getattribute__(type(error), "__str__")
    if text is BaseExceptionGroup.__str__:
        title: str = _title(error)
        return title[: MESSAGE_BYTES + 1] if _is_long(title) else None
    quotes = text is KeyError.__str__ or (text is BaseException.__str__ and len(arguments) > 1)
    if not quotes or not any(_is_long(argument) for argument in arguments):
        return None
    cut = tuple(
        argument[:MESSAGE_BYTES] if _is_long(argument) else argument for argument in arguments
    )
    return repr(cut[0] if len(cut) == 1 else cut)


def _is_long(argument: object) -> bool:
    return type(argument) in {str, bytes, bytearray} and len(argument) > MESSAGE_BYTES  # type: ignore[arg-type]  # sized, all three


def _notes(error: BaseException) -> list[str]:
    try:
        # `__notes__` may be anything, of any length and with an iterator of its own.
        notes = [_exact(note) for note in itertools.islice(_raw_notes(error), NOTES + 1)]
    except BaseException:  # noqa: BLE001  a hostile exception is still only described
        return ["<its notes cannot be read>"]
    if len(notes) > NOTES:
        notes[NOTES:] = ["left out: further notes"]
    return notes


def _raw_notes(error: BaseException) -> Iterator[object]:
    notes = getattr(error, "__notes__", ())
    return iter((notes,) if isinstance(notes, str) else notes)


def _exact(text: object) -> str:
    return str.__getitem__(str(text), slice(0, NOTE_BYTES + 1))


# -- tracebacks ----------------------------------------------------------------------------------


def _frames(error: BaseException) -> str:
    first, last, left_out = _entries(_traceback(error))
    if not first:
        return ""
    text = "Traceback (most recent call last):\n" + _formatted(first)
    if left_out:
        text += f"  … {left_out} frames left out …\n"
    return text + _formatted(last)


def _formatted(entries: list[TracebackType]) -> str:
    summary = traceback.StackSummary.extract(
        ((entry.tb_frame, entry.tb_lineno) for entry in entries), lookup_lines=False
    )
    # A source file may be gone, or have a hostile loader: then without its lines.
    lines = _ask(summary.format, None)
    if lines is None:
        lines = [f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in summary]
    return "".join(lines)


def _entries(
    entry: TracebackType | None,
) -> tuple[list[TracebackType], list[TracebackType], int]:
    """The first and the last entries, and how many are left out between them. The leading ones,
    which called the task, are the engine's own and say nothing of it."""
    begin = entry
    while begin is not None and _is_ours(begin):
        begin = begin.tb_next
    entry = begin or entry
    first: list[TracebackType] = []
    last: deque[TracebackType] = deque(maxlen=_FRAMES_LAST)
    count = 0
    while entry is not None:
        if count < _FRAMES_FIRST:
            first.append(entry)
        else:
            last.append(entry)
        count += 1
        entry = entry.tb_next
    return first, list(last), count - len(first) - len(last)


def _is_ours(entry: TracebackType) -> bool:
    name = entry.tb_frame.f_code.co_filename
    return name.startswith(_OUR_FRAMES) and not name.startswith(_THEIR_FRAMES)


# -- text ----------------------------------------------------------------------------------------


def _cut(text: str, most: int, *, tail: bool = False) -> str:
    """The text in at most so many bytes of UTF-8: its beginning, or its two ends."""
    # A character is a byte at least, so what lies beyond can be dropped before it is encoded.
    if len(text) > 2 * most:
        text = text[:most] + text[-most:] if tail else text[: most + 1]
    raw = _UNSAFE.sub("\ufffd", text).encode()
    if len(raw) <= most:
        return raw.decode()
    mark = "\n… cut …\n" if tail else "…"
    room = max(0, most - len(mark.encode()))
    begin = raw[: room // 3 if tail else room].decode(errors="ignore")
    end = raw[-(room - room // 3) :].decode(errors="ignore") if tail and room else ""
    return (begin + mark + end) if most >= len(mark.encode()) else ""


def let_go(error: BaseException) -> None:
    """Drop what the frames of an exception and of its causes hold: the exception is kept, the
    task's object and all its locals need not be. Lines and names of the traceback stay, but for
    those of generators and coroutines."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and len(seen) < CAUSES and id(at) not in seen:
        seen.add(id(at))
        BaseException.with_traceback(at, _without_locals(_traceback(at)))
        cause = _cause(at)  # asked for None only: an exception may have a __bool__ of its own
        at = _context(at) if cause is None else cause


def _without_locals(entry: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while entry is not None:
        # Clearing the frame of a coroutine or generator that is only suspended would close it:
        # these are left out instead. And so are ours: some are still executing.
        if not entry.tb_frame.f_code.co_flags & _SUSPENDABLE:
            with contextlib.suppress(RuntimeError):  # it is still executing
                entry.tb_frame.clear()
            if kept or not _is_ours(entry):
                kept.append(entry)
        entry = entry.tb_next
    for entry, following in itertools.pairwise([*kept, None]):
        if entry is not None:
            entry.tb_next = following
    return kept[0] if kept else None
