"""The resource ``tasks``: list, look at one, take its output, cancel it; see `submitting` too."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from engine import OutputNotReady, TaskSnapshot, parse_cursor, task_json

from .events import Following, read_place
from .operations import Answer, Asked, Nothing, Operation, Reply, Resource
from .problems import RETRY_AFTER, Detail, Problem
from .schemas import CancelBody, Cancelled, ListQuery, Task, TaskList, TaskQuery
from .submitting import Submitting, submissions

if TYPE_CHECKING:
    from .ports import EnginePort

_LARGEST_ID: Final = 2**63 - 1
_COUNTING_PAGE: Final = 1_000
_CURSOR_MARK: Final = b"tasks1:"


class Tasks:
    """The handlers.

    Args:
        engine: Where the tasks are.
        wall: The wall clock, for ages and for the time until the next look.
        following: What all who follow the engine share.
    """

    def __init__(
        self,
        engine: EnginePort,
        wall: Callable[[], float] = time.time,
        following: Following | None = None,
    ) -> None:
        self._engine = engine
        self._wall = wall
        self._following = following or Following.of(engine)

    async def listing(self, asked: Asked[ListQuery, None]) -> Reply:
        """GET /v1/tasks."""
        query = asked.query
        after = None if query.cursor is None else _read_cursor(query.cursor)
        page = await self._engine.list(query.q, after=after, limit=query.limit)
        body: dict[str, object] = {"tasks": [self.json(task) for task in page.tasks], "next": None}
        headers = {}
        if page.next_after is not None:
            body["next"] = cursor = _cursor(page.next_after)
            following = {**msgspec.structs.asdict(query), "cursor": cursor}
            kept = {name: value for name, value in following.items() if value not in {None, ""}}
            headers["Link"] = f'</v1/tasks?{urlencode(kept)}>; rel="next"'
        if query.count is not None:
            body["count"] = await self._count(query.q)
        return Reply(200, body, headers)

    async def one(self, asked: Asked[TaskQuery, None]) -> Reply:
        """GET /v1/tasks/{id}."""
        task_id = _task_id(asked.path)
        known = asked.headers.get("If-None-Match")
        since = None if asked.query.since is None else read_place(asked.query.since, "since")
        if asked.query.wait and since is None and known is None:
            what = "needs since, or If-None-Match: else nobody can say what would be news"
            raise Problem(
                400, "bad_parameter", detail=what, errors=[Detail(what, parameter="wait")]
            )

        def is_news(task: TaskSnapshot) -> bool:
            if since is not None:
                return parse_cursor(task.cursor) > since
            return not _matches(known, _etag(task))

        task = await self._engine.get(task_id)
        if not is_news(task) and asked.query.wait:
            task = await self._news(task_id, is_news, asked.query.wait)
        headers = self.headers(task)
        if not is_news(task):
            return Reply(304, headers=headers)
        return Reply(200, self.json(task), headers)

    async def _news(
        self, task_id: int, is_news: Callable[[TaskSnapshot], bool], seconds: float
    ) -> TaskSnapshot:
        """The task as soon as it is news, or as it is when the time is over."""
        live, standing, _ = self._following
        with standing.within(seconds), live.watching(task_id) as watch:
            while not (live.ended or is_news(await self._engine.get(task_id))):
                await watch.moved()
                watch.reset()
        return await self._engine.get(task_id)

    async def output(self, asked: Asked[Nothing, None]) -> Reply:
        """GET /v1/tasks/{id}/output."""
        task_id = _task_id(asked.path)
        try:
            text = await self._engine.output_json(task_id)
        except OutputNotReady as early:
            task = early.snapshot
            return Reply(202, self.json(task), self.headers(task))
        return Reply(200, msgspec.Raw(text.encode()))

    async def cancel(self, asked: Asked[Nothing, CancelBody]) -> Reply:
        """POST /v1/tasks/{id}/cancel."""
        answer = await self._engine.cancel(_task_id(asked.path), reason=asked.body.reason)
        already = answer.rung == "already_final"
        body = {"rung": answer.rung, "task": self.json(answer.snapshot)}
        return Reply(200 if already else 202, body)

    def json(self, task: TaskSnapshot) -> dict[str, object]:
        """A task as it is shown."""
        return task_json(task, self._wall())

    def headers(self, task: TaskSnapshot) -> dict[str, str]:
        """The headers of an answer about a task: its ETag, and when to ask again."""
        headers = {"ETag": _etag(task)}
        if not task.state.final:
            wait = RETRY_AFTER
            if task.next_poll_at is not None:
                wait = max(wait, math.ceil(task.next_poll_at - self._wall()))
            headers["Retry-After"] = str(wait)
        return headers

    async def _count(self, query: str) -> int:
        """How many tasks match, exactly; asked for by name, as it may read every row."""
        if not query.strip():
            return sum(self._engine.counts().values())
        found, after = 0, None
        while True:
            page = await self._engine.list(query, after=after, limit=_COUNTING_PAGE)
            found += len(page.tasks)
            if page.next_after is None:
                return found
            after = page.next_after


def tasks(
    engine: EnginePort,
    wall: Callable[[], float] = time.time,
    following: Following | None = None,
) -> Resource:
    """The resource, with its rows."""
    following = following or Following.of(engine)
    handlers = Tasks(engine, wall, following)
    submitting = Submitting(engine, following.standing, handlers.json, handlers.headers)
    etag = {"ETag": "Changes with every recorded move of the task, and with nothing else."}
    later = {"Retry-After": "Seconds until it is worth asking again."}
    return Resource(
        "tasks",
        (
            *submissions(submitting, etag, later),
            Operation(
                name="list",
                method="GET",
                path="/v1/tasks",
                summary="List tasks, newest first",
                call=handlers.listing,
                query=ListQuery,
                answers=(
                    Answer(
                        200,
                        "A page; it may be short or empty while more is to come: follow next.",
                        TaskList,
                        {"Link": "The next page, rel=next; not on the last one."},
                    ),
                ),
            ),
            Operation(
                name="get",
                method="GET",
                path="/v1/tasks/{id}",
                summary="Look at one task, or wait for news; a failed one is a 200 as well",
                call=handlers.one,
                query=TaskQuery,
                headers={"If-None-Match": "The ETag that is known already."},
                answers=(
                    Answer(200, "The task.", Task, {**etag, **later}),
                    Answer(304, "It has not moved since, in time.", None, {**etag, **later}),
                ),
                problems=(404,),
            ),
            Operation(
                name="output",
                method="GET",
                path="/v1/tasks/{id}/output",
                summary="Take the output of a task that has succeeded",
                call=handlers.output,
                query=Nothing,
                answers=(
                    Answer(200, "The output itself, whatever JSON it is.", Any),
                    Answer(202, "There is none yet; the task.", Task, {**etag, **later}),
                ),
                problems=(404, 409, 410),
            ),
            Operation(
                name="cancel",
                method="POST",
                path="/v1/tasks/{id}/cancel",
                summary="Cancel a task; the answer says what that really did",
                call=handlers.cancel,
                query=Nothing,
                body=CancelBody,
                empty_body=CancelBody(),
                answers=(
                    Answer(202, "Asked for, or done: see the rung.", Cancelled),
                    Answer(200, "It had ended before; nothing was done.", Cancelled),
                ),
                problems=(404, 422, 503),
            ),
        ),
    )


def _etag(task: TaskSnapshot) -> str:
    return f'W/"{task.cursor}"'


def _task_id(path: Mapping[str, str]) -> int:
    text = path["id"]
    if text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= _LARGEST_ID:
        return int(text)
    raise Problem(404, "task_not_found", detail="there is no such task: an id is a whole number")


def _matches(given: str | None, etag: str) -> bool:
    """Weak comparison of If-None-Match with the present ETag."""
    if given is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _cursor(after: int) -> str:
    return base64.urlsafe_b64encode(_CURSOR_MARK + str(after).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> int:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    digits = raw.removeprefix(_CURSOR_MARK)
    if digits == raw or not digits.isdigit() or len(digits) > 19:
        problem = "not a cursor of this listing: take it from 'next' or from the Link header"
        raise Problem(
            400, "bad_cursor", detail=problem, errors=[Detail(problem, parameter="cursor")]
        )
    return int(digits)
