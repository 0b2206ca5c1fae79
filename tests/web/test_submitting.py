"""The same submission twice, the output at once, and many at once, over real sockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from engine import Engine
from tests.web.kinds import registry
from tests.web.served import Served, problem, serving
from tests.web.wire import POST, once
from web.preferences import wait_of
from web.schemas import BATCH
from web.submitting import BATCH_LIMIT

if TYPE_CHECKING:
    import httpx

LATER = "2100-01-01T00:00:00Z"


async def post(served: Served, unique: str | None = "k", /, **body: object) -> httpx.Response:
    """Submit an echo, or what the body says, under a key."""
    headers = {} if unique is None else {"Idempotency-Key": unique}
    return await served.client.post("/v1/tasks", json={"kind": "echo", **body}, headers=headers)


def submitted(served: Served) -> int:
    """How many tasks the engine has taken in."""
    return served.engine.statistics().submitted


# -- the same submission twice -------------------------------------------------------------------


async def test_a_key_that_is_known_gives_its_task() -> None:
    """Sent again, a submission is answered with its first task as it is by now, and says so."""
    async with serving() as served:
        first = await post(served, arguments={"value": 1})
        assert 202 == first.status_code
        assert "idempotent-replayed" not in first.headers
        assert "k" == first.json()["unique_key"]
        task_id = first.json()["id"]
        await served.engine.wait([task_id])
        for again in (
            await post(served, arguments={"value": 1}),
            await post(served, None, arguments={"value": 1}, unique_key="k"),
            await post(served, arguments={"value": 1}, unique_key="k", deadline_ms=9000),
        ):
            assert (202, "true") == (again.status_code, again.headers["idempotent-replayed"])
            assert (task_id, "succeeded") == (again.json()["id"], again.json()["state"])
            assert first.headers["location"] == again.headers["location"]
            assert f'W/"{served.engine.status(task_id).cursor}"' == again.headers["etag"]
        assert 1 == submitted(served)


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "failing"},
        {"arguments": {"value": 2}},
        {"name": "n"},
        {"key": "k"},
        {"priority": 1},
        {"tags": ["t"]},
        {"timeout_ms": 1000},
        {"attempts": 2},
    ],
)
async def test_a_known_key_with_other_content_is_refused(other: dict[str, Any]) -> None:
    """The same key for something else is a 422, and nothing is submitted."""
    async with serving() as served:
        await post(served, arguments={"value": 1})
        answer = await post(served, **{"arguments": {"value": 1}, **other})
        if "kind" in other:
            answer = await post(served, **other)
        assert (422, "key_reused") == problem(answer)
        assert ["Idempotency-Key"] == [part["parameter"] for part in answer.json()["errors"]]
        assert 1 == submitted(served)


async def test_a_hundred_equal_submissions_are_one_task() -> None:
    """Sent a hundred times at once, a submission is one task, new in one answer only."""
    async with serving() as served, trio.open_nursery() as nursery:
        answers: list[httpx.Response] = []

        async def submit() -> None:
            answers.append(await post(served, arguments={"value": 1}))

        for _ in range(100):
            nursery.start_soon(submit)
        while len(answers) < 100:
            await trio.lowlevel.checkpoint()
        assert {202} == {answer.status_code for answer in answers}
        assert 1 == len({answer.json()["id"] for answer in answers})
        assert 99 == sum("idempotent-replayed" in answer.headers for answer in answers)
        assert 1 == submitted(served)


async def test_a_full_engine_knows_its_keys() -> None:
    """When nothing more is taken in, what was taken in is still answered."""
    async with serving(engine=Engine(kinds=registry(), live_limit=1)) as served:
        body = {"kind": "unready", "not_before": LATER}
        task_id = (await post(served, **body)).json()["id"]
        assert (429, "queue_full") == problem(await post(served, "other", **body))
        assert task_id == (await post(served, **body)).json()["id"]


@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: ",
        b"Idempotency-Key: " + b"k" * 256,
        "Idempotency-Key: ü".encode(),
        b"Idempotency-Key: a\tb",
        b"Idempotency-Key: a\r\nIdempotency-Key: a",
        b"Idempotency-Key: other than the body's",
    ],
)
async def test_a_key_that_is_none_is_refused(line: bytes) -> None:
    """An empty, overlong, strange, repeated or contradicted key is a 400, and nothing is
    submitted."""
    async with serving() as served:
        body = b'{"kind":"echo","unique_key":"k"}'
        head = POST + b"Authorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n\r\n"
        request = head % (served.token.encode(), len(body), line) + body
        said = await once(served.connect, request)
        assert said.startswith(b"HTTP/1.1 400 ")
        assert "bad_idempotency_key" == json.loads(said.partition(b"\r\n\r\n")[2])["code"]
        assert 0 == submitted(served)


# -- the output at once --------------------------------------------------------------------------


async def preferring(served: Served, prefer: str, **body: object) -> httpx.Response:
    """Submit with this preference."""
    return await served.client.post(
        "/v1/tasks", json={"kind": "echo", **body}, headers={"Prefer": prefer}
    )


async def test_an_output_in_time_is_the_answer() -> None:
    """Who prefers to wait gets the output, where it is found, and the time that was allowed."""
    async with serving() as served:
        answer = await preferring(served, "wait=20", arguments={"value": [1, None]})
        assert (200, [1, None]) == (answer.status_code, answer.json())
        assert "wait=20" == answer.headers["preference-applied"]
        location = answer.headers["location"]
        assert f"{location}/output" == answer.headers["content-location"]
        assert [1, None] == (await served.client.get(f"{location}/output")).json()


async def test_no_output_in_time_is_the_task() -> None:
    """A task that is not done in time, has failed, or whose output cannot be kept, is a 202 with
    the task as it is."""
    async with serving() as served:
        for kind, prefer, state in [
            ("unready", "wait=0", None),
            ("failing", "wait=20", "failed"),
            ("nan", "wait=20", "succeeded"),
        ]:
            answer = await preferring(served, prefer, kind=kind)
            assert (202, prefer) == (answer.status_code, answer.headers["preference-applied"])
            assert answer.json()["state"] == state or (
                state is None and "retry-after" in answer.headers
            )
            assert answer.headers["location"] == f"/v1/tasks/{answer.json()['id']}"


@pytest.mark.parametrize("by", ["drain", "shutdown"])
async def test_the_end_ends_the_waiting_for_an_output(by: str) -> None:
    """When the engine drains, or the server ends, who waits gets the task at once."""
    async with serving() as served:
        answers = []

        async def submit() -> None:
            answers.append(await preferring(served, "wait=60", kind="unready", not_before=LATER))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            while not submitted(served):
                await trio.lowlevel.checkpoint()
            if by == "drain":
                await served.engine.drain(0.0)
            else:
                served.shutdown.set()
        assert [(202, "waiting")] == [(a.status_code, a.json()["state"]) for a in answers]


async def test_a_known_key_waits_for_its_output_too() -> None:
    """A submission that is sent again, and prefers to wait, gets the first one's output."""
    async with serving() as served:
        headers = {"Idempotency-Key": "k", "Prefer": "wait=20"}
        for replayed in (None, "true"):
            answer = await served.client.post(
                "/v1/tasks", json={"kind": "echo", "arguments": {"value": 7}}, headers=headers
            )
            assert (200, 7) == (answer.status_code, answer.json())
            assert replayed == answer.headers.get("idempotent-replayed")


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT=10", 10),
        ('wait="10"', 10),
        ("wait = 10", 10),
        ("wait=10;foo=bar", 10),
        ("respond-async, wait=10", 10),
        ("wait=0", 0),
        ("wait=10, wait=20", 10),
        ("wait=99999", 60),
        (None, None),
        ("", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=1e3", None),
        ("wait=٣", None),
        ('wait="10', None),
        ("await=10", None),
        ("wait=" + "9" * 5000, None),
        ("," * 5000, None),
    ],
)
def test_a_preference_is_understood_or_passed_over(prefer: str | None, seconds: int | None) -> None:
    """`wait` is found in any of its spellings and bounded; what makes no sense is no wish."""
    assert seconds == wait_of(prefer, 60)


