"""What becomes of a submission: a row for the store and a recipe for the body."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from .api import Recipe
from .errors import BadOption
from .model import Mode, TaskSnapshot
from .options import Options, cadence_of, draft
from .shapes import declared, recognise

if TYPE_CHECKING:
    from .api import Cadence
    from .kinds import Registry


class Submission(NamedTuple):
    """A checked submission, not yet accepted."""

    draft: TaskSnapshot
    recipe: Recipe
    cadence: Cadence | None


def prepare(task: object, options: Options, wall: float, kinds: Registry) -> Submission:
    """Check a task and its options; ``wall`` is the present wall time.

    Raises NotATask, BadOption, KindNotFound or BadArguments.
    """
    if isinstance(task, str):
        return _of_kind(task, options, wall, kinds)
    if options.get("arguments") is not None:
        raise BadOption("arguments", options["arguments"], "none: only registered kinds take them")
    recipe = recognise(task, options)
    return Submission(draft(recipe.kind, recipe.mode, options, wall), recipe, cadence_of(options))


def _of_kind(name: str, options: Options, wall: float, kinds: Registry) -> Submission:
    arguments = kinds.check(name, options.get("arguments"))
    recipe = recipe_of_kind(name, arguments, kinds, declared(None, options))
    row = replace(
        draft(name, recipe.mode, options, wall),
        arguments=arguments,
        recoverable=True,
        effect=kinds.kind(name).effect,
    )
    return Submission(row, recipe, cadence_of(options))


def recipe_of_kind(name: str, arguments: str, kinds: Registry, mode: Mode = Mode.AUTO) -> Recipe:
    """How to make the body of a registered kind, again and again."""
    make = functools.partial(kinds.build, name, arguments)
    return Recipe(make, mode, reusable=True, kind=name, asks=mode is Mode.AUTO)
