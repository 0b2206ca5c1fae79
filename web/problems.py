"""Errors as the API tells them: RFC 9457, from one table.

A `Problem` is an error that knows its status. Whatever else is raised on purpose, by the engine or
by Quart's routing, has a row in `ENGINE_PROBLEMS` or a status of its own; anything without one is a
defect and becomes a 500 that tells the client nothing but the id of its request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from engine import (
    BadArguments,
    BadOption,
    BadQuery,
    EngineClosed,
    KeyReused,
    KindNotFound,
    OutputNotKept,
    OutputNotReady,
    QueueFull,
    StoreFailed,
    TaskEnded,
    TaskNotFound,
    TaskNotInMemory,
)

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final[Mapping[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
"""Every status that an error here can have, in the words of RFC 9110 and RFC 6585; those of the
standard library differ from one Python to the next."""
RETRY_AFTER: Final = 1
"""Seconds that a client is asked to wait when nothing better is known."""


class Detail(NamedTuple):
    """What is wrong with one part of a request: a place in its body, or a parameter."""

    detail: str
    pointer: str | None = None
    """JSON pointer into the body."""
    parameter: str | None = None
    """Name of a query parameter or header."""


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        code: A word for programs; the status's title when left out.
        detail: A sentence for people, what to do included.
        errors: The parts that are wrong.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str | None = None,
        *,
        detail: str,
        errors: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.title = TITLES[status]
        self.code = code or self.title.lower().replace(" ", "_").replace("-", "_")
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        super().__init__(detail)

    def document(self, *, instance: str | None = None, request_id: str | None = None) -> bytes:
        """The answer's body; ``instance`` is the request's path."""
        return msgspec.json.encode(self.told(instance=instance, request_id=request_id))

    def told(
        self, *, instance: str | None = None, request_id: str | None = None
    ) -> ProblemDocument:
        """As `document`, not written out yet."""
        return ProblemDocument(
            type=f"urn:creche:problem:{self.code}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            code=self.code,
            instance=instance if instance is not None else msgspec.UNSET,
            request_id=request_id if request_id is not None else msgspec.UNSET,
            errors=[
                ProblemPart(
                    detail=part.detail,
                    pointer=part.pointer if part.pointer is not None else msgspec.UNSET,
                    parameter=part.parameter if part.parameter is not None else msgspec.UNSET,
                )
                for part in self.errors
            ]
            or msgspec.UNSET,
        )


class ProblemPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with one part of the request."""

    detail: str
    pointer: str | msgspec.UnsetType = msgspec.UNSET
    """JSON pointer into the body."""
    parameter: str | msgspec.UnsetType = msgspec.UNSET
    """Name of a query parameter or header."""


class ProblemDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error, as RFC 9457 tells it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """For programs; stable."""
    instance: str | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    """The same as in X-Request-Id; what the server's log calls this request."""
    errors: list[ProblemPart] | msgspec.UnsetType = msgspec.UNSET


class Row(NamedTuple):
    """How one class of the engine's errors is told; ``parts`` says where it lies in the request."""

    status: int
    code: str
    retry: bool = False
    parts: Callable[[Exception], Sequence[Detail]] | None = None


_OPTIONS: Final = {"timeout": "timeout_ms", "deadline": "deadline_ms", "start_by": "start_by_ms"}
"""Options that a body spells otherwise than `Engine.submit` does."""


def _option(error: Exception) -> Sequence[Detail]:
    option = str(getattr(error, "option", ""))
    return [Detail(str(error), pointer=f"/{_OPTIONS.get(option, option)}")]


ENGINE_PROBLEMS: Final[Mapping[type[Exception], Row]] = {
    TaskNotFound: Row(404, "task_not_found"),
    TaskNotInMemory: Row(404, "task_not_found"),
    OutputNotReady: Row(409, "output_not_ready", retry=True),
    OutputNotKept: Row(410, "output_not_kept"),
    TaskEnded: Row(409, "task_ended"),
    EngineClosed: Row(503, "draining", retry=True),
    QueueFull: Row(429, "queue_full", retry=True),
    StoreFailed: Row(503, "store_failed"),
    KindNotFound: Row(
        422, "kind_not_found", parts=lambda error: [Detail(str(error), pointer="/kind")]
    ),
    BadArguments: Row(
        422, "bad_arguments", parts=lambda error: [Detail(str(error), pointer="/arguments")]
    ),
    BadOption: Row(422, "bad_option", parts=_option),
    KeyReused: Row(
        422,
        "key_reused",
        parts=lambda error: [Detail(str(error), parameter="Idempotency-Key")],
    ),
    BadQuery: Row(400, "bad_query", parts=lambda error: [Detail(str(error), parameter="q")]),
}
"""Error class → how it is told. The nearest base class with a row decides."""


def problem_of(error: BaseException) -> Problem | None:
    """How an error is told to the client; None for a defect, which must be logged instead."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _routing_problem(error)
    for base in type(error).__mro__:
        row = ENGINE_PROBLEMS.get(base)
        if row is not None and isinstance(error, Exception):
            return Problem(
                row.status,
                row.code,
                detail=str(error),
                errors=row.parts(error) if row.parts else (),
                headers={"Retry-After": str(RETRY_AFTER)} if row.retry else None,
            )
    return None


def defect(request_id: str) -> Problem:
    """What a client is told of a defect: where to look for it, and nothing else."""
    return Problem(500, detail=f"something went wrong here; the log names it by {request_id}")


_WORDS: Final[Mapping[int, str]] = {
    404: "there is nothing at this path; /openapi.json lists what there is",
    405: "this path does not take this method",
    408: "the body did not arrive in time",
    413: "the body is over the limit",
}


def _routing_problem(error: HTTPException) -> Problem | None:
    if error.code is None or error.code not in _WORDS:
        return None
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return Problem(error.code, detail=_WORDS[error.code], headers=headers)


def raw_answer(problem: Problem) -> bytes:
    """A whole HTTP/1.1 answer that ends its connection, for where there is no request to answer."""
    body = problem.document()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **problem.headers,
    }
    lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
