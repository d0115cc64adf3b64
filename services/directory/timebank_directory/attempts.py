"""Attempts: how often somebody may fail to prove that they are a client, for each client and each way of proving.

A failure costs one of a few tries, which come back with time; a success costs nothing. So guessing is slow, a burst of
guesses costs little work, and wrong secrets from elsewhere do not lock out a client that signs with its key.
The table is bounded: the name that was tried longest ago goes first. It is this process's own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from math import ceil
from typing import Final

TRIES: Final = 20
SECONDS_A_TRY: Final = 3.0
NAMES_MAX: Final = 10_000


class Attempts:
    """Tries left, by name. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By name: tries left, and when that was true."""
        self.failed = 0
        """Proofs that were none."""
        self.turned_away = 0
        """Proofs that were not looked at, since the tries were used up."""

    def take(self, name: str, *, now: float) -> int:
        """Take a try before the proof is looked at; returns 0, or after how many whole seconds to come again."""
        with self._lock:
            left = self._now_left(name, now)
            if left < 1:
                self.turned_away += 1
                return ceil((1 - left) * SECONDS_A_TRY)
            self._keep(name, left - 1, now)
            return 0

    def count_failure(self) -> None:
        """The proof was none: it keeps the try that it took."""
        with self._lock:
            self.failed += 1

    def give_back(self, name: str, *, now: float) -> None:
        """The proof was good: it cost nothing."""
        with self._lock:
            self._keep(name, self._now_left(name, now) + 1, now)

    def _now_left(self, name: str, now: float) -> float:
        left, then = self._left.get(name, (float(TRIES), now))
        return min(TRIES, left + (now - then) / SECONDS_A_TRY)

    def _keep(self, name: str, left: float, now: float) -> None:
        self._left.pop(name, None)
        if left < TRIES:
            self._left[name] = (left, now)
        if len(self._left) > NAMES_MAX:
            self._left.popitem(last=False)
