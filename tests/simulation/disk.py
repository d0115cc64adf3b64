"""A town's simulated disk: a journal of entry bytes that grows by whole batches, and dies when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

CommitFault = Literal["crash_before", "crash_after", "unknown_lost", "unknown_kept"]
COMMIT_FAULTS: tuple[CommitFault, ...] = ("crash_before", "crash_after", "unknown_lost", "unknown_kept")


class Crashed(Exception):
    """The town's process died here; its memory is gone."""


class CommitUnknown(Exception):
    """The database did not answer: the batch is stored, or it is not."""


class Disk:
    """What survives a crash. `batches` holds the journal's length after each commit."""

    def __init__(self, *, atomic: bool = True) -> None:
        self.entries: list[bytes] = []
        self.batches: list[int] = []
        self.fault: CommitFault | None = None
        """What happens at the next commit."""
        self._atomic = atomic

    def append(self, batch: Sequence[bytes]) -> None:
        """Store a batch wholly or, by the planned fault, not at all.

        Raises:
            Crashed: the process died before or after the commit.
            CommitUnknown: the commit's answer was lost.
        """
        fault, self.fault = self.fault, None
        if fault in ("crash_before", "unknown_lost"):
            if not self._atomic:
                self.entries += batch[: len(batch) // 2]
            raise Crashed if fault == "crash_before" else CommitUnknown
        self.entries += batch
        self.batches.append(len(self.entries))
        if fault == "crash_after":
            raise Crashed
        if fault == "unknown_kept":
            raise CommitUnknown
