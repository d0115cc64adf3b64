"""What must be true after every step, judged from the disks alone: P1 to P7 of design page 6.

It reads each committed entry once and keeps its own books, so that an error in `apply` does not hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from msgspec import UNSET

from tests.simulation.between_books import disagreements
from tests.simulation.limits import Limits
from tests.simulation.town import Town, replayed
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts import properties
from timebank_contracts.cut import (
    StreamName,
    TownAtCut,
    TownMarks,
    greatest_cut,
    note_decision,
    pair_identity,
    town_at_cut,
    transit_identity,
)
from timebank_contracts.merkle import Tree, leaf_hash
from timebank_contracts.names import parse_transfer


class Broken(AssertionError):
    """A promise was broken; the text begins with its number."""


@dataclass(slots=True)
class Journal:
    """What was read of one town's disk."""

    marks: TownMarks
    limits: Limits
    told: properties.Told


def _read_nothing(name: str) -> Journal:
    return Journal(TownMarks(name), Limits(name), properties.Told(name))


def _demand(number: str, found: Sequence[str]) -> None:
    if found:
        raise Broken(f"{number}: {found[0]}")


def _apart(one: TownAtCut, other: TownAtCut) -> list[str]:
    """What two towns that live do not agree about, while another one is gone."""
    wrong = transit_identity(one, other) or transit_identity(other, one) or pair_identity(one, other)
    return [f"{one.node} and {other.node} are {wrong} minutes apart."] if wrong else []


