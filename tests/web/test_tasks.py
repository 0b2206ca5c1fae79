"""The resource tasks, over HTTP, against a real engine."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from engine import Engine, State
from tests.web.kinds import registry
from tests.web.served import PATIENCE, problem, serving
from web.tasks import Tasks

# -- submitting ----------------------------------------------------------------------------------


async def test_submit_is_answered_with_the_task_and_its_place() -> None:
    """A submission gives 202, the task, and a Location that leads to it."""
    async with serving() as served:
        body = {"kind": "unready", "name": "n", "key": "k", "priority": 3, "tags": ["a", "b"]}
        answer = await served.client.post("/v1/tasks", json=body)
        assert 202 == answer.status_code
        task = answer.json()
        assert f"/v1/tasks/{task['id']}" == answer.headers["location"]
        assert "n k 3 a b" == " ".join(
            [task["name"], task["key"], str(task["priority"]), *task["tags"]]
        )
        assert "n" == served.engine.status(task["id"]).name
        again = await served.client.get(answer.headers["location"])
        assert task["id"] == again.json()["id"]


async def test_submit_gives_durations_to_the_engine_in_seconds() -> None:
    """Milliseconds of the body are seconds of the engine; deadlines count from the submission."""
    async with serving() as served:
        task_id = await served.submit(
            "unready", timeout_ms=1500, deadline_ms=60_000, start_by_ms=30_000, attempts=3
        )
        row = served.engine.status(task_id)
        assert 1.5 == row.timeout
        assert row.deadline is not None
        assert row.start_by is not None
        # Both count from one moment, shortly before the row's own.
        assert 30.0 == pytest.approx(row.deadline - row.start_by)
        assert row.deadline <= row.submitted_at + 60.0 < row.deadline + PATIENCE
        assert 3 == row.attempts_allowed


async def test_submit_waits_for_its_time() -> None:
    """A task that may not start yet is waiting, and shows the time it waits for."""
    async with serving() as served:
        answer = await served.client.post(
            "/v1/tasks", json={"kind": "echo", "not_before": "2100-01-01T02:00:00+02:00"}
        )
        assert "waiting" == answer.json()["state"]
        assert "2100-01-01T00:00:00.000Z" == answer.json()["not_before"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "invalid_body", "/kind"),
        ({"kind": 1}, "invalid_body", "/kind"),
        ({"kind": "echo", "colour": "red"}, "invalid_body", "/colour"),
        ({"kind": "echo", "tags": ["a", 2]}, "invalid_body", "/tags/1"),
        ({"kind": "echo", "tags": ["a"] * 65}, "invalid_body", "/tags"),
        ({"kind": "echo", "name": "n" * 1001}, "invalid_body", "/name"),
        ({"kind": "echo", "timeout_ms": -1}, "invalid_body", "/timeout_ms"),
        ({"kind": "echo", "attempts": 0}, "invalid_body", "/attempts"),
        ({"kind": "echo", "priority": 1.5}, "invalid_body", "/priority"),
        ({"kind": "echo", "not_before": "tomorrow"}, "invalid_body", "/not_before"),
        (
            {"kind": "echo", "not_before": "2100-01-01T00:00:00"},
            "invalid_body",
            "/not_before",
        ),
        ({"kind": "echo", "arguments": [1]}, "invalid_body", "/arguments"),
        ({"kind": "echo", "arguments": {"worth": 1}}, "bad_arguments", "/arguments"),
        ({"kind": "os.system"}, "kind_not_found", "/kind"),
    ],
)
async def test_submit_names_the_part_that_does_not_fit(
    body: dict[str, object], code: str, pointer: str
) -> None:
    """What cannot be submitted is a 422 with a pointer to what is wrong, and leaves no task."""
    async with serving() as served:
        answer = await served.client.post("/v1/tasks", json=body)
        assert (422, code) == problem(answer)
        assert [pointer] == [part["pointer"] for part in answer.json()["errors"]]
        assert 0 == sum(served.engine.counts().values())


async def test_submit_to_a_full_engine_asks_to_come_again() -> None:
    """When as many tasks are live as are admitted, a submission is a 429 with Retry-After."""
    async with serving(engine=Engine(kinds=registry(), live_limit=1)) as served:
        await served.submit("unready")
        answer = await served.client.post("/v1/tasks", json={"kind": "unready"})
        assert (429, "queue_full") == problem(answer)
        assert "1" == answer.headers["retry-after"]


async def test_submit_to_a_draining_engine_is_refused() -> None:
    """While the engine drains nothing is taken in and it is not ready, but alive and readable."""
    async with serving() as served:
        task_id = await served.submit("unready")
        await served.engine.drain(0.0)
        answer = await served.client.post("/v1/tasks", json={"kind": "echo"})
        assert (503, "draining") == problem(answer)
        assert "1" == answer.headers["retry-after"]
        assert (503, "draining") == problem(await served.client.get("/readyz"))
        assert 200 == (await served.client.get("/healthz")).status_code
        assert 200 == (await served.client.get(f"/v1/tasks/{task_id}")).status_code


# -- looking at one ------------------------------------------------------------------------------


async def test_the_etag_names_the_last_move() -> None:
    """The ETag is the cursor of the task's last move, and a known one is answered with 304."""
    async with serving() as served:
        task_id = await served.finished("echo", arguments={"value": 1})
        answer = await served.client.get(f"/v1/tasks/{task_id}")
        etag = answer.headers["etag"]
        assert f'W/"{served.engine.status(task_id).cursor}"' == etag
        for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            answer = await served.client.get(
                f"/v1/tasks/{task_id}", headers={"If-None-Match": known}
            )
            assert (304, b"", etag) == (answer.status_code, answer.content, answer.headers["etag"])
        answer = await served.client.get(
            f"/v1/tasks/{task_id}", headers={"If-None-Match": 'W/"0.0"'}
        )
        assert 200 == answer.status_code


