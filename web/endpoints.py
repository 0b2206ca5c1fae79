"""Sockets to listen on: made safe before the first connection, cleaned up after the last."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

from engine import CrecheError

BACKLOG: Final = 1_024
"""Connections that wait to be taken: all streams may come again at once, and a unix socket whose
queue is full refuses."""
PATH_LIMIT: Final = 100
"""Bytes of a unix socket's path; the kernel's own limit is 104 on some systems."""
_NOT_SECURED: Final = (
    "others can reach this address: give a certificate and its key (--tls-cert and --tls-key, "
    "or tls= beside token_file=), or say --insecure (insecure=True)"
)


class EndpointInUse(CrecheError):
    """Somebody listens there already."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        super().__init__(f"{endpoint}: something listens there already; stop it or choose another")


class EndpointUnsafe(CrecheError):
    """Listening there would open the engine to others."""

    def __init__(self, endpoint: str, problem: str) -> None:
        self.endpoint = endpoint
        self.problem = problem
        super().__init__(f"{endpoint}: {problem}")


class UnixEndpoint:
    """A listening unix socket that only its owner may connect to."""

    def __init__(self, path: Path, made: socket.socket) -> None:
        self.path = path
        self.socket = made
        found = path.stat()
        self._identity = (found.st_dev, found.st_ino)

    def unlink(self) -> None:
        """Take the name away, unless somebody else has it by now."""
        try:
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()
        except FileNotFoundError:
            pass


def listen_unix(path: Path) -> UnixEndpoint:
    """Listen on a unix socket; one that nobody listens on any more is replaced.

    Raises:
        EndpointInUse: Somebody listens there.
        EndpointUnsafe: The path is too long, the name belongs to something else, or others may
            write the folder.
        OSError: The folder or the socket cannot be made.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        problem = f"over {PATH_LIMIT} bytes: engine.socket_path() gives one that fits everywhere"
        raise EndpointUnsafe(str(path), problem)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_folder(path)
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(os.fspath(path))
        # Nobody can connect before listen(), so there is no moment with another mode.
        path.chmod(0o600)
        made.listen(BACKLOG)
        made.setblocking(False)
        return UnixEndpoint(path, made)
    except BaseException:
        made.close()
        raise


def listen_tcp(host: str, port: int, *, secured: bool) -> socket.socket:
    """Listen on an address of this machine.

    Args:
        host: A numeric address, or ``localhost``.
        port: 0 for any that is free.
        secured: True when others than this machine's own may connect: by token and TLS, or because
            the user says so.

    Raises:
        EndpointInUse: Somebody listens there.
        EndpointUnsafe: Not a loopback address, and not secured; or not a numeric address.
        OSError: It is no address of this machine, or the port is not to be had.
    """
    shown = f"{host}:{port}"
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError as error:
        raise EndpointUnsafe(shown, "give a numeric address, or localhost") from error
    if not (address.is_loopback or secured):
        raise EndpointUnsafe(shown, _NOT_SECURED)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((str(address), port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException as error:
        made.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise EndpointInUse(shown) from error
        raise
    return made


def _check_folder(path: Path) -> None:
    folder = path.parent.stat()
    if folder.st_uid not in {os.geteuid(), 0}:
        raise EndpointUnsafe(str(path), f"its folder belongs to user {folder.st_uid}")
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise EndpointUnsafe(str(path), "its folder may be written by others: chmod 700 it")


def _clear(path: Path) -> None:
    """Take away the socket that a dead engine has left."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise EndpointUnsafe(str(path), "there is something else of this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full: it is alive
    raise EndpointInUse(str(path))
