"""Submissions: one, or many at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from engine import (
    BatchRefused,
    CrecheError,
    EngineClosed,
    Order,
    OutputNotKept,
    Receipt,
    State,
    TaskSnapshot,
)

from .bodies import fit
from .operations import Answer, Asked, Nothing, Operation, Reply
from .preferences import wait_of
from .problems import Detail, Problem, problem_of
from .schemas import (
    WAIT,
    BatchAnswer,
    BatchAnswers,
    BatchBody,
    BatchQuery,
    ShownBatchBody,
    SubmitBody,
    Task,
)

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from .ports import EnginePort
    from .standing import Standing

BATCH_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a batch."""
_TOLD: Final = 100
"""Parts that the refusal of a whole batch names."""
_AT_ONCE: Final = 500
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


class Submitting:
    """The handlers.

    Args:
        engine: Where the tasks go.
        standing: Through which those wait who want the output at once.
        shown: A task as JSON.
        headers: The headers of an answer about a task.
    """

    def __init__(
        self,
        engine: EnginePort,
        standing: Standing,
        shown: Callable[[TaskSnapshot], dict[str, object]],
        headers: Callable[[TaskSnapshot], dict[str, str]],
    ) -> None:
        self._engine = engine
        self._standing = standing
        self._shown = shown
        self._headers = headers

    async def one(self, asked: Asked[Nothing, SubmitBody]) -> Reply:
        """POST /v1/tasks."""
        order = order_of(asked.body, _key(asked.headers, asked.body.unique_key))
        (receipt,) = await self._engine.submit_each([order])
        if isinstance(receipt, CrecheError):
            raise receipt
        headers = {"Location": path_of(receipt.task_id)}
        if receipt.replayed:
            headers["Idempotent-Replayed"] = "true"
        wait = wait_of(asked.headers.get("Prefer"), WAIT)
        if wait is not None:
            headers["Preference-Applied"] = f"wait={wait}"
            output = await self._output(receipt.task_id, wait)
            if output is not None:
                headers["Content-Location"] = f"{path_of(receipt.task_id)}/output"
                return Reply(200, msgspec.Raw(output.encode()), headers)
        task = await self._engine.get(receipt.task_id)
        return Reply(202, self._shown(task), {**headers, **self._headers(task)})

    async def _output(self, task_id: int, seconds: float) -> str | None:
        """The task's output, if there is one in time."""
        with self._standing.within(seconds):
            try:
                await self._engine.wait([task_id])
            except EngineClosed:
                return None  # it drains: the task goes on later, or has been left
        task = await self._engine.get(task_id)
        if task.state is not State.SUCCEEDED:
            return None
        try:
            return await self._engine.output_json(task_id)
        except OutputNotKept:
            return None

    async def many(self, asked: Asked[BatchQuery, BatchBody]) -> Reply:
        """POST /v1/tasks:batch."""
        if "Idempotency-Key" in asked.headers:
            what = "a batch has no key of its own: give its tasks a unique_key each"
            raise _bad_key(what)
        checked: list[Order | Problem] = []
        for item in asked.body.tasks:
            checked.append(_order(item))
            if len(checked) % _AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        if asked.query.atomic:
            answers = await self._all(checked)
        else:
            answers = await self._each(checked)
        results = [_told(place, answer) for place, answer in enumerate(answers)]
        accepted = sum(isinstance(answer, Receipt) for answer in answers)
        return Reply(200, BatchAnswers(results, accepted, len(answers) - accepted))

    async def _each(self, checked: list[Order | Problem]) -> list[Receipt | CrecheError | Problem]:
        orders = [order for order in checked if isinstance(order, Order)]
        receipts = iter(await self._engine.submit_each(orders))
        return [next(receipts) if isinstance(order, Order) else order for order in checked]

    async def _all(self, checked: list[Order | Problem]) -> list[Receipt | CrecheError | Problem]:
        problems: Mapping[int, Problem | CrecheError]
        problems = {at: order for at, order in enumerate(checked) if isinstance(order, Problem)}
        if not problems:
            orders = [order for order in checked if isinstance(order, Order)]
            try:
                return [*await self._engine.submit_each(orders, atomic=True)]
            except BatchRefused as refused:
                problems = refused.errors
        parts = [part for at, error in problems.items() for part in _placed(at, error).errors]
        raise Problem(
            422,
            "batch_refused",
            detail=f"none was submitted: {len(problems)} of {len(checked)} cannot be",
            errors=parts[:_TOLD],
        )


