"""Simulated time: what happens next, in one order, with one source of chance; and the trace of what happened."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from timebank_contracts.moments import show_time

BEGINNING = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Schedule:
    """Events in order of time and, at one time, of planning."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        """Seconds since the beginning; also every town's monotonic clock."""
        self.calendar_seconds = 0.0
        """Days that passed for every town at once, beside `now`."""
        self.events = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._trace = sha256()
        self.story: list[str] | None = None
        """The trace in words, when somebody reads it."""

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Plan `act` in so many seconds."""
        self._planned += 1
        heapq.heappush(self._heap, (self.now + max(0.0, seconds), self._planned, act))

    def run_until(self, end: float, *, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let everything up to `end` (seconds) happen; whether `stop` said so before."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, act = heapq.heappop(self._heap)
            self.events += 1
            act()
            if stop():
                return True
        self.now = end
        return False

    def wall(self, skew_seconds: float) -> str:
        """A town's time in wire form."""
        return show_time(BEGINNING + timedelta(seconds=self.now + self.calendar_seconds + skew_seconds))

    def note(self, what: str, content: bytes = b"") -> None:
        """Take an event into the trace."""
        line = f"{self.now:.6f} {what}"
        self._trace.update(line.encode() + b"\n" + content)
        if self.story is not None:
            self.story.append(line)

    @property
    def trace(self) -> str:
        """Hash of everything that happened: equal for equal seeds."""
        return self._trace.hexdigest()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return probability > 0 and self.random.random() < probability