async def test_a_failed_task_is_found() -> None:
    """A task that failed is a 200 that tells its error; its output is a 409."""
    async with serving() as served:
        task_id = await served.finished("failing")
        answer = await served.client.get(f"/v1/tasks/{task_id}")
        assert 200 == answer.status_code
        assert "failed" == answer.json()["state"]
        assert "it went wrong" == answer.json()["error"]["message"]
        assert "retry-after" not in answer.headers
        answer = await served.client.get(f"/v1/tasks/{task_id}/output")
        assert (409, "task_ended") == problem(answer)
        assert "it went wrong" in answer.json()["detail"]


async def test_retry_after_is_the_next_look() -> None:
    """Of a task that is looked at from time to time, Retry-After is the time to its next look."""
    async with serving() as served:
        row = await served.engine.get(await served.submit("unready"))
        row = msgspec.structs.replace(row, state=State.POLLING, next_poll_at=1_000.0)
        for now, seconds in {958.5: "42", 999.9: "1", 1_005.0: "1"}.items():
            handlers = Tasks(served.engine, itertools.repeat(now).__next__)
            assert seconds == handlers.headers(row)["Retry-After"]


@pytest.mark.parametrize("task_id", ["1", "0", "-1", "x", "1.0", "9" * 19, "9" * 5000, "٣", "%00"])
@pytest.mark.parametrize("rest", ["", "/output"])
async def test_what_is_no_task_is_not_found(task_id: str, rest: str) -> None:
    """An id that was never given out is a 404, whatever it looks like."""
    async with serving() as served:
        answer = await served.client.get(f"/v1/tasks/{task_id}{rest}")
        assert (404, "task_not_found") == problem(answer)


# -- its output ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, -1.5, "text", [1, [2]], {"a": {"b": "ü"}}, 2**70])
async def test_the_output_is_the_answer(value: object) -> None:
    """The output of a task that has succeeded is the body itself."""
    async with serving() as served:
        task_id = await served.finished("echo", arguments={"value": value})
        answer = await served.client.get(f"/v1/tasks/{task_id}/output")
        assert 200 == answer.status_code
        assert value == answer.json()


async def test_an_output_that_is_not_there_yet() -> None:
    """Before its end a task's output is a 202 with the task and Retry-After."""
    async with serving() as served:
        task_id = await served.submit("unready")
        answer = await served.client.get(f"/v1/tasks/{task_id}/output")
        assert 202 == answer.status_code
        assert task_id == answer.json()["id"]
        assert answer.headers["retry-after"].isdigit()


async def test_an_output_that_was_not_kept() -> None:
    """The output of a task that succeeded is a 410 where it could not be kept as JSON."""
    async with serving() as served:
        task_id = await served.finished("nan")
        answer = await served.client.get(f"/v1/tasks/{task_id}/output")
        assert (410, "output_not_kept") == problem(answer)


# -- cancelling ----------------------------------------------------------------------------------


async def test_cancel_says_how_far_it_went() -> None:
    """A cancel names its rung and keeps its reason; the next one finds nothing left to do."""
    async with serving() as served:
        task_id = await served.submit("unready", not_before="2100-01-01T00:00:00Z")
        answer = await served.client.post(f"/v1/tasks/{task_id}/cancel", json={"reason": "enough"})
        assert 202 == answer.status_code
        assert "dropped" == answer.json()["rung"]
        assert "cancelled" == answer.json()["task"]["state"]
        assert "enough" == answer.json()["task"]["reason"]
        answer = await served.client.post(f"/v1/tasks/{task_id}/cancel", json={"reason": "more"})
        assert (200, "already_final") == (answer.status_code, answer.json()["rung"])
        assert "enough" == answer.json()["task"]["reason"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"reason":null}'])
