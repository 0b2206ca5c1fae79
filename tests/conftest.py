"""Gives every async test its loop: asyncio under tests/tui/, Trio everywhere else.

Textual is driven on asyncio, the engine and the web on Trio. The mark must be on the function
before pytest-asyncio looks at it, which is while collecting, hence the early hook: at
`pytest_collection_modifyitems` it is too late.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

ASYNCIO_FOLDER = Path(__file__).parent / "tui"


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Marks async test functions and methods `asyncio` or `trio` by their folder.

    Args:
        collector: The module or class being collected.
        name: The object's name; only names that pytest collects are marked.
        obj: The function or method.

    Raises:
        pytest.Collector.CollectError: The function is already marked for the other loop, by hand
            or because one function object is collected from both sides.
    """
    if not collector.istestfunction(obj, name):
        return
    function = getattr(obj, "__func__", obj)
    # @given wraps a coroutine function in a plain one.
    innermost = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if not inspect.iscoroutinefunction(innermost):
        return
    loop, other = "trio", "asyncio"
    if collector.path.is_relative_to(ASYNCIO_FOLDER):
        loop, other = other, loop
    marks = {mark.name for mark in getattr(function, "pytestmark", ())}
    if other in marks:
        msg = f"{collector.nodeid}::{name} runs on {loop} by its folder but is marked {other}"
        raise collector.CollectError(msg)
    if loop not in marks:
        getattr(pytest.mark, loop)(function)
