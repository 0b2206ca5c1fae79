"""The kind ``port``: what counts as listening, and where it may look."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from engine.errors import BadArguments
from engine.kinds import default_registry
from engine.kinds.port import PortWait, is_loopback


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket bound to a free port of 127.0.0.1, that does not listen yet."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_waits_until_something_listens(listener: socket.socket, host: str) -> None:
    """Nothing while the port is only bound; the address once it listens; the same box again."""
    box = PortWait(host, port_of(listener))
    box.run()
    assert None is box.check_output()
    listener.listen()
    expected = {"host": host, "port": port_of(listener), "address": "127.0.0.1"}
    assert expected == box.check_output()


def test_a_connection_with_itself_is_nobody(listener: socket.socket) -> None:
    """TCP connects a socket to its own port when nobody listens there: that is no server."""
    port = port_of(listener)

    def same_port(family: socket.AddressFamily) -> socket.socket:
        return socket.socket(fileno=listener.detach())

    assert None is PortWait("127.0.0.1", port, make=same_port).check_output()
    assert -1 == listener.fileno()


class Refusing(socket.socket):
    """A socket whose connect() raises what the class says."""

    error: OSError

    def connect(self, address: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("slow"),
        ConnectionRefusedError(errno.ECONNREFUSED, "no"),
        ConnectionResetError(errno.ECONNRESET, "no"),
        OSError(errno.EHOSTUNREACH, "no"),
        OSError(errno.EADDRNOTAVAIL, "no"),
    ],
    ids=str,
)
def test_what_may_come_is_waited_for(error: OSError) -> None:
    """A machine that is not up yet, or has no such address, is no failure."""
    make = type("Fails", (Refusing,), {"error": error})
    assert None is PortWait("127.0.0.1", 1, make=make).check_output()


def test_what_is_wrong_here_raises() -> None:
    """Without descriptors no look means anything."""
    make = type("Fails", (Refusing,), {"error": OSError(errno.EMFILE, "too many")})
    with pytest.raises(OSError, match="too many"):
        PortWait("127.0.0.1", 1, make=make).check_output()


class HungUp(socket.socket):
    """A socket whose peer has accepted it and is gone again."""

    def connect(self, address: object) -> None:
        pass


def test_who_hangs_up_at_once_was_there() -> None:
    """A server that ends a connection before it is looked at does listen."""
    assert None is not PortWait("127.0.0.1", 1, make=HungUp).check_output()


@pytest.mark.parametrize("host", ["", "a" * 300, "..", "no.such.name.invalid"])
def test_a_name_that_is_not_known_is_waited_for(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may get its address later."""
    if host.endswith("invalid"):

        def unknown(*_: object, **__: object) -> list[object]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    refused = type("Fails", (Refusing,), {"error": ConnectionRefusedError()})
    assert None is PortWait(host, 1, make=refused).check_output()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("127.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_its_spelling(host: str, expected: bool) -> None:
    """No name is asked for: what it stands for could change after the check."""
    assert expected is is_loopback(host)


def test_other_machines_need_the_engines_permission() -> None:
    """A host that is not allowed is refused at submission, and again when the task is made."""
    closed, named, opened = (
        default_registry(),
        default_registry(hosts=["DB.example.org"]),
        default_registry(hosts=["*"]),
    )
    asked = {"host": "db.Example.org", "port": 5432}
    with pytest.raises(BadArguments, match="--allow-host"):
        closed.check("port", asked)
    text = named.check("port", asked)
    assert text == opened.check("port", asked)
    assert isinstance(named.build("port", text), PortWait)
    with pytest.raises(BadArguments, match="--allow-host"):
        closed.build("port", text)
    with pytest.raises(BadArguments):
        named.check("port", {"host": "10.0.0.1", "port": 5432})


@pytest.mark.parametrize("port", [0, -1, 65_536, "80", 80.5, None])
def test_a_port_is_a_number_of_one(port: object) -> None:
    """1 to 65535, and nothing else."""
    with pytest.raises(BadArguments):
        default_registry().check("port", {"port": port})


def test_it_is_a_task_like_any_other(listener: socket.socket) -> None:
    """By name, with the default host, a look closes what it has opened."""
    registry = default_registry()
    listener.listen()
    box = registry.build("port", registry.check("port", {"port": port_of(listener)}))
    assert isinstance(box, PortWait)
    assert "localhost" == (box.check_output() or {})["host"]
    with closing(listener.accept()[0]) as accepted:
        assert b"" == accepted.recv(1)
