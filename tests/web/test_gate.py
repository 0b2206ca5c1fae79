"""What stands before the app: limits, ids, headers, and defects that tell nothing."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio
import trio.testing

from engine import Engine, QueueFull, TaskNotFound
from tests.web.asgi import Answered, ask, hello
from tests.web.kinds import registry
from web import Access, create_app
from web.auth import TRUSTED
from web.gate import HEAD_LIMIT, App, Gate, Receive, Scope, Send


def gate(app: App = hello) -> Gate:
    return Gate(app, Access(), lambda: "made-id")


async def asked(app: App, **request: Any) -> Answered:
    found = await ask(gate(app), **request)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("a", "a"),
        ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ("a/b:c~d=e+f@g.h_i-j", "a/b:c~d=e+f@g.h_i-j"),
        ("x" * 128, "x" * 128),
        ("x" * 129, "made-id"),
        ("", "made-id"),
        ("a b", "made-id"),
        ("a\r\nSet-Cookie: x", "made-id"),
        ("ü", "made-id"),
        ('"><script>', "made-id"),
        ("\x1b[31m", "made-id"),
    ],
)
async def test_a_sane_request_id_is_echoed(given: str, used: str) -> None:
    """X-Request-Id comes back when it is harmless in any log, else another one is made."""
    found = await asked(hello, headers=[("host", "localhost"), ("x-request-id", given)])
    assert used == found.headers["x-request-id"]


async def test_a_request_without_an_id_is_given_one() -> None:
    """Every answer carries the id of its request."""
    assert "made-id" == (await asked(hello)).headers["x-request-id"]


async def test_every_answer_is_guarded() -> None:
    """An answer is not stored, sniffed, framed, embedded or leaked by a referrer, unless the app
    says otherwise itself."""

    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Cache-Control", b"max-age=9"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    for app in (hello, own):
        headers = (await asked(app)).headers
        assert "nosniff" == headers["x-content-type-options"]
        assert "no-referrer" == headers["referrer-policy"]
        assert "default-src 'none'; frame-ancestors 'none'" == headers["content-security-policy"]
        assert "same-origin" == headers["cross-origin-resource-policy"]
        if app is hello:
            assert "no-store" == headers["cache-control"]
        else:
            assert ("max-age=9", False) == (headers["Cache-Control"], "cache-control" in headers)


async def test_a_large_head_is_refused() -> None:
    """Target and headers together may have 16 KiB, and no byte more."""
    room = HEAD_LIMIT - len("/") - len("host") - len("localhost") - 4 - len("x") - 4
    for size, status in {room: 200, room + 1: 431}.items():
        headers = [("host", "localhost"), ("x", "v" * size)]
        assert status == (await asked(hello, headers=headers)).status
        found = await asked(hello, query_string=b"q" * (size + 5))
        assert status == found.status


async def test_a_target_that_is_no_path_is_refused() -> None:
    """The other forms of a request's target mean a proxy, and this is none."""
    for path in ("", "*", "http://localhost/healthz"):
        assert 400 == (await asked(hello, path=path)).status


async def test_a_body_that_says_it_is_too_large_is_not_waited_for() -> None:
    """A Content-Length over the limit is answered before any of the body has come."""
    for length, status in {str(2**20): 200, str(2**20 + 1): 413, "9" * 4000: 413}.items():
        headers = [("host", "localhost"), ("content-length", length)]
        assert status == (await asked(hello, method="POST", headers=headers)).status


async def test_a_web_socket_is_closed() -> None:
    """There are no web sockets here, and the app is not bothered with one."""
    sent = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await gate()({"type": "websocket", "path": "/"}, receive, send)
    assert [{"type": "websocket.close", "code": 1008}] == sent


# -- defects -------------------------------------------------------------------------------------


