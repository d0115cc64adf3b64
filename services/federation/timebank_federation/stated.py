"""What peers state of their logs and streams, segment by segment: two words on one thing, under one key, are evidence.

    size     ─▶ root     of the sender's latest checkpoint
    position ─▶ chain    of its stream to this node, at the segment's last message

The last of each peer are remembered, bounded, and kept for the next start: `stated/….envelopes`, a line each. A second
word makes a file of evidence with both envelopes, which anybody checks. Lines are not synced: what a crash takes away
can only hide a contradiction, never make one.
Source: design page 2, "Equivocation"; PROTOCOL.md S4, V6.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from timebank_contracts.equivocation import encode_evidence, two_statements
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.registry import RegisteredNode
from timebank_contracts.segments import ENVELOPE_BYTES_MAX, Segment, SegmentStatement, open_statement
from timebank_kit.files import atomic_write

SIZES_MAX: Final = 64
"""Of each peer's generation, and as many positions; older ones are a witness's to remember."""
PEERS_MAX: Final = 1_000
FILES_MAX: Final = 100
LINES_MAX: Final = 8 * SIZES_MAX
"""Then the file is written anew, with what is remembered alone."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Said:
    """The words of one generation of a peer, oldest first: each with the envelope that says it."""

    roots: OrderedDict[int, tuple[str, bytes]] = field(default_factory=OrderedDict)
    chains: OrderedDict[int, tuple[str, bytes]] = field(default_factory=OrderedDict)
    lines: int = 0
    """In its file."""

    def take(self, statement: SegmentStatement, envelope: bytes) -> tuple[bool, list[bytes]]:
        """Whether it says something new; and the envelopes that said something else."""
        words = []
        if statement.size:
            words.append((self.roots, statement.size, statement.root))
        if statement.last:
            words.append((self.chains, statement.last, statement.head))
        is_new, others = False, []
        for known, at, word in words:
            before = known.setdefault(at, (word, envelope))
            if len(known) > SIZES_MAX:
                known.popitem(last=False)
            is_new = is_new or before[1] is envelope
            if before[0] != word:
                others.append(before[1])
        return is_new, others

    @property
    def envelopes(self) -> list[bytes]:
        """Each once, oldest first."""
        return list(dict.fromkeys(envelope for known in (self.roots, self.chains) for _, envelope in known.values()))


class Stated:
    """Remembers; one thread at a time.

    Args:
        folder: gets files of evidence, and what is remembered; None: in memory, and contradictions are counted only.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._seen: OrderedDict[str, _Said] = OrderedDict()
        self._counted = 0

    @property
    def contradictions(self) -> int:
        """Files of evidence; without a folder, contradictions since the start."""
        return self._counted if self.folder is None else len(list(self.folder.glob("statements-*.json")))

    def take(self, segment: Segment, peer: RegisteredNode) -> Path | None:
        """Remember what a segment states; returns the file, where it contradicts what was stated before.

        Args:
            segment: validly signed.
            peer: its sender, as the registry in force names it: the key that signed both is named by the evidence.
        """
        statement = segment.statement
        name = f"{statement.from_}/{statement.generation}"
        if name not in self._seen:
            self._seen[name] = self._kept(name)
            if len(self._seen) > PEERS_MAX:
                self._seen.popitem(last=False)
        said = self._seen[name]
        is_new, others = said.take(statement, segment.envelope)
        if is_new:
            self._keep(name, said, segment.envelope)
        keys = [b64_decode(key) for key in peer.event_keys]
        pairs = (two_statements(key, other, segment.envelope) for other in others for key in keys)
        # None: another key signed the other, because the registry changed in between.
        found = next(filter(None, pairs), None)
        if found is None:
            return None
        self._counted += 1
        _log.critical("a peer stated two things of one log", extra={"peer": statement.from_, "size": statement.size})
        return self._write(encode_evidence(found), peer=statement.from_)

    def _write(self, raw: bytes, *, peer: str) -> Path | None:
        if self.folder is None:
            return None
        path = self.folder / f"statements-{sha256(raw).hexdigest()[:16]}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() and self.contradictions < FILES_MAX:
                atomic_write(path, raw)
        except OSError as error:
            # A full disk must not hold up what the segment brings.
            _log.error("evidence cannot be written", extra={"peer": peer, "reason": str(error.strerror)})
            return None
        return path

    # For the next start ------------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / "stated" / f"{sha256(name.encode()).hexdigest()[:16]}.envelopes"

    def _kept(self, name: str) -> _Said:
        """What was remembered when the last process ended; a line that a crash tore is left out."""
        said, path = _Said(), self._path(name)
        try:
            lines = [] if path is None or not path.exists() else _lines(path)
        except OSError as error:
            _log.error("what peers stated cannot be read", extra={"reason": str(error.strerror)})
            lines = []
        for envelope in lines:
            try:
                said.take(open_statement(envelope), envelope)
            except Malformed:
                continue
        said.lines = len(lines)
        return said

    def _keep(self, name: str, said: _Said, envelope: bytes) -> None:
        path = self._path(name)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if said.lines >= LINES_MAX:
                atomic_write(path, b"".join(b"\n" + line for line in said.envelopes))
                said.lines = len(said.envelopes)
                return
            with path.open("ab") as file:
                # The line feed comes first: a line that a crash tore before it spoils no other.
                file.write(b"\n" + envelope)
            said.lines += 1
        except OSError as error:
            _log.error("what peers stated cannot be kept", extra={"reason": str(error.strerror)})


def _lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        raw = file.read((LINES_MAX + 1) * (ENVELOPE_BYTES_MAX + 1))
    return [line for line in raw.split(b"\n") if line]
