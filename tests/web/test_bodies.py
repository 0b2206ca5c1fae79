"""F40, F41: bodies built to do harm, by table and by chance."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.served import Served, problem, serving
from web.bodies import DEPTH_LIMIT, depth, fit, parse
from web.operations import BODY_LIMIT, Nothing
from web.problems import Problem

if TYPE_CHECKING:
    import httpx

JSON = {"Content-Type": "application/json"}


def nested(opening: str, closing: str, times: int) -> bytes:
    """A submission whose arguments are nested; it is two deep by itself."""
    inside = f"{opening * times}1{closing * times}"
    return f'{{"kind":"echo","arguments":{{"value":{inside}}}}}'.encode()


MALFORMED = {
    "empty": b"",
    "blank": b" \n ",
    "no JSON": b"kind=echo",
    "two values": b'{"kind":"echo"} {}',
    "cut off": b'{"kind":"echo"',
    "trailing comma": b'{"kind":"echo",}',
    "comment": b'{"kind":"echo"/**/}',
    "single quotes": b"{'kind':'echo'}",
    "100,000 arrays, open": b"[" * 100_000,
    "100,000 objects, open": b'{"a":' * 100_000,
    "100,000 arrays, closed": b"[" * 100_000 + b"]" * 100_000,
    "one array too deep": nested("[", "]", DEPTH_LIMIT - 1),
    "one object too deep": nested('{"a":', "}", DEPTH_LIMIT - 1),
    "NaN": b'{"kind":"echo","arguments":{"value":NaN}}',
    "Infinity": b'{"kind":"echo","arguments":{"value":-Infinity}}',
    "a float out of range": b'{"kind":"echo","arguments":{"value":1e999}}',
    "5,000 digits": b'{"kind":"echo","arguments":{"value":' + b"9" * 5_000 + b"}}",
    "5,000 digits for a small field": b'{"kind":"echo","priority":' + b"9" * 5_000 + b"}",
    "a lone high surrogate": rb'{"kind":"echo","name":"\ud800"}',
    "a lone low surrogate": rb'{"kind":"echo","name":"\udc00"}',
    "surrogates the wrong way round": rb'{"kind":"echo","name":"\udc00\ud800"}',
    "a surrogate as UTF-8": b'{"kind":"echo","name":"\xed\xa0\x80"}',
    "invalid UTF-8": b'{"kind":"echo","name":"\xff\xfe"}',
    "an overlong NUL": b'{"kind":"echo","name":"\xc0\x80"}',
    "UTF-16": '{"kind":"echo"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"kind":"echo"}'.encode("utf-16-le"),
    "UTF-32": '{"kind":"echo"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"kind":"echo"}',
    "NUL in a string": b'{"kind":"echo","name":"a\x00b"}',
    "NUL escaped": rb'{"kind":"echo","name":"a\u0000b"}',
    "NUL escaped deep inside": rb'{"kind":"echo","arguments":{"value":[{"\u0000":1}]}}',
    "NUL after the value": b'{"kind":"echo"}\x00',
    "a control character": b'{"kind":"echo","name":"a\x1bb"}',
    "a NaN by exponent": b'{"kind":"echo","arguments":{"value":1e}}',
    "gzip that calls itself JSON": gzip.compress(b'{"kind":"echo"}'),
}


async def send(served: Served, body: bytes, **headers: str) -> httpx.Response:
    return await served.client.post("/v1/tasks", content=body, headers={**JSON, **headers})


async def test_a_hostile_body_is_a_400_and_harms_nothing() -> None:
    """What is no JSON here is a 400 in problem+json; the next request is answered as ever."""
    async with serving() as served:
        for what, body in MALFORMED.items():
            assert (400, "malformed_json") == problem(await send(served, body)), what
        assert 0 == sum(served.engine.counts().values())
        assert 202 == (await send(served, b'{"kind":"echo"}')).status_code


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (nested("[", "]", DEPTH_LIMIT - 2), None),
        (nested('{"a":', "}", DEPTH_LIMIT - 2), None),
        (rb'{"kind":"echo","arguments":{"value":"\\u0000"}}', r"\u0000"),
        (rb'{"kind":"echo","arguments":{"value":"\ud83d\ude00"}}', "😀"),
        (rb'{"kind":"echo","arguments":{"value":"[[[{\"[["}}', '[[[{"[['),
        (b'{"kind":"echo","arguments":{"value":1},"arguments":{"value":2}}', 2),
        (b'{"kind":"echo","arguments":{"value":1,"value":3}}', 3),
        (b'\n\t {"kind" :"echo", "arguments":{"value":[]}} \r\n', []),
    ],
)
async def test_what_only_looks_hostile_is_taken(body: bytes, kept: object) -> None:
    """Depth up to the limit, escapes, brackets in strings; of a repeated name the last counts."""
    async with serving() as served:
        answer = await send(served, body)
        assert 202 == answer.status_code
        task_id = answer.json()["id"]
        await served.engine.wait([task_id])
        output = await served.client.get(f"/v1/tasks/{task_id}/output")
        assert (json.loads(body)["arguments"]["value"] if kept is None else kept) == output.json()


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/json; charset=utf-16",
        "application/jsonp",
        "json",
    ],
)
async def test_only_json_is_taken(content_type: str) -> None:
    """A body of another type, or of none, is a 415; a foreign page's form sends only those."""
    async with serving() as served:
        answer = await send(served, b'{"kind":"echo"}', **{"Content-Type": content_type})
        assert (415, "unsupported_media_type") == problem(answer)
        assert "application/json" == answer.headers["accept"]


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON"])
async def test_json_is_taken_however_it_is_spelled(content_type: str) -> None:
    """Case and an explicit UTF-8 make no difference."""
    async with serving() as served:
        answer = await send(served, b'{"kind":"echo"}', **{"Content-Type": content_type})
        assert 202 == answer.status_code


