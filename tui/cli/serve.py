"""``creche serve``: run the engine of a store until a signal asks for its end.

This is the one joint of engine and web: one Trio run holds the engine, the control socket and,
where asked for, HTTP. It is also the one place that touches settings of the whole process.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import logging
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter, validators

from engine import Registry, socket_path, store_dir

from ..text import safe_text
from .exits import BadUsage, Exit
from .loading import kinds_to_serve
from .output import mute, say
from .place import StoreOption, locate
from .signals import stop_signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import trio

    from engine import Engine

    from .signals import StopSignals

SWITCH_INTERVAL: Final = 0.0005
"""Seconds a thread may hold the interpreter against another: keeps the loop's lateness low."""
GC_THRESHOLDS: Final = (50_000, 20, 100)
"""A full collection stops every thread for as long as there are live tasks to look at: fewer."""


REQUESTS: Final = 1.0
"""Seconds that requests under way may take to end once the engine has drained."""
_TCP: Final = "HOST:PORT to serve the HTTP API on as well; HOST is an address or localhost."
_CERTIFICATE: Final = "Certificate of the HTTP API in PEM form, with the chain behind it."
_INSECURE: Final = "Allow --tcp outside this machine without TLS; the token is still asked for."
_GRACE: Final = "Seconds that executing code may take to end when the engine is asked to stop."
_APP: Final = "MODULE:NAME of a Registry with kinds of your own (docs/kinds.md)."
_HOSTS: Final = "A host that tasks of kind 'port' may connect to; may be repeated, * is any."
_log: Final = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve, and how."""

    store: Path
    tcp: tuple[str, int] | None = None
    """Address and port of the HTTP API, None for the control socket alone."""
    certificate: Path | None = None
    """TLS certificate for ``tcp``, with the chain behind it; goes with ``key``."""
    key: Path | None = None
    insecure: bool = False
    """Allow ``tcp`` outside this machine without TLS."""
    capacity: int = 512
    grace: float = 5.0
    seed: int | None = None
    """Settles the engine's own chance (jitter, backoff)."""
    kinds: Registry | None = None
    """What can be submitted by name; the built-in kinds when left out."""


def serve(
    *,
    store: StoreOption = None,
    tcp: Annotated[str | None, Parameter(name="--tcp", help=_TCP)] = None,
    tls_cert: Annotated[Path | None, Parameter(help=_CERTIFICATE)] = None,
    tls_key: Annotated[Path | None, Parameter(help="Its key, in PEM form.")] = None,
    insecure: Annotated[bool, Parameter(help=_INSECURE)] = False,
    capacity: Annotated[
        int,
        Parameter(help="Blocking calls at once.", validator=validators.Number(gte=1, lte=100_000)),
    ] = 512,
    grace: Annotated[
        float, Parameter(help=_GRACE, validator=validators.Number(gte=0, lte=86_400))
    ] = 5.0,
    app: Annotated[str | None, Parameter(name="--app", help=_APP)] = None,
    allow_host: Annotated[list[str] | None, Parameter(help=_HOSTS)] = None,
) -> int:
    """Run the engine of a store, with its control socket and, if asked, HTTP.

    TERM, INT (Ctrl-C) and HUP drain: no task is accepted or started any more, code that is
    executing may end for the grace, and the exit status is 0. A second signal ends at once.
    """
    if (tls_cert is None) is not (tls_key is None):
        raise BadUsage("--tls-cert and --tls-key go together")
    if tcp is None and (tls_cert is not None or insecure):
        raise BadUsage("--tls-cert and --insecure say how to serve --tcp HOST:PORT: give that, too")
    for file in (tls_cert, tls_key):
        if file is not None and not file.is_file():
            raise BadUsage(f"there is no file {file}")
    settings = Settings(
        store=locate(store),
        tcp=None if tcp is None else address(tcp),
        certificate=tls_cert,
        key=tls_key,
        insecure=insecure,
        capacity=capacity,
        grace=grace,
        kinds=kinds_to_serve(app, allow_host or ()),
    )
    run(settings, ready=_ready)
    return Exit.OK


