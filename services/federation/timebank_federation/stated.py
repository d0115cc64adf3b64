"""What peers state of their logs, segment by segment: two roots for one size, under one event key, are evidence.

Every statement says size and root of its sender's latest checkpoint. The last of each peer are remembered, bounded;
a second root for a size that is remembered makes a file of evidence with both envelopes, which anybody checks.
Source: design page 2, "Equivocation"; PROTOCOL.md S4, V6.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import Final

from timebank_contracts.equivocation import encode_evidence, two_statements
from timebank_contracts.keys import b64_decode
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import Segment
from timebank_kit.files import atomic_write

SIZES_MAX: Final = 64
"""Of each peer's generation; older sizes are a witness's to remember."""
PEERS_MAX: Final = 1_000
FILES_MAX: Final = 100
_log = logging.getLogger(__name__)


class Stated:
    """Remembers; one thread at a time.

    Args:
        folder: gets files of evidence; None: they are counted only.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._seen: OrderedDict[str, OrderedDict[int, tuple[str, bytes]]] = OrderedDict()
        self.contradictions = 0
        """Pairs of statements that contradict each other."""

    def take(self, segment: Segment, peer: RegisteredNode) -> Path | None:
        """Remember what a segment states; returns the file, where it contradicts what was stated before.

        Args:
            segment: validly signed.
            peer: its sender, as the registry in force names it: the key that signed both is named by the evidence.
        """
        said = segment.statement
        sizes = self._seen.setdefault(f"{said.from_}/{said.generation}", OrderedDict())
        if len(self._seen) > PEERS_MAX:
            self._seen.popitem(last=False)
        before = sizes.setdefault(said.size, (said.root, segment.envelope))
        if len(sizes) > SIZES_MAX:
            sizes.popitem(last=False)
        if before[0] == said.root or not said.size:
            return None
        keys = [b64_decode(key) for key in peer.event_keys]
        found = next(filter(None, (two_statements(key, before[1], segment.envelope) for key in keys)), None)
        if found is None:
            return None  # Another key signed the other: the registry changed in between.
        self.contradictions += 1
        raw = encode_evidence(found)
        _log.critical("a peer stated two roots for one size", extra={"peer": said.from_, "size": said.size})
        if self.folder is None:
            return None
        path = self.folder / f"statements-{sha256(raw).hexdigest()[:16]}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() and len(list(self.folder.glob("statements-*.json"))) < FILES_MAX:
                atomic_write(path, raw)
        except OSError as error:
            # A full disk must not hold up what the segment brings.
            _log.error("evidence cannot be written", extra={"peer": said.from_, "reason": str(error.strerror)})
            return None
        return path
