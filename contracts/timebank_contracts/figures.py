"""Figures: what a book adds up to. Pure functions, used alike by the ledger, the demo, the console and the auditor.

Every quantity is in minutes. A balance above 0 is what the town owes the holder.
Source: design page 2, "Signs, limits, identities"; page 3, "What people do with it".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from timebank_contracts.moments import parse_time
from timebank_contracts.state import Book

WARNING_PERCENT: Final = 80
"""Of a limit, from which on it is said that the limit is near."""


class KindRow(NamedTuple):
    """The accounts of one kind: how many, what the town owes their holders, and what they owe it."""

    kind: str
    accounts: int
    credit: int
    """Sum of the balances above 0."""
    debit: int
    """Sum of the balances below 0, as a number of 0 or more."""


class TrialBalance(NamedTuple):
    """All accounts of a town after its first `entries` entries; `total` is 0 in a sound book."""

    entries: int
    time: str
    rows: list[KindRow]
    credit: int
    debit: int
    total: int


class PositionRow(NamedTuple):
    """Where the town stands with one peer."""

    peer: str
    generation: str
    state: str
    frozen: bool
    clearing: int
    """Above 0: we owe the peer."""
    transit: int
    """Sent to the peer and not yet decided."""
    debt: int
    """Clearing and transit together: what counts against `owe_limit`."""
    owe_limit: int
    owed_limit: int
    open_transfers: int
    oldest_age_seconds: int | None
    """Age of the oldest open transfer; None when there is none."""
    own_limit: int | None
    """The limit that this town sets or agreed itself; None: the network's."""
    suspended_here: bool
    warning: bool
    """`WARNING_PERCENT` of a limit with this peer are used: somebody should talk before it blocks."""


def is_near(used: int, limit: int) -> bool:
    """Whether `WARNING_PERCENT` of a limit are used, both in minutes; of nothing used, never."""
    return used > 0 and 100 * used >= WARNING_PERCENT * limit


def trial_balance(book: Book) -> TrialBalance:
    """Add up a book by kind of account, kinds in alphabetical order; every account is in exactly one row."""
    sums: dict[str, list[int]] = {}
    for account in book.accounts.values():
        row = sums.setdefault(account.kind, [0, 0, 0])
        row[0] += 1
        row[1] += max(0, account.balance)
        row[2] += max(0, -account.balance)
    return make_trial_balance(book.n, book.time, [KindRow(kind, *sums[kind]) for kind in sorted(sums)])


def make_trial_balance(entries: int, time: str, rows: list[KindRow]) -> TrialBalance:
    """The trial balance over these kinds after the first `entries` entries, of which the last is of `time`."""
    credit, debit = sum(row.credit for row in rows), sum(row.debit for row in rows)
    return TrialBalance(entries, time, rows, credit, debit, credit - debit)


def position_rows(book: Book, now: datetime) -> list[PositionRow]:
    """The town's row in the matrix of positions: one element for each peer, in order of name.

    Args:
        book: the town's book.
        now: the moment from which ages are counted, aware.
    """
    counts: dict[str, int] = {}
    oldest: dict[str, str] = {}
    for found in book.open_transfers.values():
        counts[found.peer] = counts.get(found.peer, 0) + 1
        oldest[found.peer] = min(oldest.get(found.peer, found.sent_at), found.sent_at)
    rows = []
    for name in sorted(book.peers):
        peer = book.peers[name]
        age = None if name not in oldest else max(0, int((now - parse_time(oldest[name])).total_seconds()))
        rows.append(
            PositionRow(
                peer=name,
                generation=peer.generation,
                state=peer.state,
                frozen=peer.frozen,
                clearing=peer.clearing.balance,
                transit=peer.transit.balance,
                debt=peer.debt,
                owe_limit=peer.owe_limit,
                owed_limit=peer.owed_limit,
                open_transfers=counts.get(name, 0),
                oldest_age_seconds=age,
                own_limit=peer.own_limit,
                suspended_here=peer.suspended_here,
                warning=is_near(peer.debt, peer.owe_limit) or is_near(-peer.clearing.balance, peer.owed_limit),
            )
        )
    return rows