class Promises:
    """The oracle of one run."""

    def __init__(self, towns: Sequence[Town]) -> None:
        self.towns = list(towns)
        self.journals = {town.name: _read_nothing(town.name) for town in towns}
        self.lost: dict[str, properties.Told] = {}
        """Town that lost state → all that its journal said before."""
        self.released: set[tuple[str, bytes]] = set()
        """Entries that were acknowledged, and lost with a disk that nobody has a copy of."""
        self.acknowledged: dict[str, dict[int, bytes]] = {town.name: {} for town in towns}
        for town in towns:
            town.grown = self.look

    def look(self, town: Town) -> None:
        """Read what is new on a town's disk, and judge all that can be judged now."""
        if town.on_old_disk:
            return
        journal, raws = self.journals[town.name], town.disk.entries
        new = raws[journal.marks.size :]
        if not new and town.book.n == len(raws):
            return
        for raw in new:
            self._read(journal, e.decode_entry(raw))
        if town.book.n != len(raws):
            raise Broken(f"P7: {town.name} holds {town.book.n} entries in memory and {len(raws)} on its disk.")
        broken = properties.conserved(town.book) + journal.limits.differences(town.book)
        _demand("P1", [f"{town.name}: {sentence}" for sentence in broken])
        self._judge_network()

    def _judge_network(self) -> None:
        living = [town for town in self.towns if not town.is_gone]
        known = [
            town
            for town in living
            if town.up and not town.on_old_disk and town.book.n == self.journals[town.name].marks.size
        ]
        marks = [self.journals[town.name].marks for town in known]
        if greatest_cut(marks) != {found.node: found.size for found in marks}:
            if self.lost:
                return  # What a town lost may have been applied by a peer, and is still to be handed back.
            raise Broken("P6: a town applied what no journal has sent.")
        if len(known) == len(living) and all(town.book.identity is not None for town in known):
            cut = [town_at_cut(town.book, self.journals[town.name].told.decisions) for town in known]
            if len(living) == len(self.towns):
                _demand("P1", properties.conserved_between(cut))
            else:
                _demand("P1", [found for pair in combinations(cut, 2) for found in _apart(*pair)])

    def _read(self, journal: Journal, entry: e.Entry) -> None:
        told, others = journal.told, {name: other.told for name, other in self.journals.items()}
        journal.marks.note(entry)
        if isinstance(entry, e.MessageRecoveredEntry):
            _demand("P6", self._never_said(told.node, entry))
        _demand("P3", properties.applied_once(told, entry))
        _demand("P6", properties.validly_caused(told, entry, others))
        fault = journal.limits.take(entry)
        if fault:
            raise Broken(f"P5: {told.node}, entry {entry.n}: {fault}")
        _demand("P4", properties.one_outcome(told, entry, others))
        told.note(entry)

    def forget(self, town: Town) -> None:
        """A test rolled this disk back: from here on it is read as if it were new, and nothing was acknowledged."""
        self.journals[town.name] = _read_nothing(town.name)
        self.acknowledged[town.name] = {}
        town.grown = lambda town: None

    def _never_said(self, node: str, entry: e.MessageRecoveredEntry) -> list[str]:
        assert entry.in_ is not UNSET
        raw = bytes(entry.in_)
        message = m.decode_message(raw)
        stream = self.lost[node].sent.get((m.generation_in(message), message.subject), [])
        position = m.position_in(message)
        same = position <= len(stream) and stream[position - 1] == raw
        return [] if same else [f"{node} got back {message.id}, which it had never said."]

    def release(self, town: Town, size: int) -> None:
        """A town goes on from its first `size` entries: what was promised of the others is released, nothing else."""
        before = self.journals[town.name]
        self.lost[town.name] = before.told
        journal = self.journals[town.name] = _read_nothing(town.name)
        for raw in town.disk.entries[:size]:
            entry = e.decode_entry(raw)
            journal.marks.note(entry)
            journal.limits.take(entry)
            journal.told.note(entry)
        journal.told.sent = {stream: list(said) for stream, said in before.told.sent.items()}
        journal.told.lost = before.told.lost | before.told.decisions
        kept = self.acknowledged[town.name]
        self.released |= {(town.name, raw) for n, raw in kept.items() if n >= size}
        self.acknowledged[town.name] = {n: raw for n, raw in kept.items() if n < size}

    def still_holds(self, town: Town, answer: Sequence[bytes]) -> bool:
        """Whether what a client was answered with is still promised."""
        return not any((town.name, raw) in self.released for raw in answer)

    def judge_returned(self) -> None:
        """All that a peer applied is in the journal again, all that it did not and the prefix has was said again.

        And what had become final is final in the same way (P4).
        """
        forgetful = set(self.lost) | {town.name for town in self.towns if town.is_gone}
        for town in self.towns:
            before = self.lost.get(town.name)
            if before is None or town.is_gone:
                continue
            told = self.journals[town.name].told
            generation, out = before.generation, self.journals[town.name].marks.out
            for name, peer in town.book.peers.items():
                other = next(one for one in self.towns if one.name == name)
                if peer.state == "closed" or other.is_gone or (name in self.lost):
                    continue
                ended = other.book.peers[town.name].ended.get(generation, 0)
                has = len(out.get(StreamName(generation, name), ()))
                if has < ended:
                    raise Broken(f"P2: {name} applied {ended} messages of {town.name}, which has {has} of them.")
            changed = [
                transfer
                for transfer, settled in before.outcomes.items()
                # What both towns lost never happened: nobody is left who heard of it.
                if parse_transfer(transfer).peer not in forgetful
                and told.outcomes.get(transfer, settled) is not settled
            ]
            _demand("P4", [f"{transfer} has another outcome than before {town.name} lost it." for transfer in changed])

    def acknowledge(self, town: Town, raws: Sequence[bytes]) -> None:
        """A client was answered with these entries: from now on they must be there."""
        for raw in raws:
            self.acknowledged[town.name][e.decode_entry(raw).n] = raw

    def judge_memory(self, town: Town) -> None:
        """P2 and P7, at the end of a run and whenever somebody wants to: everything acknowledged, and a replay."""
        raws = town.disk.entries
        lost = properties.nothing_lost(self.acknowledged[town.name], raws)
        _demand("P2", [f"{town.name}: {sentence}" for sentence in lost])
        again = replayed(raws)
        tree = Tree()
        for raw in raws:
            tree.append(leaf_hash(raw))
        roots = (tree.root(), again.tree.root(), town.memory.tree.root())
        found = properties.replays_alike(town.book, again.book, roots)
        _demand("P7", [f"{town.name}: {sentence}" for sentence in found])

    def judge_equal_limits(self) -> None:
        """The law of equal limits: a payee's town never refuses for the pair's limit what the payer's town allowed."""
        for town in self.towns:
            for raw in town.disk.entries:
                entry = e.decode_entry(raw)
                if isinstance(entry, e.TransferRejected) and entry.data.reason == "pair_limit_exceeded":
                    raise Broken(f"P5: {town.name} refused {entry.data.transfer} for a limit equal to the payer's.")

    def disagreements(self) -> Iterator[str]:
        """Claims between towns by which two towns that heard each other mean different things."""
        living = [town for town in self.towns if not town.is_gone]
        for giver in living:
            for receiver in living:
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
        _demand(f"P1 at {sizes}", properties.conserved_between(cut))
