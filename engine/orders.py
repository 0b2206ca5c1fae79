"""What `Engine.submit_each` is given and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self, Unpack

if TYPE_CHECKING:
    from .options import Options


class Order(NamedTuple):
    """One task for `Engine.submit_each`."""

    task: object
    options: Options

    @classmethod
    def of(cls, task: object, **options: Unpack[Options]) -> Self:
        """A task, or the name of a registered kind, with the options of `Engine.submit`."""
        return cls(task, options)


class Receipt(NamedTuple):
    """An order that is taken in."""

    task_id: int
    replayed: bool
    """True when its ``unique_key`` was known: this is the task that was submitted then."""
