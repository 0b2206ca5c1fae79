"""Numbers given by a caller that have to lie within bounds."""

from __future__ import annotations

from .errors import BadOption


def number_within(option: str, value: object, least: float, most: float) -> float:
    """The value as a float, if it is a real number (no bool) from ``least`` to ``most``.

    Raises:
        BadOption: It is anything else, NaN included; ``option`` names it.
    """
    # `not a <= b`, rather than `b < a`, so that NaN is refused too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise BadOption(option, value, f"a number from {least:,g} to {most:,g}")
    return float(value)


def integer_within(option: str, value: object, least: int, most: int) -> int:
    """The value, if it is an integer (no bool) from ``least`` to ``most``.

    Raises:
        BadOption: It is anything else; ``option`` names it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadOption(option, value, f"an integer from {least:,} to {most:,}")
    return int.__int__(value)  # a subclass may be anything to whoever writes it down
