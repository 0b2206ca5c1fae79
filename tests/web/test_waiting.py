"""Long polls: a task is answered as soon as it has moved, over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.web.served import Served, problem, serving

if TYPE_CHECKING:
    import httpx

LATER = "2100-01-01T00:00:00Z"


class Asking:
    """Requests under way."""

    def __init__(self, served: Served, nursery: trio.Nursery) -> None:
        self.answers: list[httpx.Response] = []
        self._served = served
        self._nursery = nursery

    def ask(self, task_id: int, **request: dict[str, str]) -> None:
        """Ask for a task, and go on at once."""

        async def wait() -> None:
            path = f"/v1/tasks/{task_id}"
            self.answers.append(await self._served.client.get(path, **request))  # type: ignore[arg-type]  # httpx's many

        self._nursery.start_soon(wait)


async def test_news_is_answered_as_soon_as_there_is_some() -> None:
    """Everybody who waits for a task is answered when it moves, and by nothing else; who names a
    place before the last move is answered at once."""
    async with serving() as served:
        task_id = await served.submit("unready", not_before=LATER)
        known = served.engine.status(task_id).cursor
        async with trio.open_nursery() as nursery:
            asking = Asking(served, nursery)
            for _ in range(10):
                asking.ask(task_id, params={"wait": "20", "since": known})
                asking.ask(
                    task_id, params={"wait": "20"}, headers={"If-None-Match": f'W/"{known}"'}
                )
            await served.finished("echo")
            # By now the waiting ones have been told of another task's moves.
            assert [] == asking.answers
            await served.engine.cancel(task_id)
        assert [(200, "cancelled")] * 20 == [
            (answer.status_code, answer.json()["state"]) for answer in asking.answers
        ]
        for old in (known, "0.0", ""):
            answer = await served.client.get(
                f"/v1/tasks/{task_id}", params={"wait": "20", "since": old}
            )
            assert (200, "cancelled") == (answer.status_code, answer.json()["state"])


async def test_without_news_the_answer_is_that_there_is_none() -> None:
    """When the time is over the answer is a 304 with the ETag; without `wait` it is so at once."""
    async with serving() as served:
        task_id = await served.submit("unready", not_before=LATER)
        known = served.engine.status(task_id).cursor
        for wait in ("0", "0.02"):
            for since in (known, "1.999", "9.0"):
                answer = await served.client.get(
                    f"/v1/tasks/{task_id}", params={"wait": wait, "since": since}
                )
                assert (304, f'W/"{known}"') == (answer.status_code, answer.headers["etag"])
            answer = await served.client.get(
                f"/v1/tasks/{task_id}", params={"wait": wait}, headers={"If-None-Match": "*"}
            )
            assert 304 == answer.status_code


async def test_a_place_of_the_feed_will_do() -> None:
    """`since` may be the id of any event; an older one than the task's last move is news."""
    async with serving() as served:
        task_id = await served.finished("echo")
        await served.finished("echo")
        newest = served.engine.reader().cursor()
        for since, status in {newest: 304, "1.1": 200}.items():
            answer = await served.client.get(f"/v1/tasks/{task_id}", params={"since": since})
            assert status == answer.status_code


@pytest.mark.parametrize("by", ["drain", "shutdown"])
async def test_the_end_ends_the_waiting(by: str) -> None:
    """When the engine drains, or the server ends, who waits is answered at once."""
    async with serving() as served:
        task_id = await served.submit("unready", not_before=LATER)
        known = served.engine.status(task_id).cursor
        async with trio.open_nursery() as nursery:
            asking = Asking(served, nursery)
            for _ in range(5):
                asking.ask(task_id, params={"wait": "60", "since": known})
            await served.finished("echo")
            if by == "drain":
                await served.engine.drain(0.0)
            else:
                served.shutdown.set()
        assert [304] * 5 == [answer.status_code for answer in asking.answers]


@pytest.mark.parametrize(
    ("parameters", "code", "parameter"),
    [
        ("wait=20", "bad_parameter", "wait"),
        ("wait=-1&since=1.1", "bad_parameter", "wait"),
        ("wait=60.1&since=1.1", "bad_parameter", "wait"),
        ("wait=nan&since=1.1", "bad_parameter", "wait"),
        ("wait=inf&since=1.1", "bad_parameter", "wait"),
        ("wait=&since=1.1", "bad_parameter", "wait"),
        ("wait=1e999&since=1.1", "bad_parameter", "wait"),
        ("wait=0x10&since=1.1", "bad_parameter", "wait"),
        ("wait=1&wait=2&since=1.1", "bad_parameter", "wait"),
        ("since=1", "bad_cursor", "since"),
        ("since=1.1.1", "bad_cursor", "since"),
        ("since=1.99999999999999999999", "bad_cursor", "since"),
    ],
)
async def test_a_wait_that_makes_no_sense_is_refused(
    parameters: str, code: str, parameter: str
) -> None:
    """A time that is none, or a wait for nobody knows what, is a 400 that names it."""
    async with serving() as served:
        task_id = await served.finished("echo")
        answer = await served.client.get(f"/v1/tasks/{task_id}?{parameters}")
        assert (400, code) == problem(answer)
        assert [parameter] == [part["parameter"] for part in answer.json()["errors"]]


async def test_nobody_waits_for_what_is_not_there() -> None:
    """An unknown task is a 404 at once."""
    async with serving() as served:
        answer = await served.client.get("/v1/tasks/7?wait=60&since=1.1")
        assert (404, "task_not_found") == problem(answer)
