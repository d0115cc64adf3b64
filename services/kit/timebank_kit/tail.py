"""The tail of a journal: followers wait here for more. The writer of the same process publishes its length."""

from __future__ import annotations

import threading


class Tail:
    """Holds how many records are committed; only ever replaced by what the writer says."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._grown = threading.Condition()

    @property
    def length(self) -> int:
        """Committed records."""
        return self._length

    def publish(self, length: int) -> None:
        """Say how many records are committed, and wake those who wait."""
        with self._grown:
            self._length = length
            self._grown.notify_all()

    def wait_beyond(self, length: int, *, timeout_seconds: float) -> int:
        """Wait until there are more than `length` records, or the time is over; returns how many there are."""
        with self._grown:
            self._grown.wait_for(lambda: self._length > length, timeout=timeout_seconds)
            return self._length
