"""Tasks of a listing as JSON: from a running engine's memory where it answers, else the file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from engine import task_json

from ..control import SyncControl
from ..ports import ControlRefused, ControlUnreachable
from .place import LIVE_FACTS, live_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine import Query, Reader

ASKED: Final = 1_000
"""Tasks that an engine is asked for at most: a longer listing shall not keep it from its work."""
_PAGE: Final = 500
_ASKED_PAGE: Final = 200


class Pages:
    """At most ``limit`` matching tasks, newest first, in the shape of docs/json.md.

    Args:
        reader: An open reader of the store.
        query: What must hold for them.
        after: Only tasks with ids below this one.
        limit: How many at most.
        wall: The wall clock, for ages.
        connect: Opens a control socket.

    The file knows of looks only what was true some seconds ago; an engine that runs and answers
    knows more. One that falls silent within the listing leaves the rest of it to the file.
    """

    def __init__(
        self,
        reader: Reader,
        query: Query,
        after: int | None,
        limit: int,
        *,
        wall: Callable[[], float] = time.time,
        connect: Callable[..., SyncControl] = SyncControl,
    ) -> None:
        self._reader = reader
        self._query = query
        self._left = limit
        self._wall = wall
        self._connect = connect
        self.next_after = after
        """Where the rest begins, None at the end; valid once all was read."""

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        endpoint = live_endpoint(self._reader.owner()) if self._left <= ASKED else None
        if endpoint is not None:
            try:
                yield from self._from_memory(endpoint)
            except (ControlRefused, ControlUnreachable):
                pass
            else:
                return
        yield from self._from_file()

    def _from_memory(self, endpoint: str) -> Iterator[Mapping[str, Any]]:
        text, cursor = self._query.text, None
        if self.next_after is not None:
            text += f" id<{self.next_after}"
        with self._connect(endpoint, patience=LIVE_FACTS) as control:
            while self._left > 0:
                page: Any = control.tasks(text, limit=min(self._left, _ASKED_PAGE), cursor=cursor)
                for task in page["tasks"]:
                    yield task
                    self._left -= 1
                    self.next_after = task["id"]
                cursor = page["next"]
                if cursor is None:
                    self.next_after = None
                    return

    def _from_file(self) -> Iterator[Mapping[str, Any]]:
        now, after = self._wall(), self.next_after
        while self._left > 0:
            page = self._reader.page(self._query, after=after, limit=min(self._left, _PAGE))
            for task in page.tasks:
                yield task_json(task, now)
            self._left -= len(page.tasks)
            self.next_after = after = page.next_after
            if after is None:
                return
