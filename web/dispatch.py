"""From a Quart request to a row's handler and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec
import trio
from quart import Response, request

from .bodies import fit, read_json
from .gate import CLEANUP
from .operations import JSON, Asked, Operation, Reply
from .problems import MEDIA_TYPE, Detail, Problem


def view(operation: Operation[Any, Any]) -> Callable[..., Awaitable[Response]]:
    """The function that Quart calls for a row, once its route has matched."""

    async def answer(**places: str) -> Response:
        _check_accept(operation)
        query = _query(operation)
        body = await _body(operation)
        cleanup = cast("Mapping[str, Any]", request.scope)[CLEANUP]
        return respond(await operation.call(Asked(places, query, body, request.headers, cleanup)))

    return answer


def respond(reply: Reply) -> Response:
    """A handler's reply as Quart sends it."""
    if reply.body is msgspec.UNSET:
        response = Response(b"", reply.status, dict(reply.headers))
        # No body is not a body of no bytes: a 304 speaks of the length of what it stands for.
        response.headers.pop("Content-Length", None)
        response.headers.pop("Content-Type", None)
        return response
    endless = isinstance(reply.body, AsyncIterator)
    data: Any = reply.body if endless else msgspec.json.encode(reply.body)
    if endless and request.method == "HEAD":
        data = b""  # nobody else would cut its body off
    response = Response(data, reply.status, dict(reply.headers), content_type=reply.media)
    if endless:
        response.headers.pop("Content-Length", None)
    return response


def tell(problem: Problem, path: str, request_id: str) -> Response:
    """A problem as Quart sends it."""
    document = problem.document(instance=path, request_id=request_id)
    return Response(document, problem.status, problem.headers, content_type=MEDIA_TYPE)


def _check_accept(operation: Operation[Any, Any]) -> None:
    """Raise Problem (406) for a client that does not take what the operation answers with."""
    accepted = request.accept_mimetypes
    offered = list(dict.fromkeys(answer.media for answer in operation.answers))
    if accepted and not accepted.best_match([*offered, MEDIA_TYPE]):
        raise Problem(406, detail=f"answers are {', '.join(offered)}: accept that")


def _query(operation: Operation[Any, Any]) -> msgspec.Struct:
    """The query parameters in their types; raises Problem (400) naming the one that is wrong."""
    given: Mapping[str, list[str]] = request.args.to_dict(flat=False)
    known = {field.encode_name for field in msgspec.structs.fields(operation.query)}
    for name, values in given.items():
        if name not in known:
            what = f"unknown; known here: {', '.join(sorted(known)) or 'none'}"
            raise _bad_parameter("unknown_parameter", name, what)
        if len(values) > 1:
            raise _bad_parameter("bad_parameter", name, "given more than once")
    flat = {name: values[0] for name, values in given.items()}
    try:
        query: msgspec.Struct = fit(flat, operation.query, strict=False)
    except Problem as problem:
        (part,) = problem.errors
        name = (part.pointer or "").lstrip("/")
        raise _bad_parameter("bad_parameter", name, part.detail) from problem
    return query


def _bad_parameter(code: str, name: str, what: str) -> Problem:
    shown = name[:80]
    return Problem(
        400,
        code,
        detail=f"query parameter {shown!r}: {what}",
        errors=[Detail(what, parameter=shown)],
    )


async def _body(operation: Operation[Any, Any]) -> object:
    """The body in its type; raises Problem."""
    sent = (request.content_length or 0) > 0 or "Transfer-Encoding" in request.headers
    if operation.body is None:
        if sent:
            raise Problem(400, "unexpected_body", detail="this request takes no body")
        return None
    if not sent and operation.empty_body is not None:
        return operation.empty_body
    _check_content()
    data = await _all_data(operation.body_limit)
    if not data and operation.empty_body is not None:
        return operation.empty_body
    return read_json(data, operation.body)


async def _all_data(limit: int) -> bytes:
    """The bytes of the body; raises Problem (408, 413)."""
    data = bytearray()
    with trio.move_on_after(request.body_timeout or float("inf")) as scope:
        async for some in request.body:
            data += some
            if len(data) > limit:
                raise Problem(413, detail=f"the body is over {limit} bytes")
    if scope.cancelled_caught:
        raise Problem(408, detail="the body did not arrive in time")
    return bytes(data)


def _check_content() -> None:
    """Raise Problem (415) unless the body says that it is plain JSON."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise Problem(
            415,
            detail="send the body without a content encoding",
            headers={"Accept-Encoding": "identity"},
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != JSON or charset not in {"utf-8", "utf8"}:
        raise Problem(
            415, detail=f"send the body as Content-Type: {JSON}", headers={"Accept": JSON}
        )
