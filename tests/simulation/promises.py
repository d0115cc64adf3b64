"""What must be true after every step, judged from the disks alone: P1 to P7 of design page 6.

It reads each committed entry once and keeps its own books, so that an error in `apply` does not hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.simulation.between_books import disagreements
from tests.simulation.limits import Limits
from tests.simulation.town import Town, replayed
from timebank_contracts import entries as e
from timebank_contracts import properties
from timebank_contracts.cut import TownMarks, greatest_cut, note_decision, town_at_cut
from timebank_contracts.merkle import Tree, leaf_hash


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


class Promises:
    """The oracle of one run."""

    def __init__(self, towns: Sequence[Town]) -> None:
        self.towns = list(towns)
        self.journals = {town.name: _read_nothing(town.name) for town in towns}
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
        known = [
            town
            for town in self.towns
            if town.up and not town.on_old_disk and town.book.n == self.journals[town.name].marks.size
        ]
        marks = [self.journals[town.name].marks for town in known]
        if greatest_cut(marks) != {found.node: found.size for found in marks}:
            raise Broken("P6: a town applied what no journal has sent.")
        if len(known) == len(self.towns) and all(town.book.identity is not None for town in known):
            cut = [town_at_cut(town.book, self.journals[town.name].told.decisions) for town in known]
            _demand("P1", properties.conserved_between(cut))

    def _read(self, journal: Journal, entry: e.Entry) -> None:
        told, others = journal.told, {name: other.told for name, other in self.journals.items()}
        journal.marks.note(entry)
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
        _demand(f"P1 at {sizes}", properties.conserved_between(cut))
