"""The kind ``sample``: the sample tasks of `engine.samples`, to be had by name."""

from __future__ import annotations

import random
from typing import Annotated, Final

import msgspec

from ..samples import SampleTask, gen_task
from .kind import Kind

_EXACT: Final = 2**53
"""Up to here every JSON reader keeps an integer as it is; the output is twice the value."""


class SampleArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sample task, blocking or polling by chance, that takes 1 to 99 s times ``scale``."""

    value: Annotated[
        int, msgspec.Meta(ge=-_EXACT // 2, le=_EXACT // 2, description="The output is twice this.")
    ]
    scale: Annotated[
        float, msgspec.Meta(ge=0.0, le=1000.0, description="Factor on the duration.")
    ] = 1.0
    seed: (
        Annotated[
            int,
            msgspec.Meta(
                ge=0, le=_EXACT, description="Settles kind and duration; without it chance does."
            ),
        ]
        | None
    ) = None


def build_sample(arguments: SampleArguments) -> SampleTask:
    """Make the box."""
    rng = None if arguments.seed is None else random.Random(arguments.seed)
    return gen_task(arguments.value, scale=arguments.scale, rng=rng)


SAMPLE: Final = Kind("sample", SampleArguments, build_sample)
