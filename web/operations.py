"""What the API can do, as rows: each of them is routed, checked and documented from its one row."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import msgspec

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B")

JSON: Final = "application/json"
BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a request's body, where a row does not say otherwise."""
_PLACE: Final = re.compile(r"\{(\w+)\}")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Q, B]):
    """A request that has passed every check which its row declares."""

    path: Mapping[str, str]
    """The parts of the path in braces."""
    query: Q
    body: B
    headers: Headers
    """Any case will do."""
    cleanup: ExitStack = field(default_factory=ExitStack)
    """Unwound when the request is over, however it ends and whatever was sent by then."""


class Reply(NamedTuple):
    """What a handler answers."""

    status: int
    body: object = msgspec.UNSET
    """Becomes JSON; UNSET for an empty one, `msgspec.Raw` for JSON that is text already. An
    iterator of bytes is sent as they come, and may go on for ever."""
    headers: Mapping[str, str] = {}
    media: str = JSON


class Answer(NamedTuple):
    """One documented answer."""

    status: int
    description: str
    body: Any = None
    """The type of its JSON, None for an empty answer."""
    headers: Mapping[str, str] = {}
    """Name and description of each header of its own."""
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[Q, B]):
    """One row: a method on a path."""

    name: str
    method: str
    path: str
    """With its variable parts in braces, as OpenAPI writes it."""
    summary: str
    call: Callable[[Asked[Q, B]], Awaitable[Reply]]
    answers: tuple[Answer, ...]
    query: type[Q]
    body: type[B] | None = None
    """The JSON that it takes; None when it takes no body."""
    empty_body: B | None = None
    """Stands for a body that was not sent; None when one must be."""
    shown_body: Any = None
    """The type that is documented, where ``body`` leaves a part of the checks to ``call``."""
    body_limit: int = BODY_LIMIT
    """Bytes of it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name and description of each request header that it heeds."""
    problems: tuple[int, ...] = ()
    """Statuses of the errors that are its own; those that any operation may give go without."""
    open: bool = False
    """True when it is answered without a token."""

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the path's variable parts."""
        return tuple(_PLACE.findall(self.path))

    @property
    def rule(self) -> str:
        """The path as Quart writes it."""
        return _PLACE.sub(r"<\1>", self.path)


@dataclass(frozen=True, slots=True)
class Resource:
    """The operations on one kind of thing; becomes one blueprint."""

    name: str
    operations: tuple[Operation[Any, Any], ...]