async def test_a_coded_body_is_refused() -> None:
    """A body that would have to be unpacked first is a 415."""
    async with serving() as served:
        packed = gzip.compress(b'{"kind":"echo"}')
        answer = await send(served, packed, **{"Content-Encoding": "gzip"})
        assert (415, "unsupported_media_type") == problem(answer)


async def test_a_body_where_none_belongs_is_refused() -> None:
    """A GET takes no body."""
    async with serving() as served:
        answer = await served.client.request("GET", "/v1/tasks", content=b"{}", headers=JSON)
        assert (400, "unexpected_body") == problem(answer)


async def test_a_client_that_takes_no_json_is_told() -> None:
    """An Accept that excludes JSON is a 406; one that allows it, and none, are fine."""
    async with serving() as served:
        for accept, status in {
            "text/html": 406,
            "application/json;q=0": 406,
            "*/*": 200,
            "text/html, application/*;q=0.1": 200,
            "application/problem+json": 200,
        }.items():
            answer = await served.client.get("/v1/stats", headers={"Accept": accept})
            assert status == answer.status_code, accept


async def test_a_body_at_the_limit_is_read_and_one_over_it_is_not() -> None:
    """1 MiB is taken in; a byte more is a 413, said beforehand or found out."""
    async with serving() as served:
        fill = b'{"kind":"echo","name":"' + b"n" * BODY_LIMIT
        exact = fill[: BODY_LIMIT - 2] + b'"}'
        assert (422, "invalid_body") == problem(await send(served, exact))
        assert (413, "content_too_large") == problem(await send(served, exact + b" "))

        async def chunks() -> Any:
            for _ in range(20):
                yield b" " * (BODY_LIMIT // 10)

        answer = await served.client.post("/v1/tasks", content=chunks(), headers=JSON)
        assert (413, "content_too_large") == problem(answer)
        assert 202 == (await send(served, b'{"kind":"echo"}')).status_code


# -- by chance -----------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab[]{}"\\'), inner),
    max_leaves=20,
)


def deep(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(deep, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(deep, value), default=0)
    return 0


@given(VALUES, st.booleans())
def test_json_is_read_as_everybody_reads_it(value: object, ascii_only: bool) -> None:
    """What the standard library writes comes back equal, and its depth is measured right."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert value == parse(text)
    assert deep(value) == depth(text)


@given(
    st.binary()
    | st.text('[]{}",:\\u0123456789.-eE+nulltruefalseNaN \t\x00\ud800').map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
def test_no_bytes_are_more_than_a_problem(data: bytes) -> None:
    """Any bytes give a value or a 400 or 422, and never another error."""
    statuses = set()
    try:
        value = parse(data)
        assert not isinstance(value, float) or math.isfinite(value)
        fit(value, Nothing)
    except Problem as refused:
        statuses.add(refused.status)
    assert statuses <= {400, 422}
