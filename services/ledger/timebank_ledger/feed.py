"""The event feed: what happened, in the order of the journal, for somebody who may see the whole town or some accounts.

An event is an entry as its reader may see it. It is never stored: the index says at which positions an entry concerns
an account, and the entry is read there. The cursor is a position of the journal, so it outlives restarts and rebuilds.
Pure over the index and the journal. Source: design page 3, "HTTP API"; page 1, "Nothing is stored twice as truth".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.names import Identity, local_transfer
from timebank_kit.journal import Journal
from timebank_ledger.index import Index, Line
from timebank_ledger.index_rows import Earlier, accounts_of, transfer_of

EVENTS_MAX: Final = 500
LINES_MAX: Final = 4_096
"""Lines in one page: an entry has up to 256, so that a page always has room for one."""
WINDOW_ENTRIES: Final = 65_536
"""The index is asked for so many entries at a time: what it sorts for an account with much history is bounded."""
WINDOWS_MAX: Final = 64
STRETCH_ENTRIES: Final = 256
"""Entries that are held in memory at a time."""
GAP_ENTRIES_MAX: Final = 16
"""Entries that are read for nothing between two that are wanted, rather than asking the journal twice."""


class Event(NamedTuple):
    """One entry, for one reader; `accounts` are those that the reader may see, with the minutes of each."""

    id: str
    position: int
    time: str
    type: str
    transfer: str | None
    claim: str | None
    accounts: list[tuple[str, int]]


class Page(NamedTuple):
    """Events after a cursor; `after` is the cursor of the next page, `more` whether it is known to have any."""

    events: list[Event]
    after: int
    more: bool


def event_id(identity: Identity, position: int) -> str:
    """The id of the event at a position: the same for every reader, and without a full stop, as webhooks demand."""
    return f"evt-{identity.node}-{identity.generation}-{position}"


def make_page(
    index: Index,
    journal: Journal,
    *,
    accounts: Collection[str] | None,
    after: int,
    stop: int,
    limit: int,
    window_entries: int = WINDOW_ENTRIES,
    lines_max: int = LINES_MAX,
) -> Page:
    """The events of some accounts, or of the whole town, after a position.

    A page may be empty before the end of the journal: then `more` is true, and following its cursor goes on.

    Args:
        index: advanced to `stop` at least.
        journal: what the index is of.
        accounts: whose events; None for every entry of the town.
        after: the last position that the reader has seen; −1 for none.
        stop: the first position that is not looked at.
        limit: events in a page, 1 to `EVENTS_MAX`.
        window_entries: for how many entries at a time the index is asked.
        lines_max: lines in a page, as many as an entry has at most, or more.
    """
    assert 0 < limit <= EVENTS_MAX
    start = after + 1
    if start >= stop:
        return Page([], after, more=False)
    if accounts is None:
        entries = _entries(journal, range(start, min(stop, start + limit)))
        events = [_town_event(index.identity_at(entry.n), entry, index.earlier) for entry in entries]
        reached = start + len(events)
    else:
        found, reached = _lines(
            index, accounts, start=start, stop=stop, limit=limit, window_entries=window_entries, lines_max=lines_max
        )
        entries = _entries(journal, [lines[0][1].position for lines in found])
        events = [_event(index.identity_at(entry.n), entry, lines) for entry, lines in zip(entries, found, strict=True)]
    return Page(events, reached - 1, more=reached < stop)


def _lines(
    index: Index,
    accounts: Collection[str],
    *,
    start: int,
    stop: int,
    limit: int,
    window_entries: int,
    lines_max: int,
) -> tuple[list[list[tuple[str, Line]]], int]:
    """Lines of accounts by entry, for up to `limit` entries, and the first position that was not looked at."""
    # An entry has one line for an account at most, so these are enough for as many entries as are wanted.
    lines_max = min(lines_max, limit * len(accounts))
    for _ in range(WINDOWS_MAX):
        end = min(stop, start + window_entries)
        lines = index.lines_of(accounts, start=start, stop=end, limit=lines_max + 1)
        if len(lines) > lines_max:
            # The last entry may have more lines than those: it begins the next page.
            end = lines[-1][1].position
        whole = (line for line in lines if line[1].position < end)
        found = [list(group) for _, group in groupby(whole, key=lambda line: line[1].position)]
        if len(found) > limit:
            end = found[limit][0][1].position
        if found or end == stop:
            return found[:limit], end
        start = end
    return [], start


def _entries(journal: Journal, positions: Sequence[int]) -> Iterator[e.AnyEntry]:
    """The entries at positions that grow, read in as few stretches as the gaps allow."""
    at = 0
    while at < len(positions):
        end = at + 1
        first = positions[at]
        stop = first + STRETCH_ENTRIES
        while end < len(positions) and positions[end] < min(stop, positions[end - 1] + GAP_ENTRIES_MAX):
            end += 1
        records = journal.read(first, positions[end - 1] - first + 1)
        yield from (e.decode_entry(records[position - first].state) for position in positions[at:end])
        at = end


def _event(identity: Identity, entry: e.AnyEntry, lines: Sequence[tuple[str, Line]]) -> Event:
    return Event(
        id=event_id(identity, entry.n),
        position=entry.n,
        time=entry.time,
        type=e.entry_type(entry),
        transfer=lines[0][1].transfer,
        claim=_claim(identity, entry),
        accounts=[(account, line.minutes) for account, line in lines],
    )


def _town_event(identity: Identity, entry: e.AnyEntry, earlier: Earlier) -> Event:
    """The event for somebody who may see everything."""
    message = None if entry.out is UNSET else m.decode_message(bytes(entry.out))
    return Event(
        id=event_id(identity, entry.n),
        position=entry.n,
        time=entry.time,
        type=e.entry_type(entry),
        transfer=transfer_of(identity, entry, message),
        claim=_claim(identity, entry),
        accounts=sorted(accounts_of(entry, earlier).items()),
    )


def _claim(identity: Identity, entry: e.AnyEntry) -> str | None:
    """Id of the claim that an entry makes, ends or confirms."""
    if e.entry_type(entry) == "claim.made":
        return local_transfer(identity, entry.n)
    named: Any = getattr(entry.data, "claim", UNSET)
    return None if named is UNSET else str(named)
