"""HTTP/1.1 as Hypercorn speaks it, and no other version of it.

Hypercorn's own connection turns to HTTP/2 in the clear whenever a client asks, by the preface
``PRI * HTTP/2.0`` or by ``Upgrade: h2c``, whatever was agreed on beforehand. All the limits of this
package are limits on HTTP/1.1, so both are closed here, in the one place where a request's first
line and headers are known and nothing has been answered yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import h11
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol

if TYPE_CHECKING:
    from hypercorn.protocol.events import Event

VERSIONS: Final = (b"1.0", b"1.1")


class VersionRefused(Exception):
    """The request is of a version of HTTP that is not spoken here."""

    def __init__(self, version: bytes) -> None:
        self.version = version
        super().__init__(f"HTTP/{version.decode('ascii', 'replace')} is not spoken here")


class Http1(H11Protocol):
    """One connection's protocol. An offer of HTTP/2 is passed over, as RFC 9110 allows."""

    async def stream_send(self, event: Event) -> None:
        """Pass on what the app answers; called by Hypercorn.

        An answer to a request that is still coming in ends the connection, and says so: the client
        would send its next request after what nobody reads.
        """
        if isinstance(event, Response) and self.connection.their_state is h11.SEND_BODY:
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Called by Hypercorn between the head of a request and its answer.

        Raises:
            VersionRefused: The preface of HTTP/2, or a version in its first line but 1.0 and 1.1.
        """
        if event.http_version not in VERSIONS:
            raise VersionRefused(event.http_version)
