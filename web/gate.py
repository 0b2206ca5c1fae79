"""Stands before the app: what every request must pass, and what every answer carries.

The checks here need no route: who the request is addressed to (DNS rebinding), whose page sent it
(CSRF), how large its head is. They come before the token, so that a foreign page learns nothing,
not even whether its guess of a token was right.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any, Final, TypeAlias

import trio
from quart.wrappers import base

from .auth import Access, is_trusted
from .connection import CUT
from .operations import BODY_LIMIT
from .problems import MEDIA_TYPE, Problem, defect

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID: Final = "creche.request_id"
"""Key of the scope under which the app finds its request's id."""
HEAD_LIMIT: Final = 16 * 1024
"""Bytes of target and headers."""
CLEANUP: Final = "creche.cleanup"
"""Key of the scope under which the app finds an `ExitStack`, unwound when the request is over."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
STANDING_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer that does not say otherwise itself."""

_NO_LIMITS: Final[Mapping[str, int]] = {}
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_gone = getattr(base, "ClientDisconnectedError", None)
_GONE: Final[tuple[type[Exception], ...]] = () if _gone is None else (_gone,)
"""What Quart raises from 0.23 on when the client has gone; before, the request was cancelled."""

_LOG: Final = logging.getLogger("creche.web")


class Gate:
    """ASGI middleware around the whole app.

    Args:
        app: What is let through to.
        access: Whom a request may be addressed to.
        new_id: Makes the id of a request that brings none, or a strange one.
        log: Gets a line for each request; None for silence.
        body_limits: Bytes of a request's body, for the paths that take more than others.
    """

    def __init__(
        self,
        app: App,
        access: Access,
        new_id: Callable[[], str],
        log: logging.Logger | None = None,
        body_limits: Mapping[str, int] = _NO_LIMITS,
    ) -> None:
        self._app = app
        self._access = access
        self._new_id = new_id
        self._log = log
        self._body_limits = body_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises only what is no error of a request, such as cancellation."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _Headers(scope["headers"])
        given = headers.get(b"x-request-id")
        request_id = given.decode() if given and _SANE_ID.fullmatch(given) else self._new_id()
        answer = _Answer(receive, send, request_id)
        began = trio.current_time()
        try:
            objection = self._objection(scope, headers)
            if objection is None:
                with ExitStack() as cleanup:
                    scope = {**scope, REQUEST_ID: request_id, CLEANUP: cleanup}
                    objection = await self._let_through(scope, answer)
            if objection is not None:
                await answer.problem(objection, scope["path"])
        finally:
            if self._log is not None:
                self._log.info(
                    "%s %s %s %s %.1f ms %s",
                    (scope.get("client") or ("control",))[0],
                    scope["method"],
                    # As it was sent, so without a character that a log could choke on.
                    (scope.get("raw_path") or b"").decode("ascii", "backslashreplace"),
                    answer.status or "unanswered",
                    (trio.current_time() - began) * 1000,
                    request_id,
                )

    async def _let_through(self, scope: Scope, answer: _Answer) -> Problem | None:
        """Run the app; a defect gives the problem to answer with, if that is still possible."""
        try:
            await self._app(scope, answer.receive, answer.send)
        except _GONE:
            return None  # nobody is left to be answered
        except BaseExceptionGroup as group:
            _, others = group.split(_GONE) if _GONE else (None, group)
            if others is None:
                return None
            errors, rest = others.split(Exception)
            if errors is None:
                raise others from None
            failed: BaseException = errors
        except Exception as error:  # noqa: BLE001  whatever it is, the client gets a 500
            failed = error
            rest = None
        else:
            return None
        request_id = scope[REQUEST_ID]
        _LOG.error(
            "request %s, %s %r, met a defect",
            request_id,
            scope["method"],
            scope["path"],
            exc_info=failed,
        )
        if rest is not None:
            raise rest
        if answer.status is None:
            return defect(request_id)
        # Half an answer cannot be taken back; its client must not take it for whole.
        if cut := (scope.get("state") or {}).get(CUT):
            cut()
        return None

    def _objection(self, scope: Scope, headers: _Headers) -> Problem | None:
        if (
            headers.size + len(scope.get("raw_path") or b"") + len(scope["query_string"])
            > HEAD_LIMIT
        ):
            return Problem(431, detail=f"target and headers are over {HEAD_LIMIT} bytes")
        host = headers.get(b"host")
        reached = (scope.get("server") or (None,))[0]
        if not is_trusted(scope) and not self._access.names_us(host, reached):
            return Problem(
                421,
                detail="this server does not answer for that host; start it with the name allowed",
            )
        if not scope["path"].startswith("/"):
            return Problem(400, detail="the target must be a path")
        if scope["method"] not in SAFE_METHODS and _is_foreign(scope["scheme"], host, headers):
            return Problem(
                403, "foreign_origin", detail="a page of another origin sent this request"
            )
        length = headers.get(b"content-length")
        limit = self._body_limits.get(scope["path"], BODY_LIMIT)
        if length is not None and length.isdigit() and int(length[:20]) > limit:
            return Problem(413, detail=f"the body is over {limit} bytes")
        return None


class _Headers:
    """A request's headers by lower-case name; of a repeated one the first."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        # Four bytes a line for the colon, the space and the line's end.
        self.size = sum(len(name) + len(value) + 4 for name, value in raw)
        self._values = {name.lower(): value for name, value in reversed(raw)}

    def get(self, name: bytes) -> bytes | None:
        return self._values.get(name)


def _is_foreign(scheme: str, host: bytes | None, headers: _Headers) -> bool:
    """True when a browser says that a page of another origin (or of none) asks for this."""
    origin = headers.get(b"origin")
    if origin is not None and origin.lower() != scheme.encode() + b"://" + (host or b"").lower():
        return True
    return headers.get(b"sec-fetch-site") not in {None, b"same-origin", b"none"}


class _Answer:
    """The way out: adds what every answer carries; an answer may end before its request does."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self._all_received = False
        self._request_id = request_id
        self.status: int | None = None
        """None until the answer has begun."""

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._all_received = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], (b"x-request-id", self._request_id.encode())]
            present = {name.lower() for name, _ in headers}
            headers += [line for line in STANDING_HEADERS if line[0] not in present]
            message = {**message, "headers": headers}
        if message.get("more_body", True) or self._all_received:
            await self._send(message)
            return
        async with trio.open_nursery() as nursery:
            # Hypercorn's queue of body chunks is short: while it is full, no answer can end.
            nursery.start_soon(self._discard)
            await self._send(message)
            nursery.cancel_scope.cancel()

    async def _discard(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def problem(self, problem: Problem, path: str) -> None:
        body = problem.document(instance=path, request_id=self._request_id)
        headers = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            **problem.headers,
        }
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})
