"""What is known of a town after its log was walked and its journal replayed."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from timebank_audit.files import TownFiles
from timebank_audit.log import EntryFile
from timebank_audit.registries import Registries
from timebank_audit.replay import Replay, book_at
from timebank_contracts import entries as e
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.names import Identity
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

    def head(self, peer: str, end: int) -> int:
        """How many messages to `peer` the entries before position `end` send."""
        return bisect_left(self.replay.streams[peer].out, end) if peer in self.replay.streams else 0

    def mark(self, peer: str, end: int) -> int:
        """How many messages of `peer` the entries before position `end` apply."""
        return bisect_left(self.replay.streams[peer].in_, end) if peer in self.replay.streams else 0

    def sends(self, peer: str, position: int) -> e.Entry:
        """The entry that sends message `position` (from 1) to `peer`."""
        return e.decode_entry(self.entries[self.replay.streams[peer].out[position - 1]])

    def applies(self, peer: str, position: int) -> e.Entry:
        """The entry that applies message `position` (from 1) of `peer`."""
        return e.decode_entry(self.entries[self.replay.streams[peer].in_[position - 1]])

    def book(self, end: int) -> Book:
        """The book after the entries before position `end`."""
        return self.replay.book if end == self.size else book_at(self.entries, end)
