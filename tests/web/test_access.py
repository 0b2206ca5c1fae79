"""Who is let in, over the network and over the control socket."""

from __future__ import annotations

import pytest

from tests.web.served import client, control, document, problem, serving
from web.auth import Access, host_names
from web.problems import Problem

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
OPEN = {("/healthz", "GET"), ("/healthz", "HEAD")}


async def test_nothing_is_answered_without_the_token() -> None:
    """Every route by every method, and what is no route, gives 401 without it, but for /healthz."""
    async with serving() as served, client(served.bound, None) as stranger:
        paths = [row.path.replace("{id}", "1") for row in document().rows]
        for path in [*paths, "/", "/nothing", "/static/x", "/v1", "/v1/tasks/"]:
            for method in METHODS:
                answer = await stranger.request(method, path)
                if (path, method) in OPEN:
                    assert 200 == answer.status_code
                else:
                    assert answer.status_code in {401, 405}, (method, path)
                    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_every_other_method_is_refused_with_those_there_are() -> None:
    """With the token a method that a path does not take is a 405, and Allow names the others."""
    async with serving() as served:
        rows = document().rows
        for path in {row.path for row in rows}:
            taken = {row.method for row in rows if row.path == path}
            taken |= {"HEAD"} if "GET" in taken else set()
            for method in set(METHODS) - taken:
                answer = await served.client.request(method, path.replace("{id}", "1"))
                assert 405 == answer.status_code, (method, path)
                assert taken == set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer TOKEN TOKEN",
        "Bearer TOKENx",
        "Bearer xTOKEN",
        "Basic TOKEN",
        "TOKEN",
        "Token TOKEN",
        "Bearer\tTOKEN",
        "Bearer Bearer TOKEN",
    ],
)
def test_another_token_is_no_token(header: str) -> None:
    """Only the whole token, as a bearer's, opens."""
    access = Access(token="t" * 43)
    with pytest.raises(Problem) as refused:
        access.check(header.replace("TOKEN", "t" * 43))
    assert 401 == refused.value.status


@pytest.mark.parametrize("header", ["Bearer TOKEN", "bearer TOKEN", "BEARER  TOKEN "])
def test_the_token_opens(header: str) -> None:
    """The scheme's name is read in any case, as RFC 9110 wants it."""
    Access(token="t" * 43).check(header.replace("TOKEN", "t" * 43))


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer None"])
def test_without_a_token_nobody_is_let_in(header: str | None) -> None:
    """Where no token was given to the app, there is no right one."""
    with pytest.raises(Problem) as refused:
        Access().check(header)
    assert 401 == refused.value.status


async def test_the_control_socket_needs_no_token() -> None:
    """Whoever reaches the control socket is answered, under any host name."""
    async with serving(unix=True) as served, control(served.bound) as owner:
        assert 200 == (await owner.get("/v1/stats")).status_code
        assert 200 == (await owner.get("/v1/stats", headers={"Host": "any"})).status_code
        answer = await owner.post("/v1/tasks", json={"kind": "echo"})
        assert 202 == answer.status_code


async def test_an_insecure_server_answers_anybody() -> None:
    """A server that is explicitly insecure asks for no token, and still judges hosts."""
    insecure = serving(token_file=None, insecure=True)
    async with insecure as served, client(served.bound, None) as stranger:
        assert 200 == (await stranger.get("/v1/stats")).status_code
        answer = await stranger.get("/v1/stats", headers={"Host": "evil.example"})
        assert (421, "misdirected_request") == problem(answer)


# -- hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        (b"localhost", True),
        (b"LOCALHOST:80", True),
        (b"127.0.0.1:65535", True),
        (b"[::1]:8000", True),
        (b"[::1]", True),
        (None, False),
        (b"", False),
        (b"evil.example", False),
        (b"localhost.evil.example", False),
        (b"localhost@evil.example", False),
        (b"localhost:80:80", False),
        (b"localhost:", False),
        (b"localhost:port", False),
        (b"localhost,evil.example", False),
        (b"127.0.0.1.", False),
        (b"0.0.0.0", False),
        (b"::1", False),
        (b"[::1", False),
        (b"loc\xc3\xa4lhost", False),
        (b"localhost\n", False),
    ],
)
def test_only_our_own_names_are_ours(host: bytes | None, ours: bool) -> None:
    """A Host header is one of the names in any case and with any port, or it is another's."""
    assert ours is Access().names_us(host)


@pytest.mark.parametrize(
    ("bound", "given", "names"),
    [
        ("127.0.0.1", (), {"localhost", "127.0.0.1", "[::1]"}),
        ("127.0.0.2", (), {"localhost", "127.0.0.1", "[::1]"}),
        ("::1", (), {"localhost", "127.0.0.1", "[::1]"}),
        ("10.1.2.3", ("Build.Example",), {"build.example"}),
        ("0.0.0.0", ("build",), {"localhost", "127.0.0.1", "[::1]", "build"}),
        ("fd00::1", (), set()),
    ],
)
def test_the_names_follow_from_the_address(
    bound: str, given: tuple[str, ...], names: set[str]
) -> None:
    """A server answers for the names its user gives, and for loopback's where that reaches it."""
    assert names == host_names(bound, given)


@pytest.mark.parametrize(
    ("host", "reached", "ours"),
    [
        (b"192.0.2.7:8000", "192.0.2.7", True),
        (b"192.0.2.8:8000", "192.0.2.7", False),
        (b"[fd00::1]", "fd00::1", True),
        (b"build.example", "192.0.2.7", False),
        (b"127.0.0.1", "192.0.2.7", False),
    ],
)
def test_the_address_that_was_reached_is_ours(host: bytes, reached: str, ours: bool) -> None:
    """A number is ours where the connection really came to it."""
    assert ours is Access(hosts=frozenset()).names_us(host, reached)


async def test_the_host_is_judged_before_the_token() -> None:
    """A request to another host learns nothing of whether its token is right."""
    async with serving() as served:
        for header in ({}, {"Authorization": "Bearer wrong"}):
            answer = await served.client.get(
                "/v1/stats", headers={"Host": "evil.example", **header}
            )
            assert (421, "misdirected_request") == problem(answer)


# -- pages of other origins ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "OURS"}, 404),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://HOST"}, 403),
        ({"Origin": "http://HOST.evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "OURS", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_page_of_another_origin_changes_nothing(
    headers: dict[str, str], status: int
) -> None:
    """A mutation that a browser says comes from another origin is a 403, even with the token."""
    async with serving() as served:
        assert served.bound.url is not None
        host = served.bound.url.removeprefix("http://")
        filled = {
            name: value.replace("OURS", f"http://{host}").replace("HOST", host)
            for name, value in headers.items()
        }
        answer = await served.client.post("/v1/tasks/1/cancel", headers=filled)
        assert status == answer.status_code


async def test_reading_has_no_origin() -> None:
    """A GET is not refused for its origin, and gets no CORS header that would let it be read."""
    async with serving() as served:
        answer = await served.client.get("/v1/stats", headers={"Origin": "http://evil.example"})
        assert 200 == answer.status_code
        assert not [name for name in answer.headers if name.startswith("access-control-")]
