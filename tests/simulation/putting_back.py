"""How a town that lost state gets it back from its peers, and what a peer hands back: over HTTPS, from its journal.

    town: returning ── our old stream after n ──▶ peer: kept segment | last word ──▶ town's writer ── … ──▶ said again
A peer that is away, or has not closed the old generation yet, is asked again at the next round.
Source: PROTOCOL.md X9 to X11, W10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import Malformed
from timebank_contracts.segments import Heard, SegmentStatement, make_segment, parse_segment
from timebank_contracts.streams import StreamHead
from timebank_kit.journal import Record
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger import commands as c
from timebank_ledger.kept import KeptSegments
from timebank_ledger.peers import RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.mail import Mail


def journal_of(raws: Sequence[bytes]) -> MemoryJournal:
    """A journal of the kit with these entries, for code that wants one."""
    journal = MemoryJournal(UUID(int=0))
    entries = [e.decode_entry(raw) for raw in raws]
    keys = [None if entry.key is UNSET else entry.key for entry in entries]
    journal.append(
        [Record(entry.n, e.entry_type(entry), raw, key) for entry, raw, key in zip(entries, raws, keys, strict=True)]
    )
    return journal


def is_sent_by(name: str, raw: bytes) -> bool:
    """Whether a record is a segment that this town sent."""
    try:
        return parse_segment(raw).statement.from_ == name
    except Malformed:
        return False


class PuttingBack:
    """Both sides of one town."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.town = mail.town

    # The town that lost state ------------------------------------------------------------------------------------

    def step(self) -> None:
        """Ask every peer with which something is still to be put back."""
        for name, peer in self.town.book.peers.items():
            if peer.returning is not None and peer.state != "closed" and name in self.mail.offices:
                if peer.returning.until < 0:
                    self._ask(name)
                elif not peer.returning.takes:
                    self._say_again(name)

    def took(self, statement: SegmentStatement) -> None:
        """A segment of the past was entered: ask for what follows, or say again what the peer never applied."""
        name = statement.to if statement.from_ == self.town.name else statement.from_
        returning = self.town.book.peers[name].returning
        if returning is not None and returning.until < 0:
            self._ask(name)
        elif returning is not None:
            self._say_again(name)

    def _ask(self, name: str) -> None:
        mail, me = self.mail, self.town.name
        returning = self.town.book.peers[name].returning
        assert returning is not None
        generation, after = returning.generation, returning.said.n
        office = mail.offices[name].putting_back
        mail.network.ask(me, name, lambda: office.hand_back(me, generation, after), mail.hand_over)

    def _say_again(self, name: str) -> None:
        returning = self.town.book.peers[name].returning
        if returning is None or returning.takes or not self.town.rules.repeats_what_was_lost:
            return
        wanted = {
            m.message_id(name, returning.generation, n): n
            for n in range(returning.repeated + 1, returning.restored + 1)
        }
        for position, raw in enumerate(self.town.disk.entries):
            entry = e.decode_entry(raw)
            if entry.out is not UNSET and m.decode_message(bytes(entry.out)).id in wanted:
                command = c.RepeatMessage(by=RULE, peer=name, position=position)
                self.town.submit(command, lambda answer: None)

    # Its peer ----------------------------------------------------------------------------------------------------

    def hand_back(self, asker: str, generation: str, after: int) -> list[bytes]:
        """What this town kept of a closed generation of a peer, one segment after a position; then its last word."""
        town = self.town
        peer = town.book.peers.get(asker)
        if not town.up or town.stopped or town.paused_until > self.mail.schedule.now or peer is None:
            return []
        ending = peer.endings.get(generation)
        if ending is None:
            return []
        kept = KeptSegments(journal_of(town.disk.entries)).after(asker, generation, after, last=ending.n)
        return [self._last_word(asker, generation, ending) if kept is None else kept]

    def _last_word(self, asker: str, generation: str, ending: StreamHead) -> bytes:
        town, mail = self.town, self.mail
        position = town.book.peers[asker].outgoing.n
        return make_segment(
            identity=mail.me,
            to=asker,
            after=StreamHead(position, mail.chain(asker, position)),
            messages=[],
            heard=Heard(generation=generation, n=ending.n, chain=ending.chain.hex()),
            registry=town.book.registry_version,
            size=town.memory.tree.size,
            root=town.memory.tree.root(),
            key=mail.registries.signing_key(town.name, town.book.registry_version),
        )
