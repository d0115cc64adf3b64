"""How far an inbox was read, kept in a small file: a hint, so that a restart does not read weeks of records again.

Nothing rests on it. Without it, or when the topic is another one, the topic is read from its first record; what a wrong
one skips shows as a gap in a stream and is pulled. It is written after what it names was taken, seldom, and never in
the way: a disk that is full keeps the last one.
Source: design page 1, "Growth"; PROTOCOL.md S10.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Final

from timebank_kit.files import atomic_write

SAVE_SECONDS: Final = 2.0
READ_AGAIN_RECORDS: Final = 200
"""So many are read once more after a restart: a segment that was held in memory may be among them."""
BYTES_MAX: Final = 1_000


class InboxPlace:
    """The file; None: nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._saved: tuple[str, int] | None = None
        self._saved_at = 0.0

    def load(self) -> tuple[str, int] | None:
        """The topic's id and the offset where reading goes on; None: from the beginning."""
        if self._file is None:
            return None
        try:
            said = json.loads(self._file.read_bytes()[:BYTES_MAX])
            topic_id, offset = said["topic_id"], said["next"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not isinstance(topic_id, str) or type(offset) is not int:
            return None
        return topic_id, max(0, offset - READ_AGAIN_RECORDS)

    def save(self, topic_id: str, offset: int) -> None:
        """Keep that everything before `offset` was taken; a file is written at most every two seconds."""
        now = time.monotonic()
        if self._file is None or self._saved == (topic_id, offset) or now < self._saved_at + SAVE_SECONDS:
            return
        self._saved, self._saved_at = (topic_id, offset), now
        with contextlib.suppress(OSError):
            atomic_write(self._file, json.dumps({"topic_id": topic_id, "next": offset}).encode("ascii"))
