"""The snapshot job: a thread that proves the past that a start did not read, then writes snapshots, and rests between.

Copying the book stops the writer for a moment that grows with the accounts (2/3 of a microsecond each), so a pause is
many times as long as the turn before it: under any load the job takes a twentieth of a processor at most.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from timebank_kit.commit_loop import Stopped
from timebank_kit.journal import JournalTrouble
from timebank_ledger.past import PastChanged, prove_past
from timebank_ledger.snapshot import Unsound
from timebank_ledger.writer import Writer

WAIT_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 1.0
PAUSE_TIMES: Final = 19.0
TROUBLE_SECONDS: Final = 60.0
"""A disk that is full, or a journal that is away, is tried again after this."""
_log = logging.getLogger(__name__)


class SnapshotJob:
    """A thread that follows the writer's tail; `close` ends it. Without a file there is none.

    Args:
        writer: whose book it is.
        every_entries: a new snapshot is due when the journal has grown by so many.
        monotonic: measures a turn, in seconds.
        on_turn: hears that the past was read, and each time that a snapshot was tried.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        every_entries: int,
        monotonic: Callable[[], float] = time.monotonic,
        on_turn: Callable[[], object] = lambda: None,
    ) -> None:
        self._writer = writer
        self._every_entries = every_entries
        self._monotonic = monotonic
        self._on_turn = on_turn
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-snapshot", daemon=True)
        if writer.snapshot.path is not None:
            self._thread.start()

    def close(self) -> None:
        """End the thread; the writer's own close keeps the last snapshot."""
        self._closing.set()
        self._writer.tail.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            while not self._closing.is_set() and not self._proved():
                self._closing.wait(TROUBLE_SECONDS)
        except PastChanged as changed:
            self._writer.loop.halt(str(changed))
            self._writer.snapshot.discard()
            self._on_turn()
            return
        self._write_snapshots()

    def _proved(self) -> bool:
        """Whether the past that the start took from a snapshot was read now; raises `PastChanged`."""
        unread = self._writer.snapshot.unread
        if unread is None:
            return True
        try:
            done = prove_past(self._writer.journal, size=unread[0], root=unread[1], rest=self._closing.wait)
        except JournalTrouble as trouble:
            _log.warning("the past cannot be read now", extra={"size": unread[0], "reason": str(trouble)})
            return False
        if done:
            self._writer.snapshot.unread = None
            self._on_turn()
            _log.info("the past was read", extra={"size": unread[0]})
        return done

    def _write_snapshots(self) -> None:
        tail, snapshot = self._writer.tail, self._writer.snapshot
        while not self._closing.is_set():
            due = snapshot.size + self._every_entries
            length = tail.wait_beyond(due - 1, timeout_seconds=WAIT_SECONDS, stopped=self._closing.is_set)
            if length < due or self._closing.is_set():
                continue
            began = self._monotonic()
            try:
                done = self._writer.keep_snapshot()
            except Unsound as wrong:
                self._writer.loop.halt(str(wrong))
                self._writer.snapshot.discard()
                self._on_turn()
                return
            except (Stopped, JournalTrouble) as trouble:
                _log.warning("no snapshot is written", extra={"size": length, "reason": str(trouble)})
                done = False
            used_seconds = self._monotonic() - began
            self._on_turn()
            self._closing.wait(max(PAUSE_SECONDS, PAUSE_TIMES * used_seconds) if done else TROUBLE_SECONDS)
