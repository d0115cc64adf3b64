"""The journal as plain text accounting (hledger), in pieces: accounts, what was before, entries, and what must be then.

The transactions come from the journal, the balances at the end from the index: who checks the text checks one with the
other. Source: design page 3, "What people do with it"; `timebank_contracts/plaintext.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import UNSET

from timebank_contracts import messages as m
from timebank_contracts import plaintext as text
from timebank_contracts.days import local_moment
from timebank_contracts.entry_reader import EntryReader
from timebank_kit.journal import Journal
from timebank_ledger.index import Index, Standing
from timebank_ledger.index_rows import transfer_of
from timebank_ledger.period import Period
from timebank_ledger.replay import read_entry

CHUNK_ENTRIES: Final = 512
CHUNK_ACCOUNTS: Final = 1_000


def journal_text(index: Index, journal: Journal, period: Period, *, zone: ZoneInfo) -> Iterator[str]:
    """The entries of a period as a journal of hledger; memory grows with the number of accounts alone.

    Args:
        index: advanced to the period's end at least.
        journal: that is indexed.
        period: which positions; what was before stands in one transaction in front.
        zone: the town's.
    """
    yield text.show_start(origin=index.identity_at(period.stop).origin, zone=zone, start=period.start, stop=period.stop)
    names: dict[str, str] = {}
    for standings in _pages(index, period.stop):
        some = {one.account: text.account_name(one.account, one.kind) for one in standings}
        names |= some
        yield text.show_accounts(some.values())
    day = partial(_day_of, journal, zone)
    if period.start:
        opening = _balances(index, period.start, names, text.opening_posting, only_moved=True)
        yield from text.show_balances(
            day(period.start - 1), position=period.start, what="opening balances", postings=opening
        )
    yield from _entries(index, journal, period, zone, names)
    if period.stop:
        closing = _balances(index, period.stop, names, text.closing_posting, only_moved=False)
        yield from text.show_balances(day(period.stop - 1), position=period.stop, what="balances", postings=closing)


def _pages(index: Index, position: int) -> Iterator[list[Standing]]:
    after = ""
    while standings := index.standings(position, after=after, limit=CHUNK_ACCOUNTS):
        yield standings
        after = standings[-1].account


def _balances(
    index: Index, position: int, names: dict[str, str], show: Callable[[str, int], str], *, only_moved: bool
) -> Iterator[str]:
    for standings in _pages(index, position):
        postings = [show(names[one.account], one.balance) for one in standings if one.balance or not only_moved]
        if postings:
            yield "".join(postings)


def _entries(index: Index, journal: Journal, period: Period, zone: ZoneInfo, names: dict[str, str]) -> Iterator[str]:
    reader = EntryReader()
    start = period.start
    while start < period.stop:
        records = journal.read(start, min(CHUNK_ENTRIES, period.stop - start))
        assert records, "the journal has this many entries"
        shown = []
        for entry in reader.read([record.state for record in records]):
            message = None if entry.out is UNSET else m.decode_message(bytes(entry.out))
            transfer = transfer_of(index.identity_at(entry.n), entry, message)
            shown.append(text.show_entry(entry, transfer=transfer, zone=zone, names=names))
        yield "".join(shown)
        start += len(records)


def _day_of(journal: Journal, zone: ZoneInfo, position: int) -> str:
    entry = read_entry(journal, position)
    assert entry is not None, "the journal has this many entries"
    return str(local_moment(entry.time, zone).date())
