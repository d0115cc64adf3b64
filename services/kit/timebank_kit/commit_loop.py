"""Group commit: one thread writes; what gathered while it was busy is its next batch.

Idle: a command is committed at once. Busy: commands park on a bounded queue. A `Doubt` raised by the commit drops the
batch, and the loop recovers before it takes another; a `Halt` stops it for good.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

C = TypeVar("C")
A = TypeVar("A")

BATCH_LIMIT = 1024
RECOVERY_SECONDS_FIRST = 0.1
RECOVERY_SECONDS_MAX = 5.0
_log = logging.getLogger(__name__)


class Doubt(Exception):
    """It is not known whether a batch was written: recover before going on."""


class Halt(Exception):
    """Nothing more may be written by this process."""


class Stopped(Exception):
    """The loop takes no commands now; the text says why."""


class QueueFull(Exception):
    """Too many commands wait; come again after `retry_after_seconds`."""

    retry_after_seconds = 1


class CommitLoop(Generic[C, A]):
    """Runs `commit` over batches in one named thread.

    Args:
        commit: writes a batch and returns an answer or an exception for each command, in order.
        recover: makes the state whole again after a `Doubt`; tried again, with back-off, until it returns.
        queue_limit: commands that may wait.
        batch_limit: commands in one batch.
        name: of the thread.
    """

    def __init__(
        self,
        *,
        commit: Callable[[Sequence[C]], Sequence[A | Exception]],
        recover: Callable[[], None],
        queue_limit: int,
        name: str,
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._commit = commit
        self._recover = recover
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._parked: deque[tuple[C, Future[A]]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._reason: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def reason(self) -> str | None:
        """Why no command is taken now, or None."""
        return self._reason

    @property
    def waiting(self) -> int:
        """Commands that wait for their batch."""
        return len(self._parked)

    def submit(self, command: C) -> Future[A]:
        """Park a command.

        Raises:
            Stopped: the loop is closed, recovering or halted.
            QueueFull: too many commands wait.
        """
        future: Future[A] = Future()
        with self._wake:
            if self._reason is not None:
                raise Stopped(self._reason)
            if len(self._parked) >= self._queue_limit:
                raise QueueFull(f"{len(self._parked)} commands wait already; come again in a second.")
            self._parked.append((command, future))
            self._wake.notify()
        return future

    def close(self) -> None:
        """Commit what is parked, then end the thread."""
        with self._wake:
            self._closing = True
            if self._reason is None:
                self._reason = "The node is shutting down."
            self._wake.notify()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._parked and not self._closing:
                    self._wake.wait()
                if not self._parked:
                    return
                count = min(len(self._parked), self._batch_limit)
                batch = [self._parked.popleft() for _ in range(count)]
            try:
                answers = self._commit([command for command, _ in batch])
            except Doubt as doubt:
                self._stop(str(doubt), batch, doubt)
                if not self._recovered():
                    return
            except Exception as bug:
                reason = (
                    str(bug) if isinstance(bug, Halt) else f"The writer met a bug ({type(bug).__name__}) and stopped."
                )
                _log.critical(
                    "writer halted", exc_info=None if isinstance(bug, Halt) else bug, extra={"reason": reason}
                )
                self._stop(reason, batch, Stopped(reason))
                return
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)

    def _stop(self, reason: str, batch: list[tuple[C, Future[A]]], error: Exception) -> None:
        with self._wake:
            self._reason = reason
            left = list(self._parked)
            self._parked.clear()
        for _, future in batch:
            future.set_exception(error)
        for _, future in left:
            future.set_exception(Stopped(reason))

    def _recovered(self) -> bool:
        pause = RECOVERY_SECONDS_FIRST
        while not self._closing:
            _log.warning("recovering the journal", extra={"reason": self._reason})
            try:
                self._recover()
            except Halt as halt:
                self._reason = str(halt)
                return False
            except Exception as error:
                self._reason = f"The journal cannot be recovered yet: {error}"
                with self._wake:
                    self._wake.wait(timeout=pause)
                pause = min(pause * 2, RECOVERY_SECONDS_MAX)
            else:
                with self._wake:
                    if not self._closing:
                        self._reason = None
                return True
        return False
