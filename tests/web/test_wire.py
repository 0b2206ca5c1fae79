"""F38, F39, F40: clients of all sorts on real sockets."""

from __future__ import annotations

import ssl

import httpx
import msgspec
import pytest
import trio

from tests.web.served import serving
from tests.web.wire import GET, POST, SHORT, TLS, all_of, healthy, once

# -- over the wire -------------------------------------------------------------------------------


@pytest.mark.system
async def test_curl_reaches_the_control_socket() -> None:
    """`curl --unix-socket` submits and reads, without a token."""
    async with serving(unix=True) as served:
        base = ["curl", "--silent", "--show-error", "--unix-socket", str(served.bound.unix)]
        sent = await trio.run_process(
            [*base, "--json", '{"kind":"echo"}', "http://localhost/v1/tasks"], capture_stdout=True
        )
        task_id = msgspec.json.decode(sent.stdout)["id"]
        await served.engine.wait([task_id])
        got = await trio.run_process(
            [*base, "--http2", f"http://localhost/v1/tasks/{task_id}"], capture_stdout=True
        )
        assert "succeeded" == msgspec.json.decode(got.stdout)["state"]


async def test_many_clients_at_once() -> None:
    """Fifty clients that ask at the same moment are all answered, on connections that stay open."""
    async with serving() as served:
        answered = 0

        async def ask() -> None:
            nonlocal answered
            async with await served.connect() as stream:
                for _ in range(4):
                    await healthy(stream)
                    answered += 1

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask)
        assert 200 == answered


async def test_one_connection_too_many_is_told_to_come_again() -> None:
    """Over the limit a connection gets a 503 and its end; there is room when one has gone."""
    async with serving(connections=2) as served:
        first, second = await served.connect(), await served.connect()
        for stream in (first, second):
            await healthy(stream)
        third = await served.connect()
        said = await all_of(third)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"too_many_connections" in said
        await first.aclose()
        while not (await once(served.connect, GET)).startswith(b"HTTP/1.1 200"):
            pass
        await second.aclose()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", b""),
        (b"GET /heal", b"HTTP/1.1 408"),
        (GET[:-2], b"HTTP/1.1 408"),
        (POST, b"HTTP/1.1 408"),
        (POST + b"Content-Length: 9\r\nBEARER\r\n\r\n{", b"HTTP/1.1 408"),
        (POST + b"Transfer-Encoding: chunked\r\nBEARER\r\n\r\n1\r\n{\r\n", b"HTTP/1.1 408"),
        (POST + b"Content-Length: 9999999\r\nBEARER\r\n\r\n", b"HTTP/1.1 413"),
        (POST + b"Content-Length: 9\r\n\r\n", b"HTTP/1.1 401"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n", b"HTTP/1.1 400"),
    ],
)
async def test_a_client_that_stops_in_the_middle_is_cut(said: bytes, status: bytes) -> None:
    """Whatever a client leaves unfinished, it is answered as far as there is an answer, and cut."""
    async with serving(timeouts=SHORT) as served:
        stream = await served.connect()
        bearer = f"Authorization: Bearer {served.token}\r\n".encode()
        await stream.send_all(said.replace(b"BEARER\r\n", bearer))
        heard = await all_of(stream)
        assert heard.startswith(status)
        assert heard.count(b"HTTP/1.1 ") == (1 if status else 0)


@pytest.mark.parametrize("framing", ["Content-Length: 9", "Transfer-Encoding: chunked"])
async def test_a_client_that_goes_in_the_middle_is_no_defect(
    framing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that hangs up within its body leaves no task, and nothing in the log."""
    async with serving() as served:
        head = f"{framing}\r\nAuthorization: Bearer {served.token}\r\n\r\n"
        async with await served.connect() as stream:
            await stream.send_all(POST + head.encode() + b"1\r\n{\r\n")
        # Answered after the server has seen the other one go.
        assert b"HTTP/1.1 200" in await once(served.connect, GET)
        assert 0 == sum(served.engine.counts().values())
    assert [] == [record for record in caplog.records if record.name == "creche.web"]


async def test_an_answer_leaves_no_connection_open() -> None:
    """After an answer the idle connection is cut as well, and the server forgets it."""
    async with serving(timeouts=SHORT) as served:
        stream = await served.connect()
        await stream.send_all(GET)
        assert (await all_of(stream)).startswith(b"HTTP/1.1 200")


async def test_an_offer_of_http2_stays_an_offer() -> None:
    """`Upgrade: h2c` on a real socket gives HTTP/1.1, with no word of switching."""
    async with serving() as served:
        offer = GET[:-2] + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        stream = await served.connect()
        async with stream:
            await stream.send_all(offer + GET[:-2] + b"Connection: close\r\n\r\n")
            heard = await all_of(stream)
        assert 2 == heard.count(b"HTTP/1.1 200")
        assert b"101" not in heard
        assert b"upgrade" not in heard.lower()


# -- TLS -----------------------------------------------------------------------------------------


async def test_tls_opens_the_network() -> None:
    """With a token and TLS a server may listen anywhere; it speaks TLS 1.2 and up, and HTTP/1.1."""
    context = ssl.create_default_context(cafile=str(TLS.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(tcp=("0.0.0.0", 0), tls=TLS, timeouts=SHORT) as served:
        assert served.bound.tcp is not None
        assert served.bound.tls
        port = served.bound.tcp[1]
        async with httpx.AsyncClient(verify=context, trust_env=False) as asking:
            headers = {"Authorization": f"Bearer {served.token}"}
            for _ in range(2):
                answer = await asking.get(f"https://localhost:{port}/v1/stats", headers=headers)
                assert 200 == answer.status_code
        stream = await trio.open_ssl_over_tcp_stream(
            "localhost", port, ssl_context=context, https_compatible=True
        )
        async with stream:
            await stream.do_handshake()
            assert "http/1.1" == stream.selected_alpn_protocol()
            await stream.send_all(GET[:-2] + b"Connection: close\r\n\r\n")
            assert (await all_of(stream)).startswith(b"HTTP/1.1 200")


async def test_plain_words_to_a_tls_port_end_the_connection() -> None:
    """A client without TLS, or that stops in the handshake, is cut."""
    async with serving(tls=TLS, timeouts=SHORT) as served:
        for said in (GET, b"", b"\x16\x03\x01"):
            stream = await served.connect()
            async with stream:
                await stream.send_all(said)
                try:
                    heard = await all_of(stream)
                except trio.BrokenResourceError:
                    heard = b""
                assert b"HTTP" not in heard