async def test_cancel_needs_no_reason(content: bytes | None) -> None:
    """A cancel without a body, or with an empty one, is a cancel without a reason."""
    async with serving() as served:
        task_id = await served.submit("unready", not_before="2100-01-01T00:00:00Z")
        headers = {"Content-Type": "application/json"} if content else {}
        answer = await served.client.post(
            f"/v1/tasks/{task_id}/cancel", content=content, headers=headers
        )
        assert 202 == answer.status_code


async def test_cancel_of_nothing() -> None:
    """A cancel of an unknown task is a 404."""
    async with serving() as served:
        answer = await served.client.post("/v1/tasks/77/cancel")
        assert (404, "task_not_found") == problem(answer)


# -- listing -------------------------------------------------------------------------------------


async def test_pages_hold_every_task_once_while_more_come_in() -> None:
    """Following next, and Link, gives each task once, newest first; new ones do not shift them."""
    async with serving() as served:
        ids = [await served.finished("echo") for _ in range(7)]
        seen: list[int] = []
        url: str | None = "/v1/tasks?limit=3"
        while url is not None:
            answer = await served.client.get(url)
            page = answer.json()
            seen += [task["id"] for task in page["tasks"]]
            await served.finished("echo")
            if page["next"] is None:
                assert "link" not in answer.headers
                url = None
            else:
                url = answer.links["next"]["url"]
                assert f"/v1/tasks?limit=3&cursor={page['next']}" == url
        assert ids[::-1] == seen


async def test_a_query_chooses() -> None:
    """`q` chooses by the query grammar, stays in the link to the next page, and can be counted."""
    async with serving() as served:
        failed = [await served.finished("failing") for _ in range(2)]
        await served.finished("echo")
        answer = await served.client.get("/v1/tasks", params={"q": "state:failed", "limit": 1})
        assert failed[-1:] == [task["id"] for task in answer.json()["tasks"]]
        assert "count" not in answer.json()
        answer = await served.client.get(answer.links["next"]["url"])
        assert failed[:1] == [task["id"] for task in answer.json()["tasks"]]
        for query, count in {"state:failed": 2, "": 3, "kind:nothing": 0}.items():
            answer = await served.client.get(
                "/v1/tasks", params={"q": query, "limit": 1, "count": "exact"}
            )
            assert count == answer.json()["count"]


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ("limit=0", "bad_parameter", "limit"),
        ("limit=201", "bad_parameter", "limit"),
        ("limit=ten", "bad_parameter", "limit"),
        ("limit=", "bad_parameter", "limit"),
        ("limit=" + "9" * 5000, "bad_parameter", "limit"),
        ("limit=1&limit=2", "bad_parameter", "limit"),
        ("count=roughly", "bad_parameter", "count"),
        ("sort=name", "unknown_parameter", "sort"),
        ("Limit=1", "unknown_parameter", "Limit"),
        ("=1", "unknown_parameter", ""),
        ("q=state:", "bad_query", "q"),
        ("cursor=", "bad_cursor", "cursor"),
        ("cursor=MQ", "bad_cursor", "cursor"),
        ("cursor=%C3%BC", "bad_cursor", "cursor"),
        ("cursor=dGFza3MxOng", "bad_cursor", "cursor"),
    ],
)
async def test_a_wrong_parameter_is_named(parameters: str, code: str, parameter: str) -> None:
    """A parameter that is unknown, repeated or of no use is a 400 that names it."""
    async with serving() as served:
        answer = await served.client.get(f"/v1/tasks?{parameters}")
        assert (400, code) == problem(answer)
        assert [parameter] == [part["parameter"] for part in answer.json()["errors"]]


async def test_no_other_operation_takes_parameters() -> None:
    """A parameter where there are none is refused as well."""
    async with serving() as served:
        for path in ("/v1/tasks/1", "/v1/stats", "/v1/kinds", "/healthz", "/openapi.json"):
            answer = await served.client.get(f"{path}?verbose=1")
            assert (400, "unknown_parameter") == problem(answer)


async def test_the_figures_agree_with_the_engine() -> None:
    """/v1/stats counts as the engine does, /v1/kinds names its kinds, /version its epoch."""
    async with serving() as served:
        await served.finished("echo")
        await served.finished("failing")
        figures = (await served.client.get("/v1/stats")).json()
        assert {str(state): n for state, n in served.engine.counts().items()} == figures["counts"]
        assert 2 == figures["finished"]
        kinds = (await served.client.get("/v1/kinds")).json()["kinds"]
        assert ["echo", "failing", "nan", "unready"] == [kind["name"] for kind in kinds]
        version = (await served.client.get("/version")).json()
        assert ("creche", "v1", 1) == (version["name"], version["api"], version["epoch"])