async def test_a_defect_is_told_to_the_log_and_not_to_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error that nobody expected is a 500 that holds nothing of it but the request's id."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret")

    found = await asked(broken)
    assert (500, True) == (found.status, found.whole)
    assert "secret" not in found.body.decode()
    assert "made-id" == json.loads(found.body)["request_id"]
    (record,) = caplog.records
    assert ("creche.web", logging.ERROR) == (record.name, record.levelno)
    assert "made-id" in record.getMessage()
    assert record.exc_info is not None
    assert "secret" == str(record.exc_info[1])


async def test_a_defect_in_the_middle_leaves_half_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An answer that has begun is not completed: its client must not take it for whole."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    found = await asked(broken)
    assert (200, b"half", False) == (found.status, found.body, found.whole)
    assert 1 == len(caplog.records)


@pytest.mark.parametrize("rest", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_is_no_error_passes_whole(
    rest: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a mixed group the errors are logged and the rest goes on, neither half is dropped."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise BaseExceptionGroup("both", [ValueError("told"), rest("passed on")])

    with pytest.raises(BaseExceptionGroup) as raised:
        await ask(gate(broken))
    assert ["passed on"] == [str(part) for part in raised.value.exceptions]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ExceptionGroup)
    assert "told" == str(record.exc_info[1].exceptions[0])


async def test_cancellation_ends_a_request_and_keeps_its_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A cancelled request answers nothing, raises nothing out of its scope, and logs what failed
    meanwhile."""

    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("told")

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_when_cancelled)
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            scope["state"]["cancel"]()

    with trio.CancelScope() as cancelled:
        assert await ask(gate(broken), state={"cancel": cancelled.cancel}) is None
        await trio.lowlevel.checkpoint()
    assert cancelled.cancelled_caught
    assert 1 == len(caplog.records)


async def test_a_request_that_nobody_waited_for_is_logged_as_such(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The access log has one line for a request, with its status or the word that it had none."""
    caplog.set_level(logging.INFO)
    log = logging.getLogger("test.access")

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    for app in (hello, silent):
        await ask(Gate(app, Access(), lambda: "made-id", log), client=("192.0.2.1", 9))
    first, second = (record.getMessage() for record in caplog.records)
    assert ("192.0.2.1 GET / 200 ", " ms made-id") == (first[:20], first[-11:])
    assert second.startswith("192.0.2.1 GET / unanswered ")


# -- errors of handlers, through Quart ------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "logged"),
    [
        (QueueFull(2, 2), 429, 0),
        (ExceptionGroup("one", [ExceptionGroup("inside", [TaskNotFound(5)])]), 404, 0),
        (ExceptionGroup("two", [TaskNotFound(5), TaskNotFound(6)]), 500, 1),
        (ExceptionGroup("two", [TaskNotFound(5), RuntimeError("secret")]), 500, 1),
        (RuntimeError("secret"), 500, 1),
    ],
)
async def test_an_error_is_answered_where_it_is_one(
    error: Exception, status: int, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A group that wraps one known error is answered as that error; any other one is a defect, and
    is logged with all of its parts."""
    async with Engine(kinds=registry()) as engine:
        app = create_app(engine, access=Access())

        async def view() -> str:
            raise error

        app.add_url_rule("/view", view_func=view)
        found = await ask(app.asgi_app, path="/view", state={TRUSTED: True})  # type: ignore[arg-type]  # ASGI by other names
    assert found is not None
    assert status == found.status
    assert "secret" not in found.body.decode()
    assert logged == len(caplog.records)


async def test_an_app_without_the_servers_word_trusts_nobody() -> None:
    """Behind another server, which says nothing of trust, every request needs the token."""
    async with Engine(kinds=registry()) as engine:
        app: Any = create_app(engine, access=Access(token="t" * 43)).asgi_app
        states: list[dict[str, Any]] = [
            {},
            {"state": {}},
            {"state": None},
            {"state": {TRUSTED: "yes"}},
        ]
        for state in states:
            found = await ask(app, path="/v1/stats", **state)
            assert found is not None
            assert 401 == found.status
        headers = [("host", "localhost"), ("authorization", f"Bearer {'t' * 43}")]
        found = await ask(app, path="/v1/stats", headers=headers)
        assert found is not None
        assert 200 == found.status
