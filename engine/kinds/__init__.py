"""Kinds of tasks that can be submitted by name, and the ones that come with creche."""

from __future__ import annotations

from collections.abc import Collection

from .declare import NotAKind as NotAKind
from .kind import Kind as Kind
from .path import PATH
from .port import port_kind
from .registry import Registry as Registry
from .sample import SAMPLE


def default_registry(*, hosts: Collection[str] = ()) -> Registry:
    """A fresh registry with the built-in kinds: ``path``, ``port``, ``sample``.

    Args:
        hosts: What ``port`` may connect to beside this machine; ``*`` for everything.
    """
    return Registry([PATH, port_kind(hosts), SAMPLE])
