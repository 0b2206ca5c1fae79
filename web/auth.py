"""Who may ask: whoever reached the control socket, and whoever knows the token.

The control socket lies in a folder that only its owner may enter: the folder is the permission.
Over the network there is one bearer token; without it nothing is answered but ``/healthz``.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from .problems import Problem

TRUSTED: Final = "creche.trusted"
"""Key of an ASGI scope's state: True on a connection that needs no token."""

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::[0-9]{1,5})?")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the app answers."""

    token: str | None = None
    """What a bearer must show; None lets nobody in over the network."""
    hosts: frozenset[str] = LOOPBACK_NAMES
    """Host names that are ours, lower-case, without port, IPv6 in brackets. A page that was
    brought here by a lie of the name service sends another one."""
    anybody: bool = False
    """True to answer without a token: on a network this gives everybody everything."""

    def names_us(self, host: bytes | None, reached: str | None = None) -> bool:
        """True when a Host header means this server, with any port: tunnels have their own.

        Args:
            host: The header; one of `hosts`, or the very address that was reached. No lie of the
                name service can bring a page here under a number.
            reached: The address at our end of the connection.
        """
        match = _HOST.fullmatch(host or b"")
        if match is None:
            return False
        name = match[1].decode("ascii").lower()
        return name in self.hosts or name.strip("[]") == reached

    def check(self, authorization: str | None) -> None:
        """Let a request from the network in.

        Args:
            authorization: Its Authorization header.

        Raises:
            Problem: 401; the header is missing, of another scheme, or bears another token.
        """
        if self.anybody:
            return
        scheme, _, given = (authorization or "").partition(" ")
        known = scheme.lower() == "bearer" and self.token is not None
        # Compared in any case, and in constant time: the answer's time tells nothing.
        same = hmac.compare_digest(
            given.strip().encode("utf-8", "replace"), (self.token or "").encode()
        )
        if not (known and same):
            error = "" if authorization is None else ', error="invalid_token"'
            raise Problem(
                401,
                detail="send 'Authorization: Bearer TOKEN'; the token is in the store's folder",
                headers={"WWW-Authenticate": f'Bearer realm="creche"{error}'},
            )


def is_trusted(scope: Mapping[str, Any]) -> bool:
    """True for a request over the control socket. Whatever does not say so is of the network."""
    return (scope.get("state") or {}).get(TRUSTED) is True


def host_names(bound: str, names: Collection[str] = ()) -> frozenset[str]:
    """The host names to answer for: the user's, and those of loopback where that reaches us.

    Args:
        bound: The address that is listened on.
        names: What clients may call this server.
    """
    address = ipaddress.ip_address(bound)
    loopback = address.is_loopback or address.is_unspecified
    return frozenset({name.lower() for name in names} | (LOOPBACK_NAMES if loopback else set()))
