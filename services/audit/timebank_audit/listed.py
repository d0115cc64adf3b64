"""What every report lists, right or not: acts of people in charge, and minutes that nobody but a rule confirmed.

Nothing here is a fault. A reader of the accounts asks about these first. Money is listed beside them, by currency and
kind, and is never added to minutes.
Source: design page 5, "Always listed".
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e

LISTED_MAX: Final = 20
"""Entries that are listed of each kind and town; all are counted."""
MONEY_MAX: Final = 100
"""Pairs of currency and kind of which money is added up, a town."""

PURPOSES: Final = frozenset({"correction", "grant"})
UNCONFIRMED: Final = frozenset({"rule", "none"})
KINDS: Final[dict[type[e.Entry], str]] = {
    e.TransferReversed: "reversal",
    e.ClaimUpheld: "dispute overruled: the claim upheld",
    e.PeerFrozen: "stream frozen as evidence",
    e.PeerThawed: "stream thawed by an operator",
    e.SegmentRecoveredEntry: "recovered from a peer: a segment",
    e.MessageRecoveredEntry: "recovered from a peer: a message",
    e.StreamRecoveredEntry: "recovered from a peer: how far it heard",
    e.MessageRepeatedEntry: "said again in a new generation",
    e.PeerGenerationClosed: "generation of a peer closed by the registry",
}


def is_listed(data: e.Posted) -> bool:
    """Whether a local transfer with this data is listed."""
    return data.confirmed_by in UNCONFIRMED or data.purpose in PURPOSES


class Listed(NamedTuple):
    """An entry that is listed."""

    kind: str
    position: int
    minutes: int


class Money(NamedTuple):
    """Records of one kind and currency; what was taken back counts as a record too, below 0."""

    records: int
    minor_units: int
    entries: list[int]


class Listing:
    """One town's list."""

    def __init__(self) -> None:
        self.entries: list[Listed] = []
        self.counts: Counter[str] = Counter()
        self.minutes: Counter[str] = Counter()
        self.money: dict[tuple[str, str], Money] = {}
        """By currency and kind; at most `MONEY_MAX` of them."""
        self.money_unlisted = 0
        """Records of further currencies and kinds."""

    def posted(self, entry: e.TransferPosted) -> None:
        """A local transfer whose purpose is in `PURPOSES` or whose confirmation is in `UNCONFIRMED`."""
        data = entry.data
        if data.purpose in PURPOSES:
            self._add(data.purpose, entry)
        if data.confirmed_by in UNCONFIRMED:
            self._add(f"confirmed by {'a rule' if data.confirmed_by == 'rule' else 'nobody'}", entry)

    def overruled(self, entry: e.TransferPosted | e.TransferSent) -> None:
        """A transfer that confirms a claim while it is disputed."""
        self._add("dispute overruled: the claim confirmed", entry)

    def refund(self, entry: e.TransferSent | e.TransferReceived) -> None:
        """Minutes given back to another town, under way or final; or that came back from one."""
        self._add(f"refund {'to' if isinstance(entry, e.TransferSent) else 'from'} another town", entry)

    def went_on(self, entry: e.NodeOpened) -> None:
        """The entry by which a node that lost state goes on."""
        self._add("state lost: the journal goes on in a new generation", entry)

    def other(self, entry: e.Entry) -> None:
        """Any other entry."""
        kind = KINDS.get(type(entry))
        if kind is not None:
            self._add(kind, entry)
        elif isinstance(entry, e.AccountClosed) and entry.postings is not UNSET:
            self._add(_remainder(entry.postings), entry)
        elif isinstance(entry, e.TransferReturned) and entry.data.registry is not UNSET:
            self._add("returned from a town that the registry closed", entry)
        elif isinstance(entry, e.MoneyRecordedEntry):
            self._add_money(entry)

    def _add_money(self, entry: e.MoneyRecordedEntry) -> None:
        key = (entry.data.currency, entry.data.kind)
        if key not in self.money and len(self.money) == MONEY_MAX:
            self.money_unlisted += 1
            return
        records, minor_units, entries = self.money.get(key, Money(0, 0, []))
        if records < LISTED_MAX:
            entries.append(entry.n)
        self.money[key] = Money(records + 1, minor_units + entry.data.minor_units, entries)

    def _add(self, kind: str, entry: e.Entry) -> None:
        postings = [] if entry.postings is UNSET else entry.postings
        minutes = sum(moved for _, moved in postings if moved > 0)
        self.counts[kind] += 1
        self.minutes[kind] += minutes
        if self.counts[kind] <= LISTED_MAX:
            self.entries.append(Listed(kind, entry.n, minutes))


def _remainder(postings: e.Postings) -> str:
    """What a leaver left: `apply` has seen that it is the whole of it, and whose it may be."""
    (_, minutes), (taker, _) = postings
    if minutes > 0:
        return "leaver's debt borne by the pot"
    return "leaver's minutes to the pot" if taker == "pot" else "leaver's minutes to an account"
