"""Where polling tasks sleep between looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from .api import Outcome


class Polls:
    """Parks polling tasks until their next look.

    One place for all of them: the looks that come due in one tick of the loop arrive together in
    the lane of the looks, and share a thread hop there.
    """

    async def after(self, delay: float, look: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Sleep ``delay`` seconds, then look. A cancel ends the sleep; a look that a thread has
        begun is not interrupted."""
        await trio.sleep(delay)
        return await look()
