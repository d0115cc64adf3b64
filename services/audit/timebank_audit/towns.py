"""What is known of a town after its log was walked and its journal replayed."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from msgspec import Raw, UnsetType

from timebank_audit.files import TownFiles
from timebank_audit.log import EntryFile
from timebank_audit.registries import Registries
from timebank_audit.replay import Replay, book_at
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.cut import StreamName
from timebank_contracts.names import Identity, parse_transfer
from timebank_contracts.note import VerifierKey
from timebank_contracts.state import Book


class Town(NamedTuple):
    """One audited town. `unusable` says why nothing further can be concluded from it; empty for a sound one."""

    identity: Identity
    files: TownFiles
    checkpoint: Checkpoint
    key: VerifierKey | None
    """The log key by which the checkpoint was judged."""
    entries: EntryFile
    registries: Registries
    replay: Replay
    unusable: str
    log_is_sound: bool
    """Entries, tiles and root agree, so that roots of earlier sizes can be taken from the tiles."""

    @property
    def node(self) -> str:
        """The node's name, by which its peers know it."""
        return self.identity.node

    @property
    def size(self) -> int:
        """Entries replayed."""
        return self.replay.book.n

    def head(self, to: StreamName, end: int) -> int:
        """How many messages of one of its streams, by own generation and peer, the entries before `end` hold."""
        return bisect_left(self.replay.out.get(to, ()), end)

    def mark(self, of: StreamName, end: int) -> int:
        """How many messages of a stream to it, by the peer's generation and name, the entries before `end` apply."""
        return bisect_left(self.replay.in_.get(of, ()), end)

    def says(self, to: StreamName, position: int) -> Raw:
        """Message `position` (from 1) of one of its streams: as it was sent, or put back after it was lost."""
        entry = e.decode_entry(self.entries[self.replay.out[to][position - 1]])
        raw = entry.in_ if isinstance(entry, e.MessageRecoveredEntry) else entry.out
        assert not isinstance(raw, UnsetType), "its position was kept for that"
        return raw

    def applies(self, of: StreamName, position: int) -> e.Entry:
        """The entry that applies message `position` (from 1) of a stream to it."""
        return e.decode_entry(self.entries[self.replay.in_[of][position - 1]])

    def decision(self, payer: str, transfer: str, end: int) -> e.Entry | None:
        """What the entries before `end` decided about a transfer of a peer's; None: nothing."""
        name = parse_transfer(transfer)
        stream = StreamName(name.generation, payer)
        if 1 <= name.position <= self.mark(stream, end):
            return self.applies(stream, name.position)
        position = self.replay.again.get(transfer, end)
        return e.decode_entry(self.entries[position]) if position < end else None

    def book(self, end: int) -> Book:
        """The book after the entries before position `end`."""
        return self.replay.book if end == self.size else book_at(self.entries, end)