# -- many at once --------------------------------------------------------------------------------


async def batch(served: Served, *tasks: object, query: str = "") -> httpx.Response:
    """Submit these together."""
    return await served.client.post(f"/v1/tasks:batch{query}", json={"tasks": list(tasks)})


ECHO = {"kind": "echo"}
BAD: list[tuple[object, int, str, str]] = [
    (None, 422, "invalid_body", ""),
    (1, 422, "invalid_body", ""),
    ([], 422, "invalid_body", ""),
    ({}, 422, "invalid_body", "/kind"),
    ({"kind": "nothing"}, 422, "kind_not_found", "/kind"),
    ({"kind": "echo", "colour": "red"}, 422, "invalid_body", "/colour"),
    ({"kind": "echo", "tags": ["a", 2]}, 422, "invalid_body", "/tags/1"),
    ({"kind": "echo", "arguments": {"worth": 1}}, 422, "bad_arguments", "/arguments"),
    ({"kind": "echo", "unique_key": "known", "name": "n"}, 422, "key_reused", "/unique_key"),
]


async def test_each_task_of_a_batch_is_answered() -> None:
    """What can be submitted is, each with its options; what cannot be says why, and where."""
    async with serving() as served:
        known = (await post(served, "known")).json()["id"]
        tasks = [task for bad, *_ in BAD for task in ({**ECHO, "priority": 3}, bad)]
        answer = await batch(served, *tasks, {"kind": "echo", "unique_key": "known"})
        assert 200 == answer.status_code
        assert (len(BAD) + 1, len(BAD)) == (answer.json()["accepted"], answer.json()["refused"])
        *results, last = answer.json()["results"]
        assert {"status": 202, "id": known, "replayed": True} == last
        assert [202] * len(BAD) == [result["status"] for result in results[::2]]
        assert {3} == {served.engine.status(result["id"]).priority for result in results[::2]}
        told = [
            (result["problem"]["status"], result["problem"]["code"], parts["pointer"])
            for result in results[1::2]
            for parts in result["problem"]["errors"]
        ]
        assert told == [
            (status, code, f"/tasks/{2 * nth + 1}{pointer}")
            for nth, (_, status, code, pointer) in enumerate(BAD)
        ]
        assert 1 + len(BAD) == submitted(served)


