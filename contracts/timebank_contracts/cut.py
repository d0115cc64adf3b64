"""Several towns at one consistent cut, and the identities that must hold there. Pure; used by simulation and auditor.

A cut takes the first `size` entries of each journal. It is consistent when no town in it has applied a message that
its sender has not yet written in it, or got back what the peer that handed it back has not yet applied in it. The
greatest one is unique: shorten whichever journal heard too much, and repeat.
That both towns hold the same bytes at each position is judged apart, by the chain values of the streams.
At a cut, a transfer that is open at its payer's town is undecided (W), received (U) or rejected (R) at the payee's:

    payer's transit[payee]                        = W + U + R
    A.clearing[B] + B.clearing[A] + U(AB) + U(BA) = 0
    sum of all other balances + sum of (W + R)    = 0

Source: design page 2, "Signs, limits, identities"; PROTOCOL.md I5 to I8.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.state import Book


class StreamName(NamedTuple):
    """One of a town's streams with a peer: the sender's generation, and the peer."""

    generation: str
    peer: str


@dataclass(slots=True)
class TownMarks:
    """Where the streams stand in one town's journal: a few bytes for each message, nothing for other entries."""

    node: str
    size: int = 0
    """Entries noted so far."""
    out: dict[StreamName, MutableSequence[int]] = field(default_factory=dict)
    """Our generation and the peer → journal position of the entry that wrote, or recovered, message 1, 2, … to it."""
    taken: dict[StreamName, MutableSequence[int]] = field(default_factory=dict)
    """The peer's generation and the peer → journal position of the entry that applied its message 1, 2, …"""
    restored: dict[StreamName, int] = field(default_factory=dict)
    """Our earlier generation and the peer → the messages in `out` before those that the peer handed back."""

    def note(self, entry: e.Entry) -> None:
        """Take in the journal's next entry, whose rules hold."""
        assert entry.n == self.size
        if entry.out is not UNSET:
            message = m.decode_message(bytes(entry.out))
            self.out.setdefault(StreamName(m.generation_in(message), message.subject), []).append(entry.n)
        if entry.in_ is not UNSET:
            message = m.decode_message(bytes(entry.in_))
            generation = m.generation_in(message)
            if isinstance(entry, e.MessageRecoveredEntry):
                stream = StreamName(generation, message.subject)
                written = self.out.setdefault(stream, [])
                self.restored.setdefault(stream, len(written))
                written.append(entry.n)
            else:
                self.taken.setdefault(StreamName(generation, message.source), []).append(entry.n)
        self.size += 1

    def written_to(self, peer: str, generation: str, size: int) -> int:
        """How many messages of a generation of ours to `peer` the first `size` entries hold."""
        return bisect_left(self.out.get(StreamName(generation, peer), ()), size)


def greatest_cut(towns: Sequence[TownMarks], *, at_most: Mapping[str, int] | None = None) -> dict[str, int]:
    """The greatest consistent cut: node → number of entries.

    Args:
        towns: marks of the journals that are known; a peer that is not among them bounds nothing.
        at_most: node → entries that may be looked at (default: all that were noted).
    """
    sizes = {town.node: town.size for town in towns}
    if at_most is not None:
        sizes.update({node: min(sizes[node], size) for node, size in at_most.items()})
    changed = True
    while changed:
        changed = False
        for sender, receiver in permutations(towns, 2):
            for stream, taken in receiver.taken.items():
                if stream.peer != sender.node:
                    continue
                written = sender.written_to(receiver.node, stream.generation, sizes[sender.node])
                if bisect_left(taken, sizes[receiver.node]) > written:
                    sizes[receiver.node] = taken[written]
                    changed = True
            changed = _recovered_too_much(sender, receiver, sizes) or changed
    return sizes


def _recovered_too_much(town: TownMarks, peer: TownMarks, sizes: dict[str, int]) -> bool:
    """Shorten a town that has back what its peer, within the cut, has not applied yet."""
    changed = False
    for stream, restored in town.restored.items():
        if stream.peer != peer.node:
            continue
        taken = bisect_left(peer.taken.get(StreamName(stream.generation, town.node), ()), sizes[peer.node])
        if town.written_to(stream.peer, stream.generation, sizes[town.node]) > max(restored, taken):
            sizes[town.node] = town.out[stream][max(restored, taken)]
            changed = True
    return changed


@dataclass(slots=True)
class TownAtCut:
    """What one town says at a cut; all quantities in minutes."""

    node: str
    others: int
    """Sum of all balances except clearing and transit."""
    clearing: dict[str, int]
    transit: dict[str, int]
    open: dict[str, tuple[str, int]]
    """Transfer id → (payee's node, minutes) of each transfer that was sent and has no outcome here."""
    decisions: Mapping[str, bool]
    """Transfer id → received (True) or rejected (False); those may be left out whose outcome the payer has at the
    cut."""
    forced: Mapping[str, int] = field(default_factory=dict)
    """Peer → minutes that this town credited before it lost state, and that its present journal is still to credit."""
    gone: frozenset[str] = frozenset()
    """Peers that it knows as closed for ever: what is open to them it returns by itself (PROTOCOL.md X6)."""


