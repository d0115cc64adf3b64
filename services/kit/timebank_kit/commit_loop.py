"""Group commit: one thread writes; what gathered while it was busy is its next batch.

    submit ─▶ parked ─▶ commit(batch) in the loop's thread ─▶ every future of the batch is answered

Idle: a command is committed at once. Busy: commands park on a bounded queue. A `Doubt` raised by the commit drops the
batch, and the loop recovers before it takes another; a `Halt`, or a bug, stops it for good. Nothing here says what a
command is. Asyncio callers wait for the futures through `answers.Answers`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, Literal, NamedTuple, TypeVar

C = TypeVar("C")
A = TypeVar("A")

BATCH_LIMIT = 1024
RETRY_AFTER_SECONDS = 1
"""A full queue is empty again after less than this."""
RECOVERY_SECONDS_FIRST = 0.1
RECOVERY_SECONDS_MAX = 5.0
CLOSE_SECONDS = 30.0
LOOK_SECONDS = 5.0

State = Literal["running", "recovering", "halted", "closed"]
_log = logging.getLogger(__name__)


class Doubt(Exception):
    """It is not known whether a batch was written: recover before going on. Its text is the reason."""


class Unwritten(Doubt):
    """A batch was surely not written, and recovery must come first. Its text is the reason."""


class Halt(Exception):
    """Nothing more may be written by this process. Its text is the reason."""


class Stopped(Exception):
    """The loop takes no commands now, and this one was not begun; the text says why."""


class QueueFull(Exception):
    """Too many commands wait; come again after `retry_after_seconds`."""

    retry_after_seconds = RETRY_AFTER_SECONDS


class _Parked(NamedTuple, Generic[C, A]):
    command: C
    future: Future[A]
    weight: int


class CommitLoop(Generic[C, A]):
    """Runs `commit` over batches in one named thread.

    Args:
        commit: writes a batch and returns an answer or an exception for each command, in order. It may raise `Doubt`,
            `Unwritten` or `Halt`; anything else is a bug and halts the loop.
        look: looks, in an idle moment, whether the store is still there and as it was left; raises as `commit` does.
        look_seconds: how long nobody comes before it looks.
        recover: makes the state whole again after a `Doubt`; tried again, with back-off, until it returns.
        queue_limit: weight that may wait.
        batch_limit: weight in one batch; a heavier command has a batch of its own.
        name: of the thread.
    """

    def __init__(
        self,
        *,
        commit: Callable[[Sequence[C]], Sequence[A | Exception]],
        recover: Callable[[], None],
        look: Callable[[], None] = lambda: None,
        look_seconds: float = LOOK_SECONDS,
        queue_limit: int,
        name: str,
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._commit = commit
        self._recover = recover
        self._look = look
        self._look_seconds = look_seconds
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._parked: deque[_Parked[C, A]] = deque()
        self._weight = 0
        self._wake = threading.Condition(threading.Lock())
        self._closing = False
        self._state: State = "running"
        self._reason: str | None = None
        self._cause: BaseException | None = None
        self._doubts = 0
        self._halting: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """What the loop does now; only `running` takes commands."""
        return self._state

    @property
    def reason(self) -> str | None:
        """Why no command is taken now, or None."""
        return self._reason

    @property
    def cause(self) -> BaseException | None:
        """What stopped it, while no command is taken: what a `Doubt` or `Halt` was raised from; None when told to."""
        return self._cause

    @property
    def waiting(self) -> int:
        """The weight that waits for its batch."""
        return self._weight

    @property
    def doubts(self) -> int:
        """How many batches were in doubt."""
        return self._doubts

    def submit(self, command: C, *, weight: int = 1) -> Future[A]:
        """Park a command; its future has the answer, or raises the exception, that `commit` gave for it.

        Cancelling a future that still waits takes its command out; one that is being committed cannot be cancelled.
        The future raises `Doubt` when nobody knows whether the command was written, `Stopped` when it was not begun.

        Args:
            weight: how much of a batch the command is, 1 to `queue_limit`.

        Raises:
            Stopped: the loop is closed, recovering or halted.
            QueueFull: too many commands wait.
        """
        assert 1 <= weight <= self._queue_limit, f"a command weighs 1 to {self._queue_limit}, not {weight}"
        parked: _Parked[C, A] = _Parked(command, Future(), weight)
        with self._wake:
            if self._reason is not None:
                raise Stopped(self._reason)
            if self._weight + weight > self._queue_limit:
                raise QueueFull(f"{self._weight} commands wait already; come again in {RETRY_AFTER_SECONDS} s.")
            self._parked.append(parked)
            self._weight += weight
            self._wake.notify()
        return parked.future

    def halt(self, reason: str) -> None:
        """Stop for good after the batch under way: for who finds out elsewhere that nothing more may be written."""
        with self._wake:
            self._halting = reason
            self._wake.notify()

    def close(self) -> None:
        """Commit what is parked, then end the thread."""
        with self._wake:
            self._closing = True
            if self._reason is None:
                self._state, self._reason = "closed", "The process is shutting down; come again when it is back."
            self._wake.notify()
        self._thread.join(timeout=CLOSE_SECONDS)
        if self._thread.is_alive():
            _log.critical("commit loop did not end", extra={"loop": self._thread.name, "seconds": CLOSE_SECONDS})

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                if not batch:
                    self._look()
                    continue
                answers = self._commit([parked.command for parked in batch])
                assert len(answers) == len(batch), f"{len(answers)} answers for {len(batch)} commands"
            except Doubt as doubt:
                self._doubts += 1
                self._cause = doubt.__cause__ or doubt
                known = isinstance(doubt, Unwritten)
                self._stop("recovering", str(doubt), batch, Stopped(str(doubt)) if known else doubt)
                if not self._recovered():
                    return
            except Halt as halt:
                self._cause = halt.__cause__ or halt
                self._halt(str(halt), batch)
                return
            except Exception as bug:
                self._cause = bug
                _log.critical("commit loop met a bug", exc_info=bug, extra={"loop": self._thread.name})
                self._halt(
                    f"The writer met a bug ({type(bug).__name__}) and stopped; see the log, then restart.", batch
                )
                return
            else:
                _answer(batch, answers)
        if self._halting is not None:
            self._halt(self._halting, [])

    def _next_batch(self) -> list[_Parked[C, A]] | None:
        """What is parked, up to the batch limit; empty: nobody came for a while; None: the loop closes or halts."""
        batch: list[_Parked[C, A]] = []
        while not batch:
            with self._wake:
                while not self._parked and not self._closing and self._halting is None:
                    if not self._wake.wait(self._look_seconds):
                        return []
                if not self._parked or self._halting is not None:
                    return None
                taken = 0
                while self._parked and (not taken or taken + self._parked[0].weight <= self._batch_limit):
                    parked = self._parked.popleft()
                    taken += parked.weight
                    batch.append(parked)
                self._weight -= taken
            batch = [parked for parked in batch if parked.future.set_running_or_notify_cancel()]
        return batch

    def _halt(self, reason: str, batch: list[_Parked[C, A]]) -> None:
        _log.critical("commit loop halted", extra={"loop": self._thread.name, "reason": reason})
        self._stop("halted", reason, batch, Stopped(reason))

    def _stop(self, state: State, reason: str, batch: list[_Parked[C, A]], error: Exception) -> None:
        with self._wake:
            self._state, self._reason = state, reason
            left = list(self._parked)
            self._parked.clear()
            self._weight = 0
        for parked in batch:
            parked.future.set_exception(error)
        for parked in left:
            if parked.future.set_running_or_notify_cancel():
                parked.future.set_exception(Stopped(reason))

    def _recovered(self) -> bool:
        """Try `recover` until it returns; False when the loop halts or closes instead."""
        pause = RECOVERY_SECONDS_FIRST
        while not self._closing:
            _log.warning("commit loop recovers", extra={"loop": self._thread.name, "reason": self._reason})
            try:
                self._recover()
            except Halt as halt:
                self._cause = halt.__cause__ or halt
                self._halt(str(halt), [])
                return False
            except Exception as error:
                self._cause = error
                _log.warning("recovery failed", exc_info=error, extra={"loop": self._thread.name, "pause": pause})
                with self._wake:
                    self._reason = f"Recovery goes on: {error}"
                    if not self._closing:
                        self._wake.wait(timeout=pause)
                pause = min(pause * 2, RECOVERY_SECONDS_MAX)
            else:
                with self._wake:
                    if not self._closing:
                        self._state, self._reason, self._cause = "running", None, None
                _log.warning("commit loop runs again", extra={"loop": self._thread.name})
                return True
        return False


def _answer(batch: list[_Parked[C, A]], answers: Sequence[A | Exception]) -> None:
    for parked, answer in zip(batch, answers, strict=True):
        if isinstance(answer, Exception):
            parked.future.set_exception(answer)
        else:
            parked.future.set_result(answer)
