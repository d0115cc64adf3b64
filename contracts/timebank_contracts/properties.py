"""The properties P1 to P8, one function each: what simulation, auditor and runtime check hold a town to.

Every function is pure and returns sentences, empty when the property holds. P1, P7 and P8 are about books; P2 about a
journal's bytes; P3, P4 and P6 about what journals say to each other, which `Told` gathers entry by entry and without
`apply`; P5 about one entry and any books that were kept of its journal, `apply`'s or another's.
The auditor judges P3 to P6 with `apply` itself, in its own bounded memory, and shares P1 and P7; at runtime a ledger
judges P1 and P8's count when it keeps a snapshot, away from the writer.
Source: design page 6; PROTOCOL.md I1 to I8, S3, S7, T5 to T7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import UNSET, Raw

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.cut import TownAtCut, broken_identities, note_decision
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.names import parse_transfer
from timebank_contracts.state import Book

CEILINGS_TESTED = (e.TransferPosted, e.TransferReceived)
FLOORS_TESTED = (e.TransferPosted, e.TransferSent, e.TransferReversed)


@dataclass(slots=True)
class Told:
    """What one journal said and heard: grows by its messages, its keys and its transfers between towns."""

    node: str
    generation: str = "g1"
    keys: set[str] = field(default_factory=set)
    sent: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    """Our generation and the peer → messages written to it, or recovered, in order."""
    taken: dict[str, int] = field(default_factory=dict)
    """Peer → how many messages of its present generation were applied."""
    generations: dict[str, str] = field(default_factory=dict)
    """Peer → its present generation."""
    frozen: set[str] = field(default_factory=set)
    """Peers whose streams stand still, for a breach."""
    closed: set[str] = field(default_factory=set)
    """Peers that the registry closed for ever."""
    decisions: dict[str, bool] = field(default_factory=dict)
    """Transfers of peers → received (True) or rejected."""
    outcomes: dict[str, bool] = field(default_factory=dict)
    """Own transfers → settled (True) or returned."""
    forced: set[str] = field(default_factory=set)
    """Transfers of peers whose decision was recovered, and is still to be carried out."""
    lost: dict[str, bool] = field(default_factory=dict)
    """What `decisions` held of it in entries that were lost: a peer may have heard it."""

    def note(self, entry: e.Entry) -> None:
        """Take in the journal's next entry, after it was judged."""
        if isinstance(entry.key, str):
            self.keys.add(entry.key)
        if isinstance(entry, e.NodeOpened):
            self.generation = entry.data.generation
        if isinstance(entry, e.PeerChanged):
            peer = entry.data.peer
            if self.generations.get(peer, entry.data.generation) != entry.data.generation:
                self.taken[peer] = 0
                self.frozen.discard(peer)
            self.generations[peer] = entry.data.generation
            if entry.data.state == "closed":
                self.closed.add(peer)
        if isinstance(entry, e.PeerFrozen):
            self.frozen.add(entry.data.peer)
        if isinstance(entry, e.PeerThawed):
            self.frozen.discard(entry.data.peer)
        if isinstance(entry, e.MessageRecoveredEntry):
            self._recall(entry)
        elif entry.in_ is not UNSET:
            peer = str(entry.by.id)
            self.taken[peer] = self.taken.get(peer, 0) + 1
        if entry.out is not UNSET:
            self.sent.setdefault((self.generation, _receiver(entry.out)), []).append(bytes(entry.out))
        note_decision(self.decisions, entry)
        if isinstance(entry, e.TransferReceived | e.TransferRejected):
            self.forced.discard(entry.data.transfer)
        if isinstance(entry, e.TransferSettled | e.TransferReturned):
            self.outcomes[entry.data.transfer] = isinstance(entry, e.TransferSettled)

    def _recall(self, entry: e.MessageRecoveredEntry) -> None:
        assert entry.in_ is not UNSET, "the rules demand it"
        message = m.decode_message(bytes(entry.in_))
        stream = self.sent.setdefault((m.generation_in(message), message.subject), [])
        if m.position_in(message) == len(stream) + 1:
            stream.append(bytes(entry.in_))
        if isinstance(message, m.TransferReceivedMessage | m.TransferRejectedMessage):
            self.forced.add(message.data.transfer)