@pytest.mark.parametrize(("bad", "code", "pointer"), [(bad, code, at) for bad, _, code, at in BAD])
async def test_a_batch_with_one_bad_task_leaves_nothing_behind(
    bad: object, code: str, pointer: str
) -> None:
    """With `atomic` one bad task refuses all, and is named; no key is used up."""
    async with serving() as served:
        await post(served, "known")
        good = {"kind": "echo", "unique_key": "new"}
        answer = await batch(served, good, bad, ECHO, query="?atomic=true")
        assert (422, "batch_refused") == problem(answer)
        assert [f"/tasks/1{pointer}"] == [part["pointer"] for part in answer.json()["errors"]]
        assert 1 == submitted(served)
        answer = await batch(served, good, ECHO, query="?atomic=true")
        assert [{"status": 202, "id": 2}, {"status": 202, "id": 3}] == answer.json()["results"]


async def test_a_batch_that_is_bad_through_and_through_is_told_in_bounds() -> None:
    """The refusal of a whole batch names a hundred bad tasks, however many there are."""
    async with serving() as served:
        answer = await batch(served, *[None] * 500, query="?atomic=1")
        assert (422, "batch_refused") == problem(answer)
        assert "500 of 500" in answer.json()["detail"]
        assert 100 == len(answer.json()["errors"])


async def test_a_batch_and_a_full_engine() -> None:
    """What fits is taken in, the rest is a 429 each; with `atomic` the whole is one."""
    async with serving(engine=Engine(kinds=registry(), live_limit=2)) as served:
        tasks = [{"kind": "unready", "not_before": LATER}] * 3
        answer = await batch(served, *tasks, query="?atomic=true")
        assert (429, "queue_full") == problem(answer)
        assert 0 == submitted(served)
        answer = await batch(served, *tasks)
        assert [202, 202, 429] == [result["status"] for result in answer.json()["results"]]


async def test_a_draining_engine_takes_no_batch() -> None:
    """While the engine drains a batch is a 503 as a whole."""
    async with serving() as served:
        await served.engine.drain(0.0)
        for query in ("", "?atomic=true"):
            assert (503, "draining") == problem(await batch(served, ECHO, query=query))


async def test_a_batch_has_bounds() -> None:
    """None and 10,000 tasks are a batch, one more is a 422; 16 MiB are read, a byte more is a 413;
    no other route takes as much."""
    async with serving() as served:
        assert {"results": [], "accepted": 0, "refused": 0} == (await batch(served)).json()
        answer = await batch(served, *[ECHO] * BATCH)
        assert (BATCH, 0) == (answer.json()["accepted"], answer.json()["refused"])
        assert (422, "invalid_body") == problem(await batch(served, *[ECHO] * (BATCH + 1)))
        assert BATCH == submitted(served)
        exact = b'{"tasks":[]}'.ljust(BATCH_LIMIT)
        for path, content, status in [
            ("/v1/tasks:batch", exact, 200),
            ("/v1/tasks:batch", exact + b" ", 413),
            ("/v1/tasks", exact, 413),
            ("/v1/tasks/1/cancel", exact, 413),
        ]:
            answer = await served.client.post(
                path, content=content, headers={"Content-Type": "application/json"}
            )
            assert status == answer.status_code, path


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        ({}, "", 422),
        ([], "", 422),
        ({"tasks": {}}, "", 422),
        ({"tasks": None}, "", 422),
        ({"tasks": [], "atomic": True}, "", 422),
        ({"tasks": []}, "?atomic=", 400),
        ({"tasks": []}, "?atomic=maybe", 400),
        ({"tasks": []}, "?atomic=true&atomic=false", 400),
        ({"tasks": []}, "?wait=1", 400),
    ],
)
async def test_what_is_no_batch_is_refused(body: object, query: str, status: int) -> None:
    """Another shape, or a parameter that makes no sense, is an error of the whole."""
    async with serving() as served:
        answer = await served.client.post(f"/v1/tasks:batch{query}", json=body)
        assert status == answer.status_code


async def test_a_batch_has_no_key_of_its_own() -> None:
    """An Idempotency-Key on a batch is refused and not passed over."""
    async with serving() as served:
        answer = await served.client.post(
            "/v1/tasks:batch",
            content=msgspec.json.encode({"tasks": [ECHO]}),
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
        assert (400, "bad_idempotency_key") == problem(answer)
        assert 0 == submitted(served)
