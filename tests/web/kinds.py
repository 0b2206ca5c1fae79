"""Kinds of task whose end a test decides."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from engine import Kind, Registry


class Echo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Any = None


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Unready:
    """Polled for ever."""

    creche_mode = "polling"

    def run(self) -> None:
        pass

    def check_output(self) -> None:
        return None


def fail() -> None:
    raise ValueError("it went wrong")


def registry() -> Registry:
    """The kinds that the tests submit."""
    return Registry(
        [
            Kind("echo", Echo, lambda arguments: lambda: arguments.value),
            Kind("unready", NoArguments, lambda _: Unready()),
            Kind("failing", NoArguments, lambda _: fail),
            Kind("nan", NoArguments, lambda _: lambda: math.nan),
        ]
    )
