"""What this town kept of a peer's closed generation: the segments that it took, byte for byte as they came.

A peer that lost state gets its own messages back from here. It is asked for once in the life of a town, so nothing is
indexed for it: the journal is read once, and where the segments lie is remembered for the last peer that asked.
Source: design page 2, "Rollback and generations"; PROTOCOL.md W10, X9.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.entry_reader import EntryReader
from timebank_contracts.segments import SegmentStatement, open_statement
from timebank_kit.journal import Journal, Record
from timebank_ledger.replay import read_entry

PAGE_RECORDS: Final = 1_024
_TAKEN: Final = b'"type":"segment.accepted"'


@dataclass(slots=True)
class _Stream:
    """Where one stream lies in the journal: 8 bytes for each message, and 16 for each segment."""

    lasts: array[int] = field(default_factory=lambda: array("q"))
    """Of each segment: the last message that it brought."""
    accepted: array[int] = field(default_factory=lambda: array("q"))
    """Of each segment: the journal position of its `segment.accepted`."""
    messages: array[int] = field(default_factory=lambda: array("q"))
    """Of message 1, 2, …: the journal position of the entry that it caused."""


class KeptSegments:
    """Finds the segments of closed streams in one journal; any thread may ask."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._asked: tuple[str, str] | None = None
        self._stream = _Stream()

    def after(self, peer: str, generation: str, position: int, *, last: int) -> bytes | None:
        """The segment, as it came, by which a message after a stream position was taken; None: there is none after it.

        Args:
            peer: whose stream.
            generation: of the peer; it is closed here, so nothing more comes to it.
            position: the last message that is not wanted.
            last: the last message of the stream that was applied here.

        Raises:
            JournalTrouble: the journal cannot be read now.
        """
        if position >= last:
            return None
        with self._lock:
            if self._asked != (peer, generation):
                self._stream = self._find(peer, generation, last)
                self._asked = (peer, generation)
            found = self._stream
        index = bisect_left(found.lasts, position + 1)
        entry = read_entry(self._journal, found.accepted[index])
        assert isinstance(entry, e.SegmentAcceptedEntry), "the journal does not change"
        envelope = bytes(entry.data.envelope)
        said = open_statement(envelope)
        messages = [self._message(found.messages[number - 1]) for number in range(said.first, said.last + 1)]
        return b"\n".join([envelope, *messages]) + b"\n"

    def _message(self, position: int) -> bytes:
        entry = read_entry(self._journal, position)
        assert entry is not None, "the journal does not change"
        assert entry.in_ is not UNSET, "a peer's message caused it"
        return bytes(entry.in_)

    def _find(self, peer: str, generation: str, last: int) -> _Stream:
        found, reader = _Stream(), EntryReader()
        pending = 0
        for start in range(0, self._journal.length(), PAGE_RECORDS):
            records = self._journal.read(start, PAGE_RECORDS)
            if not pending and not any(_TAKEN in record.state for record in records):
                continue
            pending = _note(found, records, reader, peer, generation, pending)
            if len(found.messages) >= last:
                break
        return found


def _note(found: _Stream, records: list[Record], reader: EntryReader, peer: str, generation: str, pending: int) -> int:
    """Take a page in; `pending`: messages of a segment of this stream that are still to come, which it returns."""
    for entry in reader.read([record.state for record in records]):
        if isinstance(entry, e.SegmentAcceptedEntry):
            said = open_statement(bytes(entry.data.envelope))
            pending = _fresh(found, said) if (said.from_, said.generation) == (peer, generation) else 0
            if pending:
                found.lasts.append(said.last)
                found.accepted.append(entry.n)
        elif pending and entry.in_ is not UNSET:
            found.messages.append(entry.n)
            pending -= 1
    return pending


def _fresh(found: _Stream, said: SegmentStatement) -> int:
    return said.last - len(found.messages)
