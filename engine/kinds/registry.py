"""Registered kinds: tasks that can be submitted by name, checked, stored and made again.

A kind is a name, a schema of arguments and a function that builds the body. That is all that may
come over HTTP or out of a file: a name that is known here, and JSON that fits its schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ..errors import BadArguments, BadOption, KindExists, KindNotFound
from ..model import Effect
from ..options import draft
from ..sealed import SecretNotGiven, seal, unseal
from .declare import declare

if TYPE_CHECKING:
    from .kind import Kind

ARGUMENTS_LIMIT: Final = 64 * 1024
"""Bytes of canonical JSON that the arguments of one task may take."""
KINDS_LIMIT: Final = 1_000

_NAME: Final = re.compile(r"[a-z0-9._-]{1,80}")
_PROBLEM_LIMIT: Final = 500

_Target = TypeVar("_Target", bound=Callable[..., object])


class Registry:
    """The kinds an engine knows. Register them before the engine starts, then only read."""

    def __init__(self, kinds: Iterable[Kind[Any]] = ()) -> None:
        self._kinds: dict[str, Kind[Any]] = {}
        self._schemas: dict[str, dict[str, Any]] = {}
        self.include(kinds)

    def kind(
        self,
        name: str,
        *,
        effect: Effect | str = Effect.AT_LEAST_ONCE,
        attempts: int = 1,
        timeout: float | None = None,
        key: str | None = None,
        secret: Iterable[str] = (),
    ) -> Callable[[_Target], _Target]:
        """Register what follows, a function, a class or an ``async def``, and leave it as it is:
        ``@registry.kind("name")``. What is promised of it, and what raises, is in `declare`; the
        rest in `register`.
        """
        if not isinstance(name, str):
            raise BadOption("name", name, 'a string: @registry.kind("name")')

        def registered(target: _Target) -> _Target:
            kind = declare(
                target,
                name,
                effect=effect,
                attempts=attempts,
                timeout=timeout,
                key=key,
                secret=secret,
            )
            self.register(kind)
            return target

        return registered

    def include(self, kinds: Iterable[Kind[Any]]) -> None:
        """Add all of these kinds (a registry is an iterable of its own); raises as `register`."""
        for kind in kinds:
            self.register(kind)

    def __iter__(self) -> Iterator[Kind[Any]]:
        return iter(list(self._kinds.values()))

    def register(self, kind: Kind[Any]) -> None:
        """Add a kind.

        Raises:
            KindExists: The name is taken.
            BadOption: The name is not one, the arguments are no Struct that forbids unknown
                fields or cannot be described as JSON Schema, an option is none that a submission
                could have, or there are 1,000 kinds already.
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
        if unknown := set(kind.secret) - set(struct.__struct_encode_fields__):
            raise BadOption("secret", min(unknown), "the name of an argument")
        draft(kind.name, kind.mode, kind.fill({}), wall=0.0)  # refuses options that are none
        self._kinds[kind.name] = kind
        self._schemas[kind.name] = schema

    def names(self) -> tuple[str, ...]:
        """The names of all kinds, sorted."""
        return tuple(sorted(self._kinds))

    def get(self, name: str) -> Kind[Any]:
        """The kind of this name; raises KindNotFound."""
        found = self._kinds.get(name)
        if found is None:
            raise KindNotFound(name, self.names())
        return found

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema (2020-12) of a kind's arguments; raises KindNotFound."""
        self.get(name)
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
        kind = self.get(name)
        given = {} if arguments is None else arguments
        try:
            text = _canonical(_struct(kind, given))
            # What was built in Python was never validated, and NaN would become null on the way.
            msgspec.json.decode(text, type=kind.arguments)
            if kind.secret:
                text = seal(text, kind.secret)
        except RecursionError as error:
            raise BadArguments(name, "nested too deeply") from error
        except Exception as error:  # noqa: BLE001  a caller's own mapping may raise anything
            raise BadArguments(name, _problem(error, kind)) from _cause(error, kind)
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
        kind = self.get(name)
        text: str | bytes = arguments_json
        try:
            if kind.secret:
                fields = msgspec.json.decode(arguments_json, type=dict[str, Any])
                text = msgspec.json.encode(unseal(fields, kind.secret))
            arguments = msgspec.json.decode(text, type=kind.arguments)
        except (ValueError, RecursionError) as error:
            raise BadArguments(name, _problem(error, kind)) from _cause(error, kind)
        return kind.build(arguments)


def _struct(kind: Kind[Any], given: object) -> object:
    if type(given) is kind.arguments:
        return given
    if kind.secret and isinstance(given, Mapping):
        given = unseal(given, kind.secret)
    # Keys are strings in all that was JSON, also where the schema says numbers.
    return msgspec.convert(given, kind.arguments, str_keys=True)


def _canonical(arguments: object) -> bytes:
    try:
        return msgspec.json.encode(arguments, order="sorted")
    except TypeError:  # a mapping whose keys become strings on the way: nothing else sorts them
        plain = msgspec.json.decode(msgspec.json.encode(arguments))
        return msgspec.json.encode(plain, order="sorted")


def _problem(error: Exception, kind: Kind[Any]) -> str:
    """What is wrong, in words that quote no secret."""
    text = str(error) or type(error).__name__
    if not kind.secret or isinstance(error, SecretNotGiven):
        return text[:_PROBLEM_LIMIT]
    if isinstance(error, msgspec.ValidationError):
        for name in kind.secret:
            if f"`$.{name}" in text:
                return f"{name} does not fit its type"
        if error.__cause__ is None:
            return text[:_PROBLEM_LIMIT]
    return "they do not fit (the words could quote a secret)"


def _cause(error: Exception, kind: Kind[Any]) -> Exception | None:
    """The error to chain, unless its words or frames could tell a secret."""
    return None if kind.secret else error