def path_of(task_id: int) -> str:
    """Where a task is."""
    return f"/v1/tasks/{task_id}"


def order_of(body: SubmitBody, unique_key: str | None) -> Order:
    """What a body means to the engine."""
    order = Order.of(
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
        unique_key=unique_key,
    )
    if body.attempts is not None:  # else the kind's own
        order.options["attempts"] = body.attempts
    return order


def _order(item: object) -> Order | Problem:
    """One task of a batch, or what is wrong with it."""
    try:
        body = fit(item, SubmitBody)
    except Problem as problem:
        return problem
    return order_of(body, body.unique_key)


def _told(place: int, answer: Receipt | CrecheError | Problem) -> BatchAnswer:
    if isinstance(answer, Receipt):
        return BatchAnswer(202, answer.task_id, answer.replayed)
    problem = _placed(place, answer)
    return BatchAnswer(problem.status, problem=problem.told())


def _placed(place: int, error: CrecheError | Problem) -> Problem:
    """What is wrong with one task of a batch, told of its place in the body."""
    problem = problem_of(error)
    if problem is None:
        raise error
    where = f"/tasks/{place}"
    parts = [
        # What is wrong with a header of a submission of its own is wrong with the key here.
        Detail(part.detail, pointer=f"{where}{'/unique_key' if part.parameter else part.pointer}")
        for part in problem.errors
    ] or [Detail(problem.detail, pointer=where)]
    return Problem(problem.status, problem.code, detail=problem.detail, errors=parts)


def _key(headers: Headers, in_body: str | None) -> str | None:
    """The idempotency key of a submission; raises Problem (400)."""
    given = headers.getlist("Idempotency-Key")
    if not given:
        return in_body
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise _bad_key("one key of 1 to 255 printable ASCII characters")
    if in_body is not None and in_body != given[0]:
        raise _bad_key("the body's unique_key is another one")
    return given[0]


def _bad_key(what: str) -> Problem:
    return Problem(
        400,
        "bad_idempotency_key",
        detail=f"Idempotency-Key: {what}",
        errors=[Detail(what, parameter="Idempotency-Key")],
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def submissions(
    handlers: Submitting, etag: Mapping[str, str], later: Mapping[str, str]
) -> tuple[Operation[Any, Any], ...]:
    """The rows; ``etag`` and ``later`` describe the headers of an answer about a task."""
    place = {"Location": "The task."}
    replayed = {"Idempotent-Replayed": "`true` when the key was known: nothing was submitted."}
    applied = {"Preference-Applied": "The time that was waited for at most."}
    return (
        Operation(
            name="submit",
            method="POST",
            path="/v1/tasks",
            summary="Submit a task of a registered kind; durable when this is answered",
            call=handlers.one,
            query=Nothing,
            body=SubmitBody,
            headers={
                "Idempotency-Key": "The body's `unique_key`, as a header.",
                "Prefer": f"`wait=N` waits N seconds, at most {WAIT}, for the output.",
            },
            answers=(
                Answer(
                    202,
                    "Accepted. With a key that is known: the task that was submitted then, as it "
                    "is now.",
                    Task,
                    {**place, **replayed, **applied, **etag, **later},
                ),
                Answer(
                    200,
                    "With `Prefer: wait` only: it has succeeded in time; the output itself.",
                    Any,
                    {**place, **replayed, **applied, "Content-Location": "The output."},
                ),
            ),
            problems=(422, 429, 503),
        ),
        Operation(
            name="batch",
            method="POST",
            path="/v1/tasks:batch",
            summary="Submit many tasks; durable when this is answered",
            call=handlers.many,
            query=BatchQuery,
            body=BatchBody,
            shown_body=ShownBatchBody,
            body_limit=BATCH_LIMIT,
            answers=(
                Answer(
                    200,
                    "What became of each, in the order of the batch. With `atomic` all are "
                    "accepted, or the whole is a problem.",
                    BatchAnswers,
                ),
            ),
            problems=(422, 429, 503),
        ),
    )
