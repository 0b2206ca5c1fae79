"""``creche stats``: count a store's tasks, and show how its engine does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from engine import counts_json, time_json

from ..control import SyncControl
from ..ports import ControlRefused, ControlUnreachable
from ..text import LOOKS, age, count, safe_text
from .exits import Exit
from .output import complain, paint, say, say_json
from .place import LIVE_FACTS, JsonOption, StoreOption, live_endpoint, locate, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine import Owner, State

_LABEL: Final = 17


def stats(*, as_json: JsonOption = False, store: StoreOption = None) -> int:
    """Count a store's tasks, and show how its engine does."""
    path = locate(store)
    with opened(store) as reader:
        counts = reader.counts()
        owner = reader.owner()
    live = _live(owner)
    if as_json:
        document: dict[str, object] = {
            "store": str(path),
            "counts": counts_json(counts),
            "owner": _owner_json(owner),
            "engine": live,
        }
        say_json(document)
        return Exit.OK
    say(f"{'store':<{_LABEL}}{safe_text(str(path))}")
    say(f"{'engine':<{_LABEL}}{_engine_words(owner, time.time())}")
    for line in _count_lines(counts):
        say(line)
    for line in _live_lines(live or {}):
        say(line)
    return Exit.OK


def _live(owner: Owner | None) -> dict[str, object] | None:
    """The figures of an engine that runs and answers, else None."""
    endpoint = live_endpoint(owner)
    if endpoint is None:
        return None
    try:
        with SyncControl(endpoint, patience=LIVE_FACTS) as control:
            return control.stats()
    except (ControlRefused, ControlUnreachable) as error:
        complain("stats", f"counts are from the file: {error}")
        return None


def _owner_json(owner: Owner | None) -> dict[str, object] | None:
    if owner is None:
        return None
    return {
        "pid": owner.pid,
        "epoch": owner.epoch,
        "started_at": time_json(owner.started_at),
        "alive": owner.alive,
        "clean": owner.clean,
        "control": owner.endpoint,
        "version": owner.version,
    }


def _engine_words(owner: Owner | None, now: float) -> str:
    if owner is None:
        return "none has run here yet"
    who = f"process {owner.pid}, epoch {owner.epoch}, creche {safe_text(owner.version) or '?'}"
    if owner.alive:
        return f"running for {age(now - owner.started_at)} ({who})"
    how = "has ended in good order" if owner.clean else "died"
    return f"none runs; the last one {how} ({who})"


def _count_lines(counts: Mapping[State, int]) -> Iterator[str]:
    yield f"{'tasks':<{_LABEL}}{count(sum(counts.values())):>9}"
    for state, look in LOOKS.items():
        if counts.get(state):
            yield (
                paint(f"{look.glyph} {state!s}".ljust(_LABEL), look.ansi)
                + f"{count(counts[state]):>9}"
            )


def _live_lines(live: Mapping[str, object]) -> Iterator[str]:
    """What only the engine's memory knows; a figure that an older engine lacks is left out."""
    for label, taken, capacity in (
        ("slots", "slots_taken", "capacity"),
        ("run() threads", "threads_busy", "capacity"),
        ("looks", "looks_busy", "poll_capacity"),
        ("live", "live", "live_limit"),
    ):
        if isinstance(live.get(taken), int) and isinstance(live.get(capacity), int):
            yield f"{label:<{_LABEL}}{live[taken]:>9,} of {live[capacity]:,}"
    for label, name in (("polls", "polls"), ("zombies", "zombies"), ("not yet durable", "backlog")):
        if isinstance(live.get(name), int):
            yield f"{label:<{_LABEL}}{live[name]:>9,}"
    if live.get("draining"):
        yield "it is draining: it takes no task and starts none"
