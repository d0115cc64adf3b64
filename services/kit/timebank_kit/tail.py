"""The tail of a journal: followers wait here for more. The writer of the same process publishes its length.

`Tail` holds one number. `Follow` reads a journal in order from a position on, and waits at its end: on the tail when
the writer is in this process, by asking the journal at an interval when it is in another one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from timebank_kit.journal import Journal, Record

CHUNK_RECORDS = 1024
POLL_SECONDS = 0.1


class Tail:
    """Holds how many records are committed; only ever replaced by what the writer says."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._grown = threading.Condition(threading.Lock())
        self._waiters: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}

    @property
    def length(self) -> int:
        """Committed records."""
        return self._length

    def publish(self, length: int) -> None:
        """Say how many records are committed, and wake those who wait: one wake-up for each event loop."""
        with self._grown:
            self._length = length
            self._wake()

    def wake(self) -> None:
        """Let those who wait look again at what they wait for."""
        with self._grown:
            self._wake()

    def wait_beyond(self, length: int, *, timeout_seconds: float, stopped: Callable[[], bool] = lambda: False) -> int:
        """Wait until there are more than `length` records, or the time is over; returns how many there are.

        Args:
            stopped: ends the wait too; whoever makes it true calls `wake` afterwards.
        """
        with self._grown:
            self._grown.wait_for(lambda: self._length > length or stopped(), timeout=timeout_seconds)
            return self._length

    async def wait_beyond_async(self, length: int, *, timeout_seconds: float) -> int:
        """The same for a coroutine; no thread is held while it waits."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while True:
            with self._grown:
                left = deadline - loop.time()
                if self._length > length or left <= 0:
                    return self._length
                waiter = loop.create_future()
                self._waiters.setdefault(loop, set()).add(waiter)
            try:
                await asyncio.wait([waiter], timeout=left)
            finally:
                with self._grown:
                    waiting = self._waiters.get(loop, set())
                    waiting.discard(waiter)
                    if not waiting:
                        self._waiters.pop(loop, None)

    def _wake(self) -> None:
        self._grown.notify_all()
        waiters, self._waiters = self._waiters, {}
        for loop, waiting in waiters.items():
            # A loop that was closed has nobody left who waits.
            if not loop.is_closed():
                loop.call_soon_threadsafe(_release, waiting)


def _release(waiting: set[asyncio.Future[None]]) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None)


class Follow:
    """Reads a journal in order, chunk by chunk, and waits at its end. One thread uses it; any thread may stop it.

    Args:
        journal: what to read; trouble with it is raised to the caller, and `position` stays where it was.
        start: position of the first record wanted.
        tail: what the writer of this process publishes; None when the writer is another process.
        chunk_limit: records in a chunk.
        poll_seconds: how often a journal without a tail is asked.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        start: int,
        tail: Tail | None = None,
        chunk_limit: int = CHUNK_RECORDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        assert start >= 0
        assert chunk_limit > 0
        self._journal = journal
        self._tail = tail
        self._chunk_limit = chunk_limit
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self.position = start
        """The position of the next record."""

    @property
    def stopped(self) -> bool:
        """`stop` was called."""
        return self._stopping.is_set()

    def next(self, *, timeout_seconds: float) -> list[Record]:
        """The next records; waits for them up to `timeout_seconds`, and is empty when none came or it was stopped."""
        records: list[Record] = []
        if not self.stopped and (self._tail is None or self._tail.length > self.position):
            records = self._read()
        if not records and not self.stopped and timeout_seconds > 0:
            records = self._wait(timeout_seconds)
        self.position += len(records)
        return records

    def stop(self) -> None:
        """Let `next` return at once, now and from now on."""
        self._stopping.set()
        if self._tail is not None:
            self._tail.wake()

    def _read(self) -> list[Record]:
        limit = self._chunk_limit
        if self._tail is not None:
            limit = max(0, min(limit, self._tail.length - self.position))
        return self._journal.read(self.position, limit)

    def _wait(self, timeout_seconds: float) -> list[Record]:
        if self._tail is not None:
            length = self._tail.wait_beyond(
                self.position, timeout_seconds=timeout_seconds, stopped=self._stopping.is_set
            )
            return self._read() if length > self.position and not self.stopped else []
        left = timeout_seconds
        while left > 0 and not self._stopping.wait(min(self._poll_seconds, left)):
            left -= self._poll_seconds
            if records := self._read():
                return records
        return []
