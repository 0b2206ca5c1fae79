"""The app: every resource's rows joined into one Quart app that answers nobody by default."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from quart import Blueprint, Response, request
from quart_trio import QuartTrio

from .auth import Access, is_trusted
from .dispatch import tell, view
from .events import Following
from .gate import REQUEST_ID, Gate
from .problems import problem_of
from .rows import resources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from quart.typing import ResponseReturnValue
    from quart.wrappers import Request
    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Response as WerkzeugResponse

    from .gate import App
    from .operations import Operation, Resource
    from .ports import EnginePort


class Api(QuartTrio):
    """A Quart app that loses no exception and leaves the process's logging alone."""

    @property
    def logger(self) -> logging.Logger:
        """Ours; Quart's would add a handler to the process's logging, and start a thread."""
        return logging.getLogger("creche.web")

    async def handle_request(self, request: Request) -> Response | WerkzeugResponse:
        """Answer a request; what has no answer passes whole, for the gate to log and to tell.

        Quart-Trio's own gives on one half of a group that also holds a cancellation.
        """
        async with self.request_context(request) as context:
            return await self.full_dispatch_request(context)

    async def handle_user_exception(self, *arguments: Any) -> HTTPException | ResponseReturnValue:
        """Answer an error that has an answer; a group has one only as the wrapping of one error.

        Args:
            arguments: The error, and before it, from Quart 0.23 on, the context.
        """
        *context, error = arguments
        leaves = list(_leaves(error))
        if len(leaves) != 1 or not isinstance(leaves[0], Exception):
            raise error
        by_quart = cast(
            "Callable[..., Awaitable[ResponseReturnValue]]", super().handle_user_exception
        )
        return await by_quart(*context, leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def create_app(
    engine: EnginePort,
    *,
    access: Access,
    following: Following | None = None,
    body_timeout: float = 10.0,
    wall: Callable[[], float] = time.time,
    new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    access_log: logging.Logger | None = None,
) -> QuartTrio:
    """Make the app that speaks for an engine.

    Args:
        engine: An open engine. Quart's handlers run on its thread.
        access: Whom it answers.
        following: What all who follow the engine share, kept running by the caller; when left out
            the app has its own, kept running by its server (ASGI's lifespan).
        body_timeout: Seconds that a request's body may take.
        wall: The wall clock.
        new_id: Makes the id of a request that brings none.
        access_log: Gets a line for each request.
    """
    app = Api("web", static_folder=None, template_folder=None)
    app.config["DEBUG"] = False
    app.config["BODY_TIMEOUT"] = body_timeout
    # A stream may go on for ever; one that is not read is cut by the connection.
    app.config["RESPONSE_TIMEOUT"] = None
    # `//v1/tasks` is another path, and gets no redirection to this one.
    app.url_map.merge_slashes = False
    if following is None:
        following = Following.of(engine)
        _keep_running(app, following)
    found = resources(engine, wall, following)
    rows: dict[str, Operation[Any, Any]] = {}
    for resource in found:
        app.register_blueprint(_blueprint(resource))
        rows |= {f"{resource.name}.{row.name}": row for row in resource.operations}
    _guard(app, access, rows)
    limits = {row.path: row.body_limit for row in rows.values() if row.body is not None}
    # The largest of all; each route has its own.
    app.config["MAX_CONTENT_LENGTH"] = max(limits.values())
    gate = Gate(cast("App", app.asgi_app), access, new_id, access_log, limits)
    app.asgi_app = gate  # type: ignore[method-assign, assignment]  # Quart's place for middleware
    return app


def _keep_running(app: Api, following: Following) -> None:
    @app.before_serving
    async def follow() -> None:
        app.nursery.start_soon(following.live.run)

    @app.after_serving
    async def end() -> None:
        following.live.close()
        following.standing.close()


def _blueprint(resource: Resource) -> Blueprint:
    made = Blueprint(resource.name, __name__)
    for row in resource.operations:
        made.add_url_rule(
            row.rule,
            endpoint=row.name,
            view_func=view(row),
            methods=[row.method],
            provide_automatic_options=False,
        )
    return made


def _guard(app: Api, access: Access, rows: dict[str, Operation[Any, Any]]) -> None:
    """Let nothing through but what was let in, and nothing out but answers and problems."""

    @app.before_request
    async def admit() -> None:
        row = rows.get(request.endpoint or "")
        if not (row and row.open) and not is_trusted(request.scope):
            access.check(request.headers.get("Authorization"))

    @app.errorhandler(Exception)
    async def explain(error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None:
            raise error
        scope = cast("Mapping[str, Any]", request.scope)
        return tell(problem, request.path, scope[REQUEST_ID])
