"""Registered kinds: tasks that can be submitted by name, checked, stored and made again.

A kind is a name, a schema of arguments and a function that builds the body. That is all that may
come over HTTP or out of a file: a name that is known here, and JSON that fits its schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

import msgspec

from ..errors import BadArguments, BadOption, KindExists, KindNotFound
from ..model import Effect

ARGUMENTS_LIMIT: Final = 64 * 1024
"""Bytes of canonical JSON that the arguments of one task may take."""
KINDS_LIMIT: Final = 1_000

_NAME: Final = re.compile(r"[a-z0-9._-]{1,80}")
_PROBLEM_LIMIT: Final = 500

_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)


class Kind(msgspec.Struct, Generic[_Arguments], frozen=True):
    """One way to make a task out of arguments."""

    name: str
    """1 to 80 characters of ``a-z 0-9 . _ -``."""
    arguments: type[_Arguments]
    """A Struct with ``forbid_unknown_fields=True``; its docstring is shown to users."""
    build: Callable[[_Arguments], object]
    """Makes a fresh task object. Called in the body's own thread, once an attempt."""
    effect: Effect = Effect.AT_LEAST_ONCE
    """What may be done when the process dies while one is running."""


class Registry:
    """The kinds an engine knows. Register them before the engine starts, then only read."""

    def __init__(self, kinds: Iterable[Kind[Any]] = ()) -> None:
        self._kinds: dict[str, Kind[Any]] = {}
        self._schemas: dict[str, dict[str, Any]] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: Kind[Any]) -> None:
        """Add a kind.

        Raises:
            KindExists: The name is taken.
            BadOption: The name is not one, the arguments are no Struct that forbids unknown
                fields or cannot be described as JSON Schema, or there are 1,000 kinds already.
        """
        if not _NAME.fullmatch(kind.name):
            raise BadOption("name", kind.name[:100], "1 to 80 characters of a-z 0-9 . _ -")
        if kind.name in self._kinds:
            raise KindExists(kind.name)
        if len(self._kinds) >= KINDS_LIMIT:
            raise BadOption("kinds", len(self._kinds) + 1, f"at most {KINDS_LIMIT} kinds")
        struct: object = kind.arguments  # a caller without a type checker may pass anything
        if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
            raise BadOption("arguments", struct, "a subclass of msgspec.Struct")
        if not struct.__struct_config__.forbid_unknown_fields:
            raise BadOption("arguments", struct, "a Struct with forbid_unknown_fields=True")
        try:
            schema = msgspec.json.schema(struct)
        except (TypeError, NameError) as error:
            raise BadOption("arguments", struct, "fields that JSON can carry") from error
        self._kinds[kind.name] = kind
        self._schemas[kind.name] = schema

    def names(self) -> tuple[str, ...]:
        """The names of all kinds, sorted."""
        return tuple(sorted(self._kinds))

    def kind(self, name: str) -> Kind[Any]:
        """The kind of this name; raises KindNotFound."""
        found = self._kinds.get(name)
        if found is None:
            raise KindNotFound(name, self.names())
        return found

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema (2020-12) of a kind's arguments; raises KindNotFound."""
        self.kind(name)
        return self._schemas[name]

    def check(self, name: str, arguments: object) -> str:
        """Arguments in their one canonical form: JSON with sorted keys and every default filled in.

        Args:
            name: The kind.
            arguments: A mapping, or the kind's own Struct; None stands for no arguments.

        Raises:
            KindNotFound: No kind has this name.
            BadArguments: They do not fit the schema, cannot be JSON, or are over 64 KiB.
        """
        kind = self.kind(name)
        given = {} if arguments is None else arguments
        try:
            struct = (
                given if type(given) is kind.arguments else msgspec.convert(given, kind.arguments)
            )
            text = msgspec.json.encode(struct, order="sorted")
            # What was built in Python was never validated, and NaN would become null on the way.
            msgspec.json.decode(text, type=kind.arguments)
        except RecursionError as error:
            raise BadArguments(name, "nested too deeply") from error
        except Exception as error:  # whatever a caller's own mapping may raise while it is read
            raise BadArguments(name, _problem(error)) from error
        if len(text) > ARGUMENTS_LIMIT:
            raise BadArguments(name, f"{len(text)} bytes of JSON, the limit is {ARGUMENTS_LIMIT}")
        return text.decode()

    @staticmethod
    def decode(arguments_json: str) -> object:
        """The value of stored arguments, to be checked again. Raises ValueError."""
        try:
            return msgspec.json.decode(arguments_json)
        except RecursionError as error:
            raise ValueError("arguments are nested too deeply") from error

    def build(self, name: str, arguments_json: str) -> object:
        """A fresh task object of a kind, from what `check` gave.

        Raises:
            KindNotFound: No kind has this name (any more).
            BadArguments: The text does not fit the schema (any more).
            Exception: Whatever the kind's own ``build`` raises.
        """
        kind = self.kind(name)
        try:
            arguments = msgspec.json.decode(arguments_json, type=kind.arguments)
        except (ValueError, RecursionError) as error:
            raise BadArguments(name, _problem(error)) from error
        return kind.build(arguments)


def _problem(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:_PROBLEM_LIMIT]
