"""Makes a kind of a function, a class or an async function: the schema is its signature."""

from __future__ import annotations

import copy
import enum
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from types import FunctionType
from typing import Annotated, Any, Final

import msgspec

from ..errors import BadOption, CrecheError
from ..model import Effect
from ..shapes import recognise
from .kind import Kind

_PLAIN: Final = (type(None), bool, int, float, str, bytes, enum.Enum)
"""Values that no two tasks could change for each other."""


class NotAKind(CrecheError, TypeError):
    """What was to be registered has no signature that could be a schema."""

    def __init__(self, kind: str, problem: str) -> None:
        self.kind = kind
        self.problem = problem
        super().__init__(f"kind {kind!r}: {problem}")


def declare(
    target: Callable[..., object],
    name: str,
    *,
    effect: Effect | str = Effect.AT_LEAST_ONCE,
    attempts: int = 1,
    timeout: float | None = None,
    key: str | None = None,
    secret: Iterable[str] = (),
) -> Kind[Any]:
    """The kind that makes its tasks of a function, a class or an ``async def``.

    Its arguments are those of the target, with their annotations and defaults; ``Annotated`` with
    `msgspec.Meta` bounds and describes them. The target's docstring is shown to users.

    Args:
        target: What is called, or made, with the arguments by name.
        name: See `Kind.name`.
        effect: ``at_least_once``, or ``at_most_once`` for work that must not run again after a
            crash.
        attempts: See `Kind.attempts`.
        timeout: See `Kind.timeout`; seconds.
        key: See `Kind.key`.
        secret: Names of arguments that are not to be shown.

    Raises:
        NotAKind: An argument has no annotation, one that JSON cannot carry, a default that does
            not fit, or cannot be given by name; or it is neither function nor class.
        NotATask: It cannot be minded, such as a class without run().
        BadOption: The effect, or a name in ``secret``, does not exist.
    """
    if not isinstance(target, (type, FunctionType)):
        raise NotAKind(name, "only a function, a class or an async function can be one")
    mode = recognise(target, {}).mode
    parameters = _parameters(target, name)
    hidden = _secret(secret, parameters)
    fields = [
        _field(name, parameter, {"writeOnly": True} if parameter.name in hidden else {})
        for parameter in parameters.values()
    ]
    arguments = msgspec.defstruct(
        "".join(part.title() for part in name.replace(".", "-").split("-")) + "Arguments",
        fields,
        namespace={"__doc__": inspect.cleandoc(target.__doc__ or "")},
        module=target.__module__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    try:
        known = Effect(effect)
    except ValueError:
        raise BadOption("effect", effect, "at_least_once or at_most_once") from None
    build = functools.partial(_made if isinstance(target, type) else _called, target)
    return Kind(name, arguments, build, known, mode, attempts, timeout, key, hidden)


def _made(target: Callable[..., object], arguments: msgspec.Struct) -> object:
    return target(**_values(arguments))


def _called(target: Callable[..., object], arguments: msgspec.Struct) -> object:
    return functools.partial(target, **_values(arguments))


def _values(arguments: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in arguments.__struct_fields__}


def _parameters(target: Callable[..., object], name: str) -> Mapping[str, Parameter]:
    try:
        return inspect.signature(target, eval_str=True).parameters
    except Exception as error:  # annotations are code, and may raise anything
        problem = f"its signature cannot be read: {type(error).__name__}: {error}"
        raise NotAKind(name, problem) from error


def _secret(names: Iterable[str], parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise BadOption("secret", names, "a tuple of names")
    found = tuple(dict.fromkeys(names))
    if unknown := [name for name in found if name not in parameters]:
        raise BadOption("secret", unknown[0], f"one of {', '.join(parameters) or 'no arguments'}")
    return found


def _field(
    kind: str, parameter: Parameter, extra: dict[str, Any]
) -> tuple[str, Any] | tuple[str, Any, Any]:
    """An argument as `msgspec.defstruct` takes it; ``extra`` goes into its schema."""
    name, annotation, default = parameter.name, parameter.annotation, parameter.default
    if parameter.kind not in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}:
        raise NotAKind(kind, f"argument {str(parameter)!r} cannot be given by its name")
    if name.startswith("__"):
        raise NotAKind(kind, f"argument {name!r} has a name of Python's own")
    if annotation is Parameter.empty:
        raise NotAKind(kind, f"argument {name!r} has no annotation: write '{name}: str', say")
    try:
        msgspec.json.schema(annotation)
    except Exception as error:  # whatever a type of the user's own may raise
        raise NotAKind(kind, f"argument {name!r} is nothing that JSON carries: {error}") from error
    if default is Parameter.empty:
        return name, _with(annotation, extra)
    try:
        text = msgspec.json.encode(default)
        msgspec.json.decode(text, type=annotation)
    except Exception as error:  # the same
        raise NotAKind(kind, f"the default of {name!r} does not fit it: {error}") from error
    if isinstance(default, _PLAIN):
        return name, _with(annotation, extra), default
    extra = {**extra, "default": msgspec.json.decode(text)}
    fresh = msgspec.field(default_factory=functools.partial(copy.deepcopy, default))
    return name, _with(annotation, extra), fresh


def _with(annotation: Any, extra: dict[str, Any]) -> Any:
    return Annotated[annotation, msgspec.Meta(extra_json_schema=extra)] if extra else annotation
