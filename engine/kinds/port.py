"""The kind ``port``: waits until something listens at a TCP port."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Annotated, Any, Final

import msgspec

from ..model import Mode
from .kind import Kind

ANY_HOST: Final = "*"
CONNECT: Final = 0.25
"""Seconds that one look may spend on one address; loopback answers at once."""

_LOCALHOST: Final = ("127.0.0.1", "::1")
_NOT_YET: Final = frozenset(
    {
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    }
)
_ADDRESSES: Final = 8
_Address = tuple[socket.AddressFamily, Any]


class PortWait:
    """A polling box whose output is where something listens.

    Args:
        host: ``localhost``, an address, or a name.
        port: The port.
        make: Makes a TCP socket of an address family.
    """

    creche_mode = Mode.POLLING

    def __init__(
        self,
        host: str,
        port: int,
        *,
        make: Callable[[socket.AddressFamily], socket.socket] = socket.socket,
    ) -> None:
        self._host = host
        self._port = port
        self._make = make

    def run(self) -> None:
        """Nothing to start: others do."""

    def check_output(self) -> dict[str, object] | None:
        """The host, the port and the address that took a connection; None as long as none does.

        Raises:
            OSError: No connection can be tried, for want of descriptors, say.
        """
        for family, address in _addresses(self._host, self._port):
            if self._listens(family, address):
                return {"host": self._host, "port": self._port, "address": address[0]}
        return None

    def _listens(self, family: socket.AddressFamily, address: Any) -> bool:
        try:
            with self._make(family) as connection:
                connection.settimeout(CONNECT)
                connection.connect(address)
                # Where nobody listens, the system may give the connection this very port as its
                # own, and TCP then connects it with itself.
                return bool(connection.getsockname() != connection.getpeername())
        except (ConnectionError, TimeoutError):
            return False
        except OSError as error:
            if error.errno in _NOT_YET:
                return False
            if error.errno == errno.ENOTCONN:  # it was there, and has hung up already
                return True
            raise


def _addresses(host: str, port: int) -> list[_Address]:
    """Where to try; none for a name that is not known (yet)."""
    hosts = _LOCALHOST if host == "localhost" else (host,)
    found: list[_Address] = []
    for each in hosts:
        try:
            answers = socket.getaddrinfo(each, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            continue
        found += [(family, address) for family, _, _, _, address in answers]
    return found[:_ADDRESSES]


def port_kind(hosts: Collection[str] = ()) -> Kind[Any]:
    """The kind, for loopback and for these hosts.

    Args:
        hosts: Names and addresses, as they will be given, that may be connected to as well;
            ``*`` for all. Whoever may submit tasks can find out what listens there.
    """
    allowed = frozenset(host.lower() for host in hosts)

    class PortArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Wait until something listens at a TCP port."""

        port: Annotated[int, msgspec.Meta(ge=1, le=65_535, description="The port.")]
        host: Annotated[
            str,
            msgspec.Meta(
                min_length=1,
                max_length=253,
                description="Where; other machines only as far as the engine allows.",
            ),
        ] = "localhost"

        def __post_init__(self) -> None:
            host = self.host.lower()
            if not (is_loopback(host) or host in allowed or ANY_HOST in allowed):
                raise ValueError(
                    f"host {host[:80]!r} is not this machine's own, and the engine does not allow "
                    f"it: 'creche serve --allow-host' or default_registry(hosts=) would"
                )

    return Kind("port", PortArguments, _build, mode=Mode.POLLING)


def _build(arguments: Any) -> PortWait:
    return PortWait(arguments.host.lower(), arguments.port)


def is_loopback(host: str) -> bool:
    """True for ``localhost`` and the addresses that never leave the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
