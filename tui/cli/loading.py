"""The kinds that a server knows: the built-in ones, those of installed distributions, and those of
the program that ``--app MODULE:NAME`` names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from importlib import metadata
from typing import TYPE_CHECKING, Final

from engine import CrecheError, KindExists, Registry, default_registry

from .exits import BadUsage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import ModuleType

GROUP: Final = "creche.kinds"
"""The group of entry points; each names a `Registry` as ``module:name``."""


class KindsNotLoaded(CrecheError):
    """An installed distribution offers kinds that cannot be had."""


def kinds_to_serve(
    app: str | None,
    hosts: Collection[str] = (),
    *,
    installed: Iterable[metadata.EntryPoint] | None = None,
) -> Registry:
    """All kinds for a server.

    Args:
        app: ``MODULE:NAME`` of the user's own registry; the module is looked for in the working
            directory first.
        hosts: What the kind ``port`` may connect to beside this machine.
        installed: The entry points; those of the environment when left out.

    Raises:
        BadUsage: ``app`` is no such thing, cannot be imported, or gives a kind a name that is
            taken.
        KindsNotLoaded: The same of an entry point.
    """
    found = default_registry(hosts=hosts)
    points = metadata.entry_points(group=GROUP) if installed is None else installed
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        offer = f"the entry point {point.name!r} of {GROUP} ({point.value})"
        try:
            _include(found, _registry(point.value))
        except _Problem as problem:
            raise KindsNotLoaded(f"{offer}: {problem}") from problem.__cause__
    if app is not None:
        if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  sys.path holds strings
            sys.path.insert(0, here)
        try:
            _include(found, _registry(app))
        except _Problem as problem:
            raise BadUsage(f"--app {app}: {problem}") from problem.__cause__
    return found


class _Problem(Exception):
    """What is wrong with a reference, without who made it."""


def _registry(reference: str) -> Registry:
    module, _, name = reference.partition(":")
    parts = [part.strip() for part in (*module.split("."), *name.split("."))]
    if not all(part.isidentifier() for part in parts):
        raise _Problem("expected MODULE:NAME, such as jobs:registry")
    found: object = _module(module.strip())
    for part in name.strip().split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _Problem(f"there is no {name!r} in the module {module!r}") from None
    if not isinstance(found, Registry):
        kind = type(found).__qualname__
        raise _Problem(f"{name!r} is no Registry of kinds but of type {kind!r}")
    return found


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise _Problem(f"there is no module {error.name!r} here") from None
        raise _failed(name, error) from error
    except Exception as error:  # the user's module may raise anything while it is imported
        raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> _Problem:
    if isinstance(error, SyntaxError):
        place, line = error.filename, error.lineno
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place, line = last.filename, last.lineno
    words = " ".join(str(error).split())
    return _Problem(f"importing {name!r} failed at {place}:{line}: {type(error).__name__}: {words}")


def _include(found: Registry, more: Registry) -> None:
    built_in = default_registry().names()
    try:
        found.include(more)
    except KindExists as error:
        if error.kind in built_in:
            problem = f"the kind {error.kind!r} is a built-in one: give yours another name"
            raise _Problem(problem) from None
        raise _Problem(str(error)) from None
