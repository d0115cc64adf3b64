"""What must be true after every step, judged from the disks alone: P1 to P7 of design page 6.

It reads each committed entry once and keeps its own books, so that an error in `apply` does not hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import UNSET

from tests.simulation.between_books import disagreements
from tests.simulation.limits import Limits
from tests.simulation.town import Town, replayed
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.cut import TownMarks, broken_identities, greatest_cut, note_decision, town_at_cut
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.merkle import Tree, leaf_hash


class Broken(AssertionError):
    """A promise was broken; the text begins with its number."""


@dataclass(slots=True)
class Journal:
    """What was read of one town's disk."""

    marks: TownMarks
    limits: Limits
    keys: set[str] = field(default_factory=set)
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    """Peer → messages written to it, in order."""
    taken: dict[str, int] = field(default_factory=dict)
    """Peer → how many of its messages were applied."""
    decisions: dict[str, bool] = field(default_factory=dict)
    """Transfers of peers → received (True) or rejected."""
    outcomes: dict[str, bool] = field(default_factory=dict)
    """Own transfers → settled (True) or returned."""


class Promises:
    """The oracle of one run."""

    def __init__(self, towns: Sequence[Town]) -> None:
        self.towns = list(towns)
        self.journals = {town.name: Journal(TownMarks(town.name), Limits(town.name)) for town in towns}
        self.acknowledged: dict[str, dict[int, bytes]] = {town.name: {} for town in towns}
        for town in towns:
            town.grown = self.look

    def look(self, town: Town) -> None:
        """Read what is new on a town's disk, and judge all that can be judged now."""
        journal, raws = self.journals[town.name], town.disk.entries
        new = raws[journal.marks.size :]
        if not new and town.book.n == len(raws):
            return
        for raw in new:
            self._read(journal, e.decode_entry(raw))
        if town.book.n != len(raws):
            raise Broken(f"P7: {town.name} holds {town.book.n} entries in memory and {len(raws)} on its disk.")
        broken = broken_invariants(town.book) + journal.limits.differences(town.book)
        if broken:
            raise Broken(f"P1: {town.name}: {broken[0]}")
        self._judge_network()

    def _judge_network(self) -> None:
        known = [town for town in self.towns if town.up and town.book.n == self.journals[town.name].marks.size]
        marks = [self.journals[town.name].marks for town in known]
        if greatest_cut(marks) != {found.node: found.size for found in marks}:
            raise Broken("P6: a town applied what no journal has sent.")
        if len(known) == len(self.towns) and all(town.book.identity is not None for town in known):
            cut = [town_at_cut(town.book, self.journals[town.name].decisions) for town in known]
            broken = broken_identities(cut)
            if broken:
                raise Broken(f"P1: {broken[0]}")

    def _read(self, journal: Journal, entry: e.Entry) -> None:
        if isinstance(entry.key, str):
            if entry.key in journal.keys:
                raise Broken(f"P3: {journal.marks.node} has two entries of one key.")
            journal.keys.add(entry.key)
        journal.marks.note(entry)
        if entry.in_ is not UNSET:
            self._read_cause(journal, entry)
        if entry.out is not UNSET:
            peer = m.decode_message(bytes(entry.out)).subject
            journal.sent.setdefault(peer, []).append(bytes(entry.out))
        fault = journal.limits.take(entry)
        if fault:
            raise Broken(f"P5: {journal.marks.node}, entry {entry.n}: {fault}")
        self._read_outcome(journal, entry)

    def _read_cause(self, journal: Journal, entry: e.Entry) -> None:
        assert entry.in_ is not UNSET
        peer = str(entry.by.id)
        raw, position = bytes(entry.in_), journal.taken.get(peer, 0) + 1
        said = m.decode_message(raw)
        node = journal.marks.node
        if said.id != m.message_id(node, "g1", position):
            raise Broken(f"P3: {node} applied {said.id} as message {position} of {peer}.")
        wrote = self.journals[peer].sent.get(node, []) if peer in self.journals else []
        if len(wrote) < position or wrote[position - 1] != raw:
            raise Broken(f"P6: {node} applied as message {position} of {peer} what {peer} did not write.")
        journal.taken[peer] = position

    def _read_outcome(self, journal: Journal, entry: e.Entry) -> None:
        if isinstance(entry, e.TransferReceived | e.TransferRejected):
            if entry.data.transfer in journal.decisions:
                raise Broken(f"P4: {entry.data.transfer} was decided twice.")
            note_decision(journal.decisions, entry)
        if isinstance(entry, e.TransferSettled | e.TransferReturned):
            transfer = entry.data.transfer
            if transfer in journal.outcomes:
                raise Broken(f"P4: {transfer} ended twice.")
            journal.outcomes[transfer] = isinstance(entry, e.TransferSettled)
            if isinstance(entry, e.TransferReturned) and entry.in_ is UNSET:
                return  # The payee's town was closed for ever: what it decided is nobody's any more.
            payee = transfer.split(".")[2]
            if self.journals[payee].decisions.get(transfer) is not journal.outcomes[transfer]:
                raise Broken(f"P4: {transfer} ended otherwise than {payee} decided.")

    def forget(self, town: Town) -> None:
        """A test rolled this disk back: from here on it is read as if it were new, and nothing was acknowledged."""
        self.journals[town.name] = Journal(TownMarks(town.name), Limits(town.name))
        self.acknowledged[town.name] = {}
        town.grown = lambda town: None

    def acknowledge(self, town: Town, raws: Sequence[bytes]) -> None:
        """A client was answered with these entries: from now on they must be there."""
        for raw in raws:
            self.acknowledged[town.name][e.decode_entry(raw).n] = raw

    def judge_memory(self, town: Town) -> None:
        """P2 and P7, at the end of a run and whenever somebody wants to: everything acknowledged, and a replay."""
        raws = town.disk.entries
        for position, raw in self.acknowledged[town.name].items():
            if position >= len(raws) or raws[position] != raw:
                raise Broken(f"P2: {town.name} lost entry {position}, which it had acknowledged.")
        again = replayed(raws)
        tree = Tree()
        for raw in raws:
            tree.append(leaf_hash(raw))
        if again.book != town.book or again.tree.root() != town.memory.tree.root() or tree.root() != again.tree.root():
            raise Broken(f"P7: a replay of {town.name} gives another book or root.")

    def judge_equal_limits(self) -> None:
        """The law of equal limits: a payee's town never refuses for the pair's limit what the payer's town allowed."""
        for town in self.towns:
            for raw in town.disk.entries:
                entry = e.decode_entry(raw)
                if isinstance(entry, e.TransferRejected) and entry.data.reason == "pair_limit_exceeded":
                    raise Broken(f"P5: {town.name} refused {entry.data.transfer} for a limit equal to the payer's.")

    def disagreements(self) -> Iterator[str]:
        """Claims between towns by which two towns that heard each other mean different things."""
        for giver in self.towns:
            for receiver in self.towns:
                if giver is not receiver:
                    books = [self.journals[town.name].limits.claims.between for town in (giver, receiver)]
                    yield from disagreements(*books)

    def judge_cut(self, at_most: dict[str, int]) -> None:
        """P1 at the greatest consistent cut below these sizes, from replays of the prefixes."""
        sizes = greatest_cut([journal.marks for journal in self.journals.values()], at_most=at_most)
        cut = []
        for town in self.towns:
            raws = town.disk.entries[: sizes[town.name]]
            decisions: dict[str, bool] = {}
            for raw in raws:
                note_decision(decisions, e.decode_entry(raw))
            book = replayed(raws).book
            if book.identity is None:
                return
            cut.append(town_at_cut(book, decisions))
        broken = broken_identities(cut)
        if broken:
            raise Broken(f"P1 at {sizes}: {broken[0]}")
