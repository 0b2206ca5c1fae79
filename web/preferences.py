"""What a client would like: the header ``Prefer`` (RFC 7240)."""

from __future__ import annotations

import re
from typing import Final

_WAIT: Final = re.compile(
    r'wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*(?:;.*)?', re.IGNORECASE | re.ASCII
)


def wait_of(prefer: str | None, longest: int) -> int | None:
    """The seconds of ``wait``, at most ``longest``; None when it is not asked for.

    A preference that makes no sense is passed over, as the header's own rule is; of a repeated one
    the first counts.
    """
    for preference in (prefer or "").split(","):
        found = _WAIT.fullmatch(preference.strip())
        if found:
            return min(int(found[1] or found[2]), longest)
    return None
