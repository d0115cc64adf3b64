"""What every report lists, right or not: acts of people in charge, and minutes that nobody but a rule confirmed.

Nothing here is a fault. A reader of the accounts asks about these first.
Source: design page 5, "Always listed".
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e

LISTED_MAX: Final = 20
"""Entries that are listed of each kind and town; all are counted."""

PURPOSES: Final = frozenset({"correction", "grant"})
UNCONFIRMED: Final = frozenset({"rule", "none"})
_KINDS: Final[dict[type[e.Entry], str]] = {
    e.TransferReversed: "reversal",
    e.PeerFrozen: "stream frozen as evidence",
    e.PeerThawed: "stream thawed by an operator",
}


class Listed(NamedTuple):
    """An entry that is listed."""

    kind: str
    position: int
    minutes: int


class Listing:
    """One town's list."""

    def __init__(self) -> None:
        self.entries: list[Listed] = []
        self.counts: Counter[str] = Counter()
        self.minutes: Counter[str] = Counter()

    def posted(self, entry: e.TransferPosted) -> None:
        """A local transfer whose purpose is in `PURPOSES` or whose confirmation is in `UNCONFIRMED`."""
        data = entry.data
        if data.purpose in PURPOSES:
            self._add(data.purpose, entry)
        if data.confirmed_by in UNCONFIRMED:
            self._add(f"confirmed by {'a rule' if data.confirmed_by == 'rule' else 'nobody'}", entry)

    def other(self, entry: e.Entry) -> None:
        """Any other entry."""
        kind = _KINDS.get(type(entry))
        if kind is not None:
            self._add(kind, entry)

    def _add(self, kind: str, entry: e.Entry) -> None:
        postings = [] if entry.postings is UNSET else entry.postings
        minutes = sum(moved for _, moved in postings if moved > 0)
        self.counts[kind] += 1
        self.minutes[kind] += minutes
        if self.counts[kind] <= LISTED_MAX:
            self.entries.append(Listed(kind, entry.n, minutes))
