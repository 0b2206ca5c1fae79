"""Asks a running engine over its control socket: HTTP on a unix socket, two clients of one API.

`SyncControl` is for the command line, `AsyncControl` for the dashboard (it is a `Control` of
`tui.ports`). Both build requests and judge answers with the same functions below; httpx is loaded
at the first request, because most commands never make one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, final
from urllib.parse import urlencode

import msgspec

from .ports import ControlRefused, ControlUnreachable

if TYPE_CHECKING:
    import httpx

PATIENCE: Final = 5.0
"""Seconds until an engine that does not answer counts as unreachable."""

_BASE: Final = "http://localhost"


def _cancel_body(reason: str | None) -> dict[str, object]:
    return {} if reason is None else {"reason": reason}


def _answer(endpoint: str, response: httpx.Response) -> dict[str, object]:
    """Take the JSON object of a good answer; raise ControlRefused for a problem document."""
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ControlUnreachable(endpoint, f"it sent no JSON object ({response.status_code})")
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return document
    detail = document.get("detail") or document.get("title")
    raise ControlRefused(
        response.status_code,
        str(document.get("code") or "unknown"),
        str(detail or HTTPStatus(response.status_code).phrase),
    )


def _unreachable(endpoint: str, error: Exception, patience: float) -> ControlUnreachable:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return ControlUnreachable(endpoint, f"no answer within {patience:g} s")
    return ControlUnreachable(endpoint, str(error) or type(error).__name__)


@final
class SyncControl:
    """The control socket for code that waits for each answer.

    Args:
        endpoint: Path of the socket, as the owner row names it.
        patience: Seconds to wait for one answer.

    Every call raises `ControlUnreachable` when no answer came and `ControlRefused` when the
    answer was a problem document.
    """

    def __init__(self, endpoint: str, *, patience: float = PATIENCE) -> None:
        self.endpoint = endpoint
        self._patience = patience
        self._client: httpx.Client | None = None
        self._closed = False

    def stats(self) -> dict[str, object]:
        """The engine's statistics, as ``GET /v1/stats``."""
        return self._ask("GET", "/v1/stats")

    def task(self, task_id: int) -> dict[str, object]:
        """One task with what only memory knows, as ``GET /v1/tasks/{id}``."""
        return self._ask("GET", f"/v1/tasks/{task_id}")

    def tasks(self, query: str, *, limit: int, cursor: str | None = None) -> dict[str, object]:
        """A page of a listing with what only memory knows, as ``GET /v1/tasks``."""
        asked = {"q": query, "limit": limit} | ({} if cursor is None else {"cursor": cursor})
        return self._ask("GET", f"/v1/tasks?{urlencode(asked)}")

    def cancel(self, task_id: int, reason: str | None = None) -> dict[str, object]:
        """Ask for a task's end; the answer names the rung that was reached."""
        return self._ask("POST", f"/v1/tasks/{task_id}/cancel", _cancel_body(reason))

    def kinds(self) -> dict[str, object]:
        """The kinds that can be submitted, as ``GET /v1/kinds``."""
        return self._ask("GET", "/v1/kinds")

    def submit(self, body: dict[str, object]) -> dict[str, object]:
        """Submit a task, as ``POST /v1/tasks``; it is durable when the answer is there."""
        return self._ask("POST", "/v1/tasks", body)

    def close(self) -> None:
        """Let go of the connection; further calls raise `ControlUnreachable`."""
        self._closed = True
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> SyncControl:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, object]:
        import httpx

        if self._closed:
            raise ControlUnreachable(self.endpoint, "this client is closed")
        if self._client is None:
            self._client = httpx.Client(
                transport=httpx.HTTPTransport(uds=self.endpoint),
                base_url=_BASE,
                timeout=self._patience,
                trust_env=False,
            )
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _unreachable(self.endpoint, error, self._patience) from error
        return _answer(self.endpoint, response)


@final
class AsyncControl:
    """The control socket for an event loop (asyncio or Trio): a `Control` of `tui.ports`.

    Args:
        endpoint: Path of the socket, as the owner row names it.
        patience: Seconds to wait for one answer.
    """

    def __init__(self, endpoint: str, *, patience: float = PATIENCE) -> None:
        self.endpoint = endpoint
        self._patience = patience
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    async def stats(self) -> dict[str, object]:
        """The engine's statistics, as ``GET /v1/stats``."""
        return await self._ask("GET", "/v1/stats")

    async def task(self, task_id: int) -> dict[str, object]:
        """One task with what only memory knows, as ``GET /v1/tasks/{id}``."""
        return await self._ask("GET", f"/v1/tasks/{task_id}")

    async def cancel(self, task_id: int, reason: str | None = None) -> dict[str, object]:
        """Ask for a task's end; the answer names the rung that was reached."""
        return await self._ask("POST", f"/v1/tasks/{task_id}/cancel", _cancel_body(reason))

    async def aclose(self) -> None:
        """Let go of the connection; further calls raise `ControlUnreachable`."""
        self._closed = True
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _ask(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> dict[str, object]:
        import httpx

        if self._closed:
            raise ControlUnreachable(self.endpoint, "this client is closed")
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=self.endpoint),
                base_url=_BASE,
                timeout=self._patience,
                trust_env=False,
            )
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _unreachable(self.endpoint, error, self._patience) from error
        return _answer(self.endpoint, response)
