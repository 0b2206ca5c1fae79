"""A wall around cadences: they are user code that runs on the loop's thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .api import MeasuresChecks
from .errors import BadCadence, BadOption

if TYPE_CHECKING:
    from .api import Cadence, Ended, Track

_log = logging.getLogger(__name__)

_LONGEST: Final = 366 * 86_400.0


class GuardedCadence:
    """A cadence whose faults cost the task that it is asked for, never the engine.

    What it raises in `started` and `next_delay`, and a delay that is none, comes out as
    BadCadence; what it raises where no answer is needed is logged.
    """

    def __init__(self, cadence: Cadence) -> None:
        if not callable(getattr(cadence, "started", None)):
            raise BadOption("cadence", cadence, "an object with started(), see engine.cadence")
        self._cadence = cadence
        self._measures = cadence if isinstance(cadence, MeasuresChecks) else None

    def started(self, kind: str, now: float) -> Track:
        """As `api.Cadence.started`; raises BadCadence."""
        try:
            return _GuardedTrack(self._cadence.started(kind, now))
        except BaseException as error:
            raise BadCadence("started", repr(type(error).__name__)) from error

    def checked(self, kind: str, seconds: float) -> None:
        """As `api.MeasuresChecks.checked`, where the cadence has it."""
        if self._measures is not None:
            try:
                self._measures.checked(kind, seconds)
            except BaseException:  # noqa: BLE001  user code; nobody needs its answer
                _log.exception("a cadence's checked() has raised")


class _GuardedTrack:
    __slots__ = ("_track",)

    def __init__(self, track: Track) -> None:
        self._track = track

    def next_delay(self, now: float, hints: Mapping[str, float] | None = None) -> float:
        try:
            delay = float(self._track.next_delay(now, hints))
        except BaseException as error:
            raise BadCadence("next_delay", repr(type(error).__name__)) from error
        if not 0 <= delay <= _LONGEST:  # NaN is neither
            raise BadCadence("next_delay", f"{delay} s")
        return delay

    def ended(self, now: float, how: Ended | str) -> None:
        try:
            self._track.ended(now, how)
        except BaseException:  # noqa: BLE001  user code; nobody needs its answer
            _log.exception("a cadence's ended() has raised")