def _receiver(raw: Raw) -> str:
    return m.decode_message(bytes(raw)).subject


class AccountLike(Protocol):
    """What P5 reads of an account; quantities in minutes."""

    floor: int
    ceiling: int
    balance: int
    in_transit: int
    state: str


class PeerLike(Protocol):
    """What P5 reads of a peer; limits in minutes."""

    @property
    def peer(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def owe_limit(self) -> int: ...
    @property
    def owed_limit(self) -> int: ...


def conserved(book: Book) -> list[str]:
    """P1 within a town: its sums, its transit accounts, its debt. O(accounts + open transfers)."""
    return broken_invariants(book)


def conserved_between(towns: Sequence[TownAtCut]) -> list[str]:
    """P1 between towns, at a consistent cut: each pair's identity, and the network's sum."""
    return broken_identities(towns)


def nothing_lost(acknowledged: Mapping[int, bytes], journal: Sequence[bytes]) -> list[str]:
    """P2: every entry that somebody was answered with stands where it stood.

    Args:
        acknowledged: journal position → the entry's bytes.
        journal: the entries' bytes, from the first.
    """
    return [
        f"Entry {position} is lost, which was acknowledged."
        for position, raw in acknowledged.items()
        if position >= len(journal) or journal[position] != raw
    ]


def applied_once(told: Told, entry: e.Entry) -> list[str]:
    """P3: the next entry is the only effect of its key, and of its position in a peer's stream."""
    found = []
    if isinstance(entry.key, str) and entry.key in told.keys:
        found.append(f"{told.node} has two entries of one key.")
    if entry.in_ is not UNSET and not isinstance(entry, e.MessageRecoveredEntry):
        peer = str(entry.by.id)
        position, said = told.taken.get(peer, 0) + 1, m.decode_message(bytes(entry.in_)).id
        if said != m.message_id(told.node, told.generations.get(peer, "g1"), position):
            found.append(f"{told.node} applied {said} as message {position} of {peer}.")
    return found


def one_outcome(told: Told, entry: e.Entry, others: Mapping[str, Told]) -> list[str]:
    """P4: the next entry decides or ends a transfer for the first time, and as the payee's town decided.

    Args:
        told: what the entry's journal said before it.
        entry: the next one.
        others: node → what each journal said; a town that is not among them is not asked.
    """
    if isinstance(entry, e.TransferReceived | e.TransferRejected):
        before = told.decisions.get(entry.data.transfer)
        if entry.data.transfer in told.forced:
            same = before is isinstance(entry, e.TransferReceived)
            return [] if same else [f"{entry.data.transfer} was decided otherwise before state was lost."]
        return [] if before is None else [f"{entry.data.transfer} was decided twice."]
    if not isinstance(entry, e.TransferSettled | e.TransferReturned):
        return []
    transfer = entry.data.transfer
    payee = parse_transfer(transfer).peer or ""
    if transfer in told.outcomes:
        return [f"{transfer} ended twice."]
    if entry.in_ is UNSET:
        # When the payee's town was closed for ever, what it decided is nobody's any more.
        return [] if payee in told.closed else [f"{transfer} was returned, and {payee} may still decide."]
    settled = isinstance(entry, e.TransferSettled)
    decided = others[payee].decisions.get(transfer, others[payee].lost.get(transfer)) if payee in others else settled
    if decided is not settled:
        return [f"{transfer} ended otherwise than {payee} decided."]
    return []


def within_limits(
    entry: e.Entry, accounts: Mapping[str, AccountLike], peers: Mapping[str, PeerLike], *, debt_limit: int
) -> list[str]:
    """P5: an entry passed no limit in force at its position. O(postings), and O(peers) for a transfer that is sent.

    Args:
        entry: the last one of the books.
        accounts: after the entry, with `clearing:` and `transit:` of every peer.
        peers: as the last `peer.changed` of each said.
        debt_limit: the town's limit of its debt to all peers, in minutes.
    """
    if entry.postings is UNSET or isinstance(entry, e.AccountClosed):
        return []  # What a leaver leaves goes with the account that closes.
    found = []
    for name, minutes in entry.postings:
        if ":" not in name:
            found += _passed(entry, name, accounts[name], minutes)
    if isinstance(entry, e.TransferSent):
        peer, owed = peers[entry.data.peer], _debt(accounts, entry.data.peer)
        total = sum(max(0, _debt(accounts, name)) for name in peers)
        if peer.state != "open":
            found.append(f"{peer.peer} is {peer.state}.")
        if owed > peer.owe_limit:
            found.append(f"{owed} minutes are owed to {peer.peer}, the limit is {peer.owe_limit}.")
        if total > debt_limit:
            found.append(f"{total} minutes are owed to all peers, above the limit.")
    elif isinstance(entry, e.TransferReceived):
        peer = peers[str(entry.by.id)]
        owes = -accounts[f"clearing:{peer.peer}"].balance
        if peer.state != "open" or owes > peer.owed_limit:
            found.append(f"{peer.peer} is {peer.state} and owes {owes} minutes, the limit is {peer.owed_limit}.")
    return found


def validly_caused(told: Told, entry: e.Entry, others: Mapping[str, Told]) -> list[str]:
    """P6: what the next entry applied of a peer is what that peer's journal wrote at this position.

    Args:
        told: what the entry's journal said before it.
        entry: the next one.
        others: node → what each journal said; none but these can have written anything.
    """
    if entry.in_ is UNSET or isinstance(entry, e.MessageRecoveredEntry):
        return []
    peer = str(entry.by.id)
    if peer in told.frozen:
        return [f"{told.node} applied a message of {peer}, whose stream is frozen."]
    position = told.taken.get(peer, 0) + 1
    stream = (told.generations.get(peer, "g1"), told.node)
    wrote = others[peer].sent.get(stream, []) if peer in others else []
    if len(wrote) >= position and wrote[position - 1] == bytes(entry.in_):
        return []
    return [f"{told.node} applied as message {position} of {peer} what {peer} did not write."]


def replays_alike(book: Book, again: Book, roots: Iterable[bytes]) -> list[str]:
    """P7: a replay from the first entry gives this book, and the tree's root by every way.

    Args:
        book: the one in use.
        again: the replay's.
        roots: of the tree in use, of the replay's, and of any other that should be equal.
    """
    same = book == again and len(set(roots)) == 1
    return [] if same else ["A replay gives another book or root."]


def ended(books: Iterable[Book]) -> list[str]:
    """P8, some time after healing: no transfer is open."""
    return [
        f"{len(book.open_transfers)} transfers of {book.me.node} are open." for book in books if book.open_transfers
    ]


def _passed(entry: e.Entry, name: str, account: AccountLike, minutes: int) -> list[str]:
    if account.state == "closed":
        return [f"{name} is closed."]
    found = []
    if isinstance(entry, FLOORS_TESTED) and minutes < 0:
        if account.balance < account.floor:
            found.append(f"{name} stands at {account.balance}, below its floor {account.floor}.")
        if account.state != "open" and not isinstance(entry, e.TransferReversed):
            found.append(f"{name} is {account.state} and was debited.")
    top = account.balance + account.in_transit
    if isinstance(entry, CEILINGS_TESTED) and minutes > 0 and top > account.ceiling:
        found.append(f"{name} stands at {top}, above its ceiling {account.ceiling}.")
    return found


def _debt(accounts: Mapping[str, AccountLike], peer: str) -> int:
    return accounts[f"clearing:{peer}"].balance + accounts[f"transit:{peer}"].balance
