"""The follower: brings the index up to date while the ledger has nothing better to do.

Under load it takes one chunk a pause, so that it never competes with the writer; when the journal rests it catches up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from timebank_kit.journal import JournalTrouble
from timebank_kit.tail import Tail
from timebank_ledger.index import Index

PAUSE_SECONDS: Final = 0.25
PAUSE_SECONDS_MAX: Final = 2.0
PAUSE_TIMES: Final = 9.0
"""A pause is so many times as long as the turn before it: under load the index takes a tenth of a processor."""
WAIT_SECONDS: Final = 1.0
TROUBLE_SECONDS_MAX: Final = 60.0
_log = logging.getLogger(__name__)


class Follower:
    """A thread that follows the tail; `close` ends it."""

    def __init__(self, index: Index, tail: Tail, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._index = index
        self._tail = tail
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is missing is indexed on demand, or by the next follower."""
        self._closing.set()
        self._tail.wake()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        trouble_seconds = pause_seconds = PAUSE_SECONDS
        while not self._closing.is_set():
            length = self._tail.wait_beyond(
                self._index.position, timeout_seconds=WAIT_SECONDS, stopped=self._closing.is_set
            )
            if length <= self._index.position or self._closing.wait(pause_seconds):
                continue
            began = self._monotonic()
            try:
                take_turn(self._index, self._tail, length)
                trouble_seconds = PAUSE_SECONDS
            except (SQLAlchemyError, JournalTrouble):
                _log.exception("the index could not be advanced", extra={"position": self._index.position})
                self._closing.wait(trouble_seconds)
                trouble_seconds = min(trouble_seconds * 2, TROUBLE_SECONDS_MAX)
            used_seconds = self._monotonic() - began
            pause_seconds = min(max(PAUSE_SECONDS, PAUSE_TIMES * used_seconds), PAUSE_SECONDS_MAX)


def take_turn(index: Index, tail: Tail, length: int) -> None:
    """Index one chunk; and all that is missing when the journal has rested at `length` since the turn began."""
    index.advance_chunk(tail.length)
    while tail.length == length and index.advance_chunk(length):
        pass
