"""Clocks enter here and are passed down: a real one, and one that tests and the demo set by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time and a monotonic count of seconds."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow; their zero means nothing."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands until it is set."""

    def __init__(self, moment: datetime) -> None:
        self._moment = _in_utc(moment)
        self._elapsed_seconds = 0.0

    def now(self) -> datetime:
        return self._moment

    def monotonic(self) -> float:
        return self._elapsed_seconds

    def set(self, moment: datetime) -> None:
        """Set the wall time to `moment`, also backwards, as an operator would; monotonic time stands."""
        self._moment = _in_utc(moment)

    def advance(self, seconds: float) -> None:
        """Let `seconds` (0 or more) go by, on the wall and monotonic."""
        assert seconds >= 0, "time does not go backwards; set the wall time instead"
        self._moment += timedelta(seconds=seconds)
        self._elapsed_seconds += seconds


def _in_utc(moment: datetime) -> datetime:
    assert moment.tzinfo is not None, "a moment knows its zone"
    return moment.astimezone(UTC)
