"""The sums between towns at the greatest consistent cut: what each pair owes, and the minutes of the whole network.

Classes of a town's open transfers to a peer, in minutes: W undecided there, U received there and not settled here,
R rejected there and not returned here. And P parted: credited there, and given back here by rule, because the registry
closed that town for ever.

    pair       clearing[B] at A + clearing[A] at B + U(A to B) + U(B to A) + P(A to B) + P(B to A) = 0
    network    all balances of all towns, without clearing and transit, + W + R − P of every ordered pair = 0

Source: design page 2, "Signs, limits, identities"; PROTOCOL.md I3, I4, X6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timebank_audit.findings import Findings
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.state import Book


class Classes(NamedTuple):
    """A town's open transfers to one peer at the cut, in minutes."""

    undecided: int = 0
    """W."""
    received: int = 0
    """U."""
    rejected: int = 0
    """R."""
    parted: int = 0
    """P."""


class Pair(NamedTuple):
    """Two towns at the cut, in minutes; `clearing` > 0: this side owes the other."""

    one: str
    other: str
    one_clearing: int
    other_clearing: int
    one_open: Classes
    other_open: Classes
    forced: int = 0
    """Credited before a town lost state, and not yet credited again by its journal: it will, whatever else comes."""

    @property
    def difference(self) -> int:
        """0 when the two sides agree."""
        parted = self.one_open.parted + self.other_open.parted
        received = self.one_open.received + self.other_open.received
        return self.one_clearing + self.other_clearing - self.forced + received + parted


def forced_minutes(book: Book, peer: str) -> int:
    """Minutes of transfers from a peer that the town credited before it lost state, and is still to credit again."""
    found = (one.minutes for one in book.forced.values() if one.peer == peer and one.outcome == "received")
    return sum(found)


def classify(payer: Town, payee: Town, book: Book, *, payee_book: Book, payer_end: int, payee_end: int) -> Classes:
    """The classes of the payer's open transfers to the payee.

    Args:
        payer: the town that sent them.
        payee: the town that decides them.
        book: the payer's book at the cut.
        payee_book: the payee's book at the cut.
        payer_end: the payer's number of entries within the cut.
        payee_end: the payee's number of entries within the cut.
    """
    minutes = [0, 0, 0]
    for transfer, found in book.open_transfers.items():
        if found.peer == payee.node:
            minutes[_class_of(payer, payee, payee_book, transfer, payee_end)] += found.minutes
    parted = sum(
        back.minutes
        for back in payer.replay.given_up
        if back.peer == payee.node
        and back.position < payer_end
        and _class_of(payer, payee, payee_book, back.transfer, payee_end) == _RECEIVED
    )
    undecided, received, rejected = minutes
    return Classes(undecided, received, rejected, parted)


_RECEIVED = 1


def _class_of(payer: Town, payee: Town, payee_book: Book, transfer: str, end: int) -> int:
    decided = payee.decision(payer.node, transfer, end)
    if decided is not None:
        return _RECEIVED if isinstance(decided, e.TransferReceived) else 2
    forced = payee_book.forced.get(transfer)
    if forced is not None:
        return _RECEIVED if forced.outcome == "received" else 2
    return 0


def clearing_balance(book: Book, peer: str) -> int:
    """Minutes that the town owes the peer by its clearing account."""
    return book.peers[peer].clearing.balance if peer in book.peers else 0


def judge_pair(pair: Pair, findings: Findings) -> None:
    """A46: the pair identity."""
    findings.examine("A46")
    if pair.difference:
        findings.add(
            "A46",
            town=pair.one,
            place=f"{pair.one} and {pair.other} at the cut",
            expected="clearing of both sides and received transfers under way sum to 0 minutes",
            found=f"{pair.one_clearing} + {pair.other_clearing} + {pair.one_open.received} + "
            f"{pair.other_open.received} - {pair.forced} = {pair.difference} minutes",
        )


def judge_network(books: dict[str, Book], pairs: Sequence[Pair], findings: Findings) -> None:
    """A47: the network identity; every town and every pair of it must be given."""
    findings.examine("A47", len(books))
    held = sum(
        account.balance
        for book in books.values()
        for account in book.accounts.values()
        if account.kind not in ("clearing", "transit")
    )
    held += sum(pair.forced for pair in pairs)
    under_way = sum(c.undecided + c.rejected - c.parted for pair in pairs for c in (pair.one_open, pair.other_open))
    if held + under_way:
        findings.add(
            "A47",
            town="",
            place="all towns at the cut",
            expected="all balances and all minutes under way sum to 0 minutes",
            found=f"{held} + {under_way} = {held + under_way} minutes",
        )
