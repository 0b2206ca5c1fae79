"""A server is a guest in its process."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.web.served import control, serving
from tests.web.wire import once

if TYPE_CHECKING:
    import pytest


def surroundings() -> dict[str, object]:
    """What of the process a library must not touch."""
    umask = os.umask(0o077)
    os.umask(umask)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return {
        "handlers": [(each.name, list(each.handlers)) for each in loggers if each.handlers],
        "levels": {each.name: each.level for each in loggers if each.level},
        "umask": umask,
        "gc": (gc.isenabled(), gc.get_threshold()),
        "switch interval": sys.getswitchinterval(),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "threads": {each.name for each in threading.enumerate() if "Trio" not in each.name},
    }


async def test_the_process_stays_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """Serving, answering, failing and ending touch no global of the process, and print nothing."""
    before = surroundings()
    async with serving(unix=True) as served, control(served.bound) as owner:
        await served.client.get("/v1/stats")
        await served.client.post("/v1/tasks", content=b"[", headers={"Content-Type": "x"})
        await owner.get("/nothing")
        await once(served.connect, b"BREW\r\n\r\n")
        assert before == surroundings()
    assert before == surroundings()
    assert ("", "") == capfd.readouterr()


async def test_requests_are_logged_only_where_asked(caplog: pytest.LogCaptureFixture) -> None:
    """Without an access log nothing is written of a request; with one, a line, and no token."""
    caplog.set_level(logging.INFO)
    log = logging.getLogger("test.access")
    for access_log, lines in ((None, 0), (log, 1)):
        caplog.clear()
        async with serving(access_log=access_log) as served:
            await served.client.get("/v1/stats")
        records = [record for record in caplog.records if "httpx" not in record.name]
        assert lines == len(records)
        for record in records:
            assert "/v1/stats" in record.getMessage()
            assert served.token not in record.getMessage()
