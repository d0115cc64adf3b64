"""Quarantine: what had no effect is kept with its bytes and the reason, bounded in number and size.

Nothing in it is tried again by itself. When it is full the oldest go, and a counter says how many; evidence of a breach
goes last, so that a flood of rubbish cannot wash it away.
"""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from timebank_contracts.errors import BREACHES

ITEMS_MAX = 1_000
BYTES_MAX = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


class Quarantined(NamedTuple):
    """One item: SHA-256 of its bytes, their number, the reason's code and sentence."""

    sha256: str
    size: int
    code: str
    detail: str


class Quarantine:
    """Files `<sha256>.segment` and `<sha256>.json` in a folder; `folder` None keeps reasons only, in memory."""

    def __init__(self, folder: Path | None, *, items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._folder = folder
        self._items_max = items_max
        self._bytes_max = bytes_max
        self.kept: dict[str, Quarantined] = {}
        self.given_up = 0
        self.unwritten = 0
        """Items whose bytes the disk did not take."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._read(folder)
        self._bytes = sum(item.size for item in self.kept.values())

    def _read(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.segment"), key=lambda found: found.stat().st_mtime):
            try:
                said = json.loads(path.with_suffix(".json").read_text("utf-8"))
                self.kept[path.stem] = Quarantined(path.stem, int(said["size"]), str(said["code"]), str(said["detail"]))
            except (OSError, ValueError, KeyError, TypeError):
                # A crash between the two files: there is a reason for each item, or it is none.
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)

    def put(self, raw: bytes, *, code: str, detail: str) -> None:
        """Keep bytes that had no effect; the same bytes are kept once. A full disk loses the bytes, not the count."""
        digest = sha256(raw).hexdigest()
        if digest in self.kept:
            return
        item = Quarantined(digest, len(raw), code, detail[:500])
        self.kept[digest] = item
        if self._folder is not None:
            said = {"size": item.size, "code": item.code, "detail": item.detail}
            try:
                (self._folder / f"{digest}.segment").write_bytes(raw)
                # Not synced: a flood of rubbish must not wait for the disk, record by record.
                (self._folder / f"{digest}.json").write_text(json.dumps(said), "utf-8")
            except OSError as error:
                self.unwritten += 1
                _log.error("quarantine cannot be written", extra={"sha256": digest, "reason": str(error.strerror)})
        self._bytes += item.size
        while len(self.kept) > self._items_max or self._bytes > self._bytes_max:
            rubbish = (kept.sha256 for kept in self.kept.values() if kept.code not in BREACHES)
            self._give_up(next(rubbish, next(iter(self.kept))))

    def _give_up(self, digest: str) -> None:
        self._bytes -= self.kept.pop(digest).size
        self.given_up += 1
        if self._folder is not None:
            (self._folder / f"{digest}.segment").unlink(missing_ok=True)
            (self._folder / f"{digest}.json").unlink(missing_ok=True)
