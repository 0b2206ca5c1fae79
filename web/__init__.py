"""The HTTP side of creche: one app, served on a control socket and, if asked for, on the network.

* `serve` (web.serve): serves an open engine in the caller's nursery.
* `create_app` (web.app): the app alone, for another server.
* web.operations: what the API can do, one row each; `tasks`, `stats` and `health` hold the rows.
* web.gate, web.auth, web.connection: what a request must pass, from the bytes inwards.
"""

from .app import create_app as create_app
from .auth import Access as Access
from .connection import Timeouts as Timeouts
from .endpoints import EndpointInUse as EndpointInUse
from .endpoints import EndpointUnsafe as EndpointUnsafe
from .serve import Bound as Bound
from .serve import serve as serve
from .tls import Tls as Tls
from .tls import TlsFilesUnusable as TlsFilesUnusable
from .token_file import TokenFileUnsafe as TokenFileUnsafe
from .token_file import open_token as open_token
