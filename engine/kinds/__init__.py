"""Kinds of tasks that can be submitted by name, and the ones that come with creche."""

from __future__ import annotations

from .registry import Kind as Kind
from .registry import Registry as Registry
from .sample import SAMPLE


def default_registry() -> Registry:
    """A fresh registry with the built-in kinds: ``sample``."""
    return Registry([SAMPLE])