def town_at_cut(book: Book, decisions: Mapping[str, bool]) -> TownAtCut:
    """A town's summary, from its book after the cut's last entry and its decisions about transfers of its peers."""
    apart = ("clearing", "transit")
    forced: dict[str, int] = {}
    for found in book.forced.values():
        if found.outcome == "received":
            forced[found.peer] = forced.get(found.peer, 0) + found.minutes
    return TownAtCut(
        node=book.me.node,
        others=sum(account.balance for account in book.accounts.values() if account.kind not in apart),
        clearing={name: peer.clearing.balance for name, peer in book.peers.items()},
        transit={name: peer.transit.balance for name, peer in book.peers.items()},
        open={name: (found.peer, found.minutes) for name, found in book.open_transfers.items()},
        gone=frozenset(name for name, peer in book.peers.items() if peer.state == "closed" and peer.has_ended),
        decisions=decisions,
        forced=forced,
    )


def note_decision(decisions: dict[str, bool], entry: e.Entry) -> None:
    """Remember the decision, if this entry is one, about a transfer of a peer."""
    if isinstance(entry, e.TransferReceived | e.TransferRejected):
        decisions[entry.data.transfer] = isinstance(entry, e.TransferReceived)
    if isinstance(entry, e.MessageRecoveredEntry) and entry.in_ is not UNSET:
        message = m.decode_message(bytes(entry.in_))
        if isinstance(message, m.TransferReceivedMessage | m.TransferRejectedMessage):
            decisions[message.data.transfer] = isinstance(message, m.TransferReceivedMessage)


class UnderWay(NamedTuple):
    """Open transfers from one town to another, in minutes, by what the payee's town has done with them."""

    undecided: int
    received: int
    rejected: int


def under_way(payer: TownAtCut, payee: TownAtCut) -> UnderWay:
    """W, U and R of the transfers from `payer` to `payee`, in minutes."""
    undecided = received = rejected = 0
    for transfer, (peer, minutes) in payer.open.items():
        if peer != payee.node:
            continue
        decision = payee.decisions.get(transfer)
        if decision is None:
            undecided += minutes
        elif decision:
            received += minutes
        else:
            rejected += minutes
    return UnderWay(undecided, received, rejected)


def transit_identity(payer: TownAtCut, payee: TownAtCut) -> int:
    """transit − (W + U + R), in minutes: 0 when the payer's transit account holds exactly its open transfers."""
    return payer.transit.get(payee.node, 0) - sum(under_way(payer, payee))


def pair_identity(one: TownAtCut, other: TownAtCut) -> int:
    """Both towns' clearing accounts and what is received but not settled, in minutes: 0 when both sides agree."""
    clearing = one.clearing.get(other.node, 0) + other.clearing.get(one.node, 0)
    clearing -= one.forced.get(other.node, 0) + other.forced.get(one.node, 0)
    return clearing + under_way(one, other).received + under_way(other, one).received


def network_identity(towns: Iterable[TownAtCut]) -> int:
    """All holders' balances and what is undecided or on its way back, in minutes: 0 when no hour was made or lost.

    It can be judged only when every town that any of them deals with is there.
    """
    known = list(towns)
    total = sum(town.others + sum(town.forced.values()) for town in known)
    for payer, payee in permutations(known, 2):
        found = under_way(payer, payee)
        total += found.undecided + found.rejected
    return total


def broken_identities(towns: Sequence[TownAtCut]) -> list[str]:
    """Sentences about each identity that does not hold at this consistent cut; empty when all do.

    Of a town that another one here knows as closed for ever the books alone do not tell the sums (PROTOCOL.md X6): the
    auditor, who has the journals, judges them.
    """
    broken = []
    for payer, payee in permutations(towns, 2):
        if minutes := transit_identity(payer, payee):
            broken.append(f"transit:{payee.node} at {payer.node} is {minutes} minutes off its open transfers.")
    for one, other in combinations(towns, 2):
        apart = other.node in one.gone or one.node in other.gone
        if not apart and (minutes := pair_identity(one, other)):
            broken.append(f"The clearing accounts of {one.node} and {other.node} are {minutes} minutes apart.")
    known = {town.node for town in towns}
    if not any(town.gone & known for town in towns) and (minutes := network_identity(towns)):
        broken.append(f"The network's balances and transfers under way sum to {minutes} minutes, not to 0.")
    return broken
