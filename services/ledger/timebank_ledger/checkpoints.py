"""Checkpoints: what is committed, signed, once the head file knows it.

Source: design page 2, "Rollback and generations"; page 5, "Log".
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from timebank_contracts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import Tree
from timebank_contracts.note import VerifierKey
from timebank_ledger.head import HeadFile, HeadNotWritten

CHECKPOINT_SECONDS: Final = 1.0
"""A checkpoint is signed at most this often, however busy the writer is."""
_log = logging.getLogger(__name__)


class Checkpoints:
    """Signs, and keeps the latest. One thread at a time."""

    def __init__(self, *, head: HeadFile, log_key: SigningKey) -> None:
        self._head = head
        self._log_key = log_key
        self._last: tuple[int, float, bytes] | None = None
        self.trouble: str | None = None
        """Why the last one could not be published, and what to do."""

    @property
    def published(self) -> int:
        """How many entries the head file says are published."""
        return self._head.size

    @property
    def head_path(self) -> Path | None:
        """The head file; None when it is kept in memory."""
        return self._head.path

    def contradicted_by(self, note: bytes, origin: str) -> Checkpoint:
        """A checkpoint under this log's own key, signed by a process that knew more: the head file remembers it.

        So no later start takes the shorter journal for the whole one. The caller has found that it contradicts.

        Raises:
            Malformed: it is not signed by this log's key.
            HeadNotWritten: the disk does not take it.
        """
        found = open_checkpoint(note, self.vkey(origin))
        self._head.remember(found.size, found.root)
        return found

    def vkey(self, origin: str) -> VerifierKey:
        """The key under which checkpoints of an origin are signed here."""
        return VerifierKey(origin, self._log_key.public)

    def latest(self, origin: str, tree: Tree, *, now: float, fresh: bool) -> bytes:
        """The latest signed checkpoint (C2SP note): at most one a second, unless `fresh` asks for the present size.

        Args:
            origin: of the log.
            tree: of what is committed.
            now: monotonic seconds.
            fresh: whatever it costs.

        Raises:
            HeadNotWritten: there is none yet, or not of the present size, and none can be noted (a full disk).
        """
        last = self._last
        if last is None or (last[0] != tree.size and (fresh or now - last[1] >= CHECKPOINT_SECONDS)):
            root = tree.root()
            note = sign_checkpoint(Checkpoint(origin, tree.size, root), self._log_key)
            try:
                self._head.remember(tree.size, root)
            except HeadNotWritten as trouble:
                self.trouble = str(trouble)
                if last is None or fresh:
                    raise
                _log.warning("no new checkpoint is published", extra={"size": last[0]}, exc_info=True)
                return last[2]
            self.trouble = None
            self._last = last = (tree.size, now, note)
        return last[2]
