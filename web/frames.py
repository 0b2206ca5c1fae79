"""Events as server-sent ones: the bytes of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from engine import Event, Reset, event_json, parse_cursor

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b": heartbeat\n\n"
SQUEEZED: Final = 1_000
"""Of more events than this at once only the last one of each task is sent."""
RETRY_MS: Final = 1_000


def opening(cursor: str) -> bytes:
    """The first words: where the client stands, before anything has come, and when to come again.

    An id without data is no event, but what the client resumes after.
    """
    return f"retry: {RETRY_MS}\nid: {cursor}\n\n".encode()


def encode(events: Sequence[Event | Reset]) -> bytes:
    """Events one after the other."""
    return b"".join(map(_frame, events))


def encode_last(
    events: Sequence[Event | Reset], squeezed: int = SQUEEZED
) -> tuple[bytes, Sequence[Event | Reset]]:
    """The word that precedes events, and those that are to be sent: all of a few, of very many the
    last one of each task. The word says how many are left out, it is empty when none is."""
    if len(events) <= squeezed:
        return b"", events
    kept = squeeze(events)
    left_out = len(events) - len(kept)
    if not left_out:
        return b"", events
    word = msgspec.json.encode({"type": "coalesced", "left_out": left_out})
    return b"event: coalesced\ndata: " + word + b"\n\n", kept


def squeeze(events: Sequence[Event | Reset]) -> list[Event | Reset]:
    """The last event of each task, in order; a reset stays. A final state is always a last one."""
    last = {event.task_id: event for event in events if isinstance(event, Event)}
    return [event for event in events if isinstance(event, Reset) or last[event.task_id] is event]


def place_of(event: Event | Reset) -> tuple[int, int]:
    """Epoch and revision of an event: where its reader stands after it."""
    return parse_cursor(event.cursor)


def _frame(event: Event | Reset) -> bytes:
    # JSON of msgspec is one line: a line's end inside a string is spelled out.
    body = event_json(event)
    head = f"id: {body['id']}\nevent: {body['type']}\ndata: ".encode()
    return head + msgspec.json.encode(body) + b"\n\n"
