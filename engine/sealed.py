"""Secret arguments: how they lie in a row, and what is shown instead.

A row must hold them, or the task could not be made again after a crash. There the value is wrapped
in an object of one field, so that whoever reads the row, in any process and without knowing the
kind, can tell that it is not to be shown. This hides; it does not encrypt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from .errors import CrecheError

SHOWN: Final = "•••"
"""What stands for a secret wherever arguments are shown."""
_SEAL: Final = "creche:secret"


class SecretNotGiven(CrecheError, ValueError):
    """The stand-in of a secret was given as its value: somebody has copied what is shown."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} is {SHOWN}, which only stands for it: give the secret itself")


def seal(arguments: bytes, names: Collection[str]) -> bytes:
    """The arguments (a JSON object with sorted keys) with their secrets wrapped; null stays."""
    fields: dict[str, Any] = msgspec.json.decode(arguments)
    sealed = {
        name: {_SEAL: value} if name in names and value is not None else value
        for name, value in fields.items()
    }
    return msgspec.json.encode(sealed)


def unseal(arguments: Mapping[Any, Any], names: Collection[str]) -> dict[Any, Any]:
    """The arguments with their secrets as they are, wrapped before or not.

    Raises SecretNotGiven.
    """
    fields = dict(arguments)
    for name in fields.keys() & set(names):
        value = fields[name]
        if isinstance(value, dict) and value.keys() == {_SEAL}:
            fields[name] = value = value[_SEAL]
        if value == SHOWN:
            raise SecretNotGiven(name)
    return fields


def shown_arguments(arguments: str | None) -> str | None:
    """The arguments of a row (`TaskSnapshot.arguments`) as they may be shown to anybody: the same
    JSON text, with ``"•••"`` in place of each secret. What is none and bears the mark of a secret
    is ``"•••"`` as a whole."""
    if arguments is None or _SEAL not in arguments:
        return arguments
    try:
        fields = msgspec.json.decode(arguments, type=dict[str, Any])
    except (ValueError, RecursionError):
        return f'"{SHOWN}"'
    shown = {
        name: SHOWN if isinstance(value, dict) and _SEAL in value else value
        for name, value in fields.items()
    }
    return msgspec.json.encode(shown).decode()
