"""What must hold after every entry: used by the runtime check, the simulation, the tests and the auditor.

Source: design page 2, "Signs, limits, identities"; PROTOCOL.md I1 to I4.
"""

from __future__ import annotations

from collections import Counter

from timebank_contracts.state import Book


def broken_invariants(book: Book) -> list[str]:
    """Sentences about each invariant that the book breaks; empty for a sound book. O(accounts + open transfers)."""
    broken = []
    total = sum(account.balance for account in book.accounts.values())
    if total:
        broken.append(f"The balances of the town sum to {total} minutes, not to 0.")
    under_way: Counter[str] = Counter()
    by_payer: Counter[str] = Counter()
    for found in book.open_transfers.values():
        under_way[found.peer] += found.minutes
        by_payer[found.payer] += found.minutes
    for name, peer in book.peers.items():
        if peer.transit.balance != under_way[name]:
            broken.append(
                f"transit:{name} holds {peer.transit.balance} minutes, its open transfers {under_way[name]} minutes."
            )
        if peer.heard > peer.outgoing.n:
            broken.append(f"{name} heard {peer.heard} messages of {peer.outgoing.n}.")
    for account in book.accounts.values():
        if account.in_transit != by_payer[account.account]:
            broken.append(
                f"{account.account} has {account.in_transit} minutes in transit, sent {by_payer[account.account]}."
            )
    debt = sum(max(0, peer.debt) for peer in book.peers.values())
    if debt != book.debt:
        broken.append(f"The town owes its peers {debt} minutes, the book says {book.debt}.")
    return broken
