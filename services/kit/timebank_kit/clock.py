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
        self._moment = moment
        self._start = moment

    def now(self) -> datetime:
        return self._moment

    def monotonic(self) -> float:
        return (self._moment - self._start).total_seconds()

    def set(self, moment: datetime) -> None:
        """Move to `moment` (also backwards: that is what tests are for)."""
        self._moment = moment

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self._moment += timedelta(seconds=seconds)
