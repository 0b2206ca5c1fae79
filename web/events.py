"""The resource ``events``: the feed of the engine as server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

import trio

from engine import Event, Reset, parse_cursor

from .frames import HEARTBEAT, MEDIA_TYPE, encode, encode_last, opening, place_of
from .live import Live
from .operations import Answer, Asked, Operation, Reply, Resource
from .problems import Detail, Problem
from .schemas import EventQuery
from .standing import Standing

if TYPE_CHECKING:
    from contextlib import ExitStack

    from .ports import EnginePort

BEAT: Final = 15.0
"""Seconds of silence after which a stream says that it is still there."""
_GATHER: Final = 0.02
"""Seconds for which events that come one by one are gathered into one piece."""
_BATCH: Final = 2_000
"""Events in one piece of what is read from the feed."""
_LARGEST: Final = 2**63 - 1


class Following(NamedTuple):
    """What all who follow an engine share."""

    live: Live
    standing: Standing
    heartbeat: float = BEAT
    """Seconds of silence after which a stream says that it is still there."""

    @classmethod
    def of(cls, engine: EnginePort) -> Self:
        """With every setting as it comes."""
        return cls(Live(engine), Standing())


class EventStream:
    """The bytes of one stream. A class and no generator: it may be dropped at any moment.

    It keeps nothing but its place. While its client does not read it is not asked for more, so it
    costs no more than what the socket holds; the connection cuts it when that takes too long.

    Args:
        engine: Whose events.
        following: What it shares with the others.
        place: Epoch and revision after which it begins.
    """

    def __init__(self, engine: EnginePort, following: Following, place: tuple[int, int]) -> None:
        self._engine = engine
        self._live, self._standing, self._heartbeat = following
        self._place = place
        self._opened = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._opened:
            self._opened = True
            return opening(_cursor(self._place))
        if self._live.covers(self._place):
            return await self._from_the_blocks()
        return await self._from_the_feed()

    async def _from_the_blocks(self) -> bytes:
        epoch, revision = self._place
        data, last = self._live.after(revision)
        if not data:
            with self._standing.within(self._heartbeat):
                await self._live.changed(revision)
            if self._standing.closed:
                raise StopAsyncIteration
            if not self._live.covers(self._place):
                return await self._from_the_feed()
            data, last = self._live.after(revision)
        self._place = (epoch, last)
        return data or HEARTBEAT

    async def _from_the_feed(self) -> bytes:
        """What the blocks do not hold (any more), until they do."""
        events = self._in_memory()
        if not events:
            source = self._engine.events(_cursor(self._place) if self._place[0] else "")
            first: Event | Reset | None = None
            ended = False
            with self._standing.within(self._heartbeat):
                first = await anext(source, None)
                ended = first is None
            if ended or self._standing.closed:
                raise StopAsyncIteration
            if first is None:
                return HEARTBEAT
            events = [first]
            with trio.move_on_after(_GATHER):
                while len(events) < _BATCH and (more := await anext(source, None)) is not None:
                    events.append(more)
        self._place = place_of(events[-1])
        word, kept = encode_last(events)
        return word + encode(kept)

    def _in_memory(self) -> list[Event | Reset]:
        """The next events, where the engine's memory has them without a gap."""
        if self._place[0] != self._engine.epoch:
            return []
        found = list(self._engine.reader().events(_cursor(self._place), limit=_BATCH))
        return [] if found and isinstance(found[0], Reset) else found


class Events:
    """The handler.

    Args:
        engine: Whose events.
        following: What all who follow it share.
    """

    def __init__(self, engine: EnginePort, following: Following) -> None:
        self._engine = engine
        self._following = following

    async def stream(self, asked: Asked[EventQuery, None]) -> Reply:
        """GET /v1/events."""
        live, standing, _ = self._following
        place = live.now()
        # A browser that comes again sends both: its header is the newer one.
        if resumed := asked.headers.get("Last-Event-ID"):
            place = read_place(resumed, "Last-Event-ID")
        elif asked.query.since is not None:
            place = read_place(asked.query.since, "since")
        cleanup: ExitStack = asked.cleanup
        standing.claim(cleanup)
        cleanup.enter_context(live.followed())
        return Reply(200, EventStream(self._engine, self._following, place), media=MEDIA_TYPE)


def read_place(text: str, parameter: str) -> tuple[int, int]:
    """Epoch and revision of a cursor of a client's; raises Problem (400)."""
    try:
        place = parse_cursor(text)
    except ValueError:
        place = (-1, -1)
    if not all(0 <= part <= _LARGEST for part in place):
        what = "not a cursor: take it from an event's id, or from a task's revision"
        raise Problem(400, "bad_cursor", detail=what, errors=[Detail(what, parameter=parameter)])
    return place


def events(engine: EnginePort, following: Following) -> Resource:
    """The resource, with its row."""
    return Resource(
        "events",
        (
            Operation(
                name="stream",
                method="GET",
                path="/v1/events",
                summary="Follow the recorded moves of all tasks, as server-sent events",
                call=Events(engine, following).stream,
                query=EventQuery,
                headers={"Last-Event-ID": "Where to go on; stronger than `since`."},
                answers=(
                    Answer(
                        200,
                        "A stream without an end, until the engine drains or the server ends. "
                        "`id` is the cursor to resume after; `event` is `task.state`, `reset`, or "
                        "`coalesced` where earlier moves of the same tasks are left out; `data` "
                        "is JSON. A comment comes after each 15 s of silence.",
                        str,
                        media=MEDIA_TYPE,
                    ),
                ),
                problems=(503,),
            ),
        ),
    )


def _cursor(place: tuple[int, int]) -> str:
    return f"{place[0]}.{place[1]}"
