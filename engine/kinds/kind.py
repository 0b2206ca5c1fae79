"""What a registered kind is: a name, a schema of arguments, and how to make a task of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from ..model import Effect, Mode

if TYPE_CHECKING:
    from ..options import Options

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
    mode: Mode = Mode.AUTO
    """What its tasks declare: ASYNC when, and only when, ``build`` gives an async function."""
    attempts: int = 1
    """How often a task may be begun in all, where its submission does not say."""
    timeout: float | None = None
    """Seconds one attempt may take, where the submission does not say."""
    key: str | None = None
    """The group of its tasks, where the submission does not say."""
    secret: tuple[str, ...] = ()
    """Arguments that are stored, and shown to nobody."""

    def fill(self, options: Options) -> Options:
        """The options of a submission, with the kind's own where nothing was said."""
        own = {"attempts": self.attempts, "timeout": self.timeout, "key": self.key}
        unsaid = {name: value for name, value in own.items() if options.get(name) is None}
        return cast("Options", {**options, **unsaid})
