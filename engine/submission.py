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
    kind, arguments = kinds.get(name), kinds.check(name, options.get("arguments"))
    options = kind.fill(options)
    recipe = recipe_of_kind(name, arguments, kinds, declared(None, options, kind.mode))
    row = draft(name, recipe.mode, options, wall)
    row = replace(row, arguments=arguments, recoverable=True, effect=kind.effect)
    return Submission(row, recipe, cadence_of(options))


def recipe_of_kind(name: str, arguments: str, kinds: Registry, mode: Mode = Mode.AUTO) -> Recipe:
    """How to make the body of a registered kind, again and again."""
    make, own = functools.partial(kinds.build, name, arguments), kinds.get(name).mode
    mode = own if Mode.ASYNC in {mode, own} else mode  # a row may be older than its kind
    return Recipe(make, mode, reusable=True, kind=name, asks=mode is Mode.AUTO)