def address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``, ``[ADDRESS]:PORT`` or ``PORT`` alone, which is on 127.0.0.1.

    Raises BadUsage for anything else.
    """
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise BadUsage(f"--tcp {text}: expected HOST:PORT, with a port from 0 to 65535")
    if not colon:
        return "127.0.0.1", int(port)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare is host):
        raise BadUsage(f"--tcp {text}: expected HOST:PORT, an IPv6 address in brackets")
    return bare, int(port)


def _ready(endpoints: Endpoints) -> None:
    """Tell whoever started the server where it is; nobody listening is no reason to end."""
    try:
        for label, place in endpoints.lines():
            say(f"{label:<9}{safe_text(place)}")
        say("ready")
        sys.stdout.flush()
    except OSError:
        mute()


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server answers, once it does."""

    store: Path
    control: str
    url: str | None = None
    token: Path | None = None

    def lines(self) -> Iterator[tuple[str, str]]:
        """Label and place, for people and for what waits for them."""
        yield "store", str(self.store)
        yield "control", self.control
        if self.url is not None:
            yield "http", self.url
        if self.token is not None:
            yield "token", str(self.token)


def run(
    settings: Settings,
    *,
    ready: Callable[[Endpoints], None],
    begin: Callable[[Engine], Awaitable[None]] | None = None,
    lifeline: int | None = None,
) -> None:
    """Serve until a signal asks for the end; return after the store was closed in good order.

    Args:
        settings: What to serve.
        ready: Called once, when everything that can be connected to is bound.
        begin: Awaited after that, before the wait for the end.
        lifeline: Descriptor of a pipe; that its other end is closed counts as a signal to stop.

    Raises:
        StoreError: The store cannot be opened, or writing to it has failed.
        OSError: An address cannot be bound.
    """
    import trio

    with stop_signals() as signals:
        own_process()
        trio.run(functools.partial(_serve, settings, signals, ready, begin, lifeline))


def own_process() -> None:
    """Set what belongs to the whole process: nothing but a server of its own may do that."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    faulthandler.enable()
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    # What is loaded by now stays for good: no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _serve(
    settings: Settings,
    signals: StopSignals,
    ready: Callable[[Endpoints], None],
    begin: Callable[[Engine], Awaitable[None]] | None,
    lifeline: int | None,
) -> None:
    import trio

    stopping, end = trio.Event(), trio.Event()
    loop = trio.lowlevel.current_trio_token()

    def told() -> None:
        with suppress(trio.RunFinishedError):
            loop.run_sync_soon(stopping.set)

    signals.tell(told)
    async with _engine(settings) as engine, trio.open_nursery() as nursery:
        endpoints = await nursery.start(_serve_web, settings, engine, end)
        async with trio.open_nursery() as watchers:
            if lifeline is not None:
                watchers.start_soon(_hold, lifeline, stopping)
            ready(endpoints)
            if begin is not None:
                watchers.start_soon(begin, engine)
            await stopping.wait()
            watchers.cancel_scope.cancel()
        _log.info("stopping: no task is accepted, started or looked at any more")
        await engine.drain()
        end.set()


def _engine(settings: Settings) -> Engine:
    from engine import Engine

    return Engine(
        settings.store,
        capacity=settings.capacity,
        grace=settings.grace,
        kinds=settings.kinds,
        rng=None if settings.seed is None else random.Random(settings.seed),
    )


async def _serve_web(
    settings: Settings,
    engine: Engine,
    end: trio.Event,
    *,
    task_status: trio.TaskStatus[Endpoints],
) -> None:
    """Serve both endpoints until ``end``; gives their places when they are bound."""
    import trio

    from web import Tls
    from web import serve as serve_web

    folder = store_dir(settings.store)
    socket = socket_path(settings.store, os.environ)
    token = None if settings.tcp is None else folder / "token"
    tls = None
    if settings.certificate is not None and settings.key is not None:
        tls = Tls(settings.certificate, settings.key)
    try:
        async with trio.open_nursery() as nursery:
            serving = functools.partial(
                serve_web,
                engine,
                unix=socket,
                tcp=settings.tcp,
                token_file=token,
                tls=tls,
                insecure=settings.insecure,
                shutdown=end,
                grace=REQUESTS,
            )
            bound = await nursery.start(serving)
            task_status.started(
                Endpoints(store=settings.store, control=str(bound.unix), url=bound.url, token=token)
            )
    finally:
        if socket.parent != folder:
            with suppress(OSError):
                socket.parent.rmdir()


async def _hold(lifeline: int, stopping: trio.Event) -> None:
    """Return when nobody holds the other end of the pipe any more."""
    import trio

    await trio.lowlevel.wait_readable(lifeline)
    stopping.set()
