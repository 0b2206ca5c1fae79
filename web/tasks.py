"""The resource ``tasks``: submit, list, look at one, take its output, cancel it."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from engine import OutputNotReady, TaskSnapshot, task_json

from .operations import Answer, Asked, Nothing, Operation, Reply, Resource
from .problems import RETRY_AFTER, Detail, Problem
from .schemas import CancelBody, Cancelled, ListQuery, SubmitBody, Task, TaskList

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
    """

    def __init__(self, engine: EnginePort, wall: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._wall = wall

    async def submit(self, asked: Asked[Nothing, SubmitBody]) -> Reply:
        """POST /v1/tasks."""
        if "Idempotency-Key" in asked.headers:
            # Passing it over would make a client feel safe that is not.
            raise Problem(
                400,
                "idempotency_key_not_supported",
                detail="idempotency keys are not kept here: send the request without one",
                errors=[Detail("not supported", parameter="Idempotency-Key")],
            )
        body = asked.body
        task_id = await self._engine.submit(
            body.kind,
            arguments=body.arguments,
            name=body.name,
            key=body.key,
            priority=body.priority,
            tags=body.tags,
            timeout=_seconds(body.timeout_ms),
            deadline=_seconds(body.deadline_ms),
            start_by=_seconds(body.start_by_ms),
            not_before=body.not_before.timestamp() if body.not_before is not None else None,
            attempts=body.attempts,
        )
        task = await self._engine.get(task_id)
        return Reply(202, self._json(task), {"Location": _path(task_id), **self.headers(task)})

    async def listing(self, asked: Asked[ListQuery, None]) -> Reply:
        """GET /v1/tasks."""
        query = asked.query
        after = None if query.cursor is None else _read_cursor(query.cursor)
        page = await self._engine.list(query.q, after=after, limit=query.limit)
        body: dict[str, object] = {"tasks": [self._json(task) for task in page.tasks], "next": None}
        headers = {}
        if page.next_after is not None:
            body["next"] = cursor = _cursor(page.next_after)
            following = {**msgspec.structs.asdict(query), "cursor": cursor}
            kept = {name: value for name, value in following.items() if value not in {None, ""}}
            headers["Link"] = f'</v1/tasks?{urlencode(kept)}>; rel="next"'
        if query.count is not None:
            body["count"] = await self._count(query.q)
        return Reply(200, body, headers)

    async def one(self, asked: Asked[Nothing, None]) -> Reply:
        """GET /v1/tasks/{id}."""
        task = await self._engine.get(_task_id(asked.path))
        headers = self.headers(task)
        if _matches(asked.headers.get("If-None-Match"), headers["ETag"]):
            return Reply(304, headers=headers)
        return Reply(200, self._json(task), headers)

    async def output(self, asked: Asked[Nothing, None]) -> Reply:
        """GET /v1/tasks/{id}/output."""
        task_id = _task_id(asked.path)
        try:
            text = await self._engine.output_json(task_id)
        except OutputNotReady as early:
            task = early.snapshot
            return Reply(202, self._json(task), self.headers(task))
        return Reply(200, msgspec.Raw(text.encode()))

    async def cancel(self, asked: Asked[Nothing, CancelBody]) -> Reply:
        """POST /v1/tasks/{id}/cancel."""
        answer = await self._engine.cancel(_task_id(asked.path), reason=asked.body.reason)
        already = answer.rung == "already_final"
        body = {"rung": answer.rung, "task": self._json(answer.snapshot)}
        return Reply(200 if already else 202, body)

    def _json(self, task: TaskSnapshot) -> dict[str, object]:
        return task_json(task, self._wall())

    def headers(self, task: TaskSnapshot) -> dict[str, str]:
        """The headers of an answer about a task: its ETag, and when to ask again."""
        headers = {"ETag": f'W/"{task.cursor}"'}
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


def tasks(engine: EnginePort, wall: Callable[[], float] = time.time) -> Resource:
    """The resource, with its rows."""
    handlers = Tasks(engine, wall)
    etag = {"ETag": "Changes with every recorded move of the task, and with nothing else."}
    later = {"Retry-After": "Seconds until it is worth asking again."}
    return Resource(
        "tasks",
        (
            Operation(
                name="submit",
                method="POST",
                path="/v1/tasks",
                summary="Submit a task of a registered kind; durable when this is answered",
                call=handlers.submit,
                query=Nothing,
                body=SubmitBody,
                answers=(
                    Answer(202, "Accepted.", Task, {"Location": "The task.", **etag, **later}),
                ),
                problems=(422, 429, 503),
            ),
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
                summary="Look at one task; a failed one is a 200 as well",
                call=handlers.one,
                query=Nothing,
                headers={"If-None-Match": "The ETag that is known already."},
                answers=(
                    Answer(200, "The task.", Task, {**etag, **later}),
                    Answer(304, "It has not moved since.", None, {**etag, **later}),
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


def _path(task_id: int) -> str:
    return f"/v1/tasks/{task_id}"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


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
