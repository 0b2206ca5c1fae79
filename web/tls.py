"""TLS for the network: a certificate and its key, read before anything is bound."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple, NoReturn

from engine import CrecheError


class Tls(NamedTuple):
    """Files in PEM form for TLS."""

    certificate: Path
    """With the chain behind it."""
    key: Path
    """Without a password."""


class TlsFilesUnusable(CrecheError):
    """The certificate or its key cannot be used; ``path`` is the file to look at."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"TLS file {path}: {problem}")


class _Locked(Exception):
    """A key asks for its password."""


def server_context(files: Tls) -> ssl.SSLContext:
    """Read both files.

    Raises TlsFilesUnusable, naming the file that is to blame.
    """
    for path in files:
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlsFilesUnusable(path, error.strerror or "it cannot be read") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_locked)
    except _Locked as error:
        problem = "it is locked with a password: give a key without one"
        raise TlsFilesUnusable(files.key, problem) from error
    except ssl.SSLError as error:
        raise _unusable(files) from error
    # Offers nothing but what is spoken here.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _locked() -> NoReturn:
    # Without this OpenSSL would ask the terminal, and the server would hang.
    raise _Locked


def _unusable(files: Tls) -> TlsFilesUnusable:
    """OpenSSL does not say which of the files it means: find it out."""
    try:
        ssl.create_default_context(cafile=files.certificate)
    except ssl.SSLError:
        return TlsFilesUnusable(files.certificate, "it holds no certificate in PEM form")
    return TlsFilesUnusable(files.key, f"it holds no key in PEM form that fits {files.certificate}")
