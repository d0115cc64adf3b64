"""Statements: opening + lines = closing, for every kind of account, over any range of the journal.

Sums come from the index, what a line says from its entry. A page balances by itself, and pages join.
Reading order: `period.py` (which range), here, then `reports_csv.py` and `pages.py` (in which form).
Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from timebank_contracts import entries as e
from timebank_contracts.days import local_moment
from timebank_contracts.said import Said, what_is_said
from timebank_kit.journal import Journal
from timebank_ledger.index import Index
from timebank_ledger.index import Line as Row
from timebank_ledger.period import Period

LINES_MAX: Final = 1_000
CHUNK_LINES: Final = 500
"""Lines that a stream of lines holds at a time."""
GAP_ENTRIES_MAX: Final = 16
"""Entries that are read for nothing rather than asked for around: a question costs as much as some entries."""


class Line(NamedTuple):
    """What one entry did to the account; quantities in minutes."""

    position: int
    time: str
    date: str
    """The day in the town's zone."""
    type: str
    minutes: int
    balance: int
    """After the entry."""
    transfer: str | None
    said: Said


class Statement(NamedTuple):
    """One account over a period; quantities in minutes. `rest` is the period that was not covered, if any."""

    account: str
    period: Period
    opening: int
    lines: list[Line]
    closing: int
    rest: Period | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A whole statement whose lines come one by one, so that it may be of any length; quantities in minutes."""

    account: str
    kind: str
    period: Period
    zone: ZoneInfo
    opening: int
    credited: int
    paid: int
    """As a number of 0 or more."""
    lines: Iterator[Line]
    """Each once."""

    @property
    def closing(self) -> int:
        return self.opening + self.credited - self.paid


def make_sheet(index: Index, journal: Journal, account: str, period: Period, *, kind: str, zone: ZoneInfo) -> Sheet:
    """The whole statement of an account over a period; see `make_statement` for the arguments."""
    opening = index.balance_before(account, period.start)
    credited, paid = index.turnover(account, start=period.start, stop=period.stop)
    lines = stream_lines(index, journal, account, period, zone=zone, opening=opening)
    return Sheet(
        account=account,
        kind=kind,
        period=period,
        zone=zone,
        opening=opening,
        credited=credited,
        paid=paid,
        lines=lines,
    )


def make_statement(
    index: Index, journal: Journal, account: str, period: Period, *, zone: ZoneInfo, limit: int = LINES_MAX
) -> Statement:
    """The statement of an account over a period.

    When there are more than `limit` lines, the statement ends before the first that it has no room for, and says what
    is left: each part balances by itself, and the parts join.

    Args:
        index: advanced to the period's end at least.
        journal: that is indexed.
        account: whose.
        period: which positions.
        zone: the town's: it says on which day an entry was written.
        limit: lines in one statement, 1 or more.
    """
    found = index.lines(account, start=period.start, stop=period.stop, limit=limit + 1)
    opening = index.balance_before(account, period.start)
    lines = _with_entries(journal, found[:limit], opening, zone)
    rest = None
    if len(found) > limit:
        at = found[limit].position
        rest = Period(start=at, stop=period.stop, first_day=period.first_day, last_day=period.last_day)
        period = Period(start=period.start, stop=at, first_day=period.first_day, last_day=period.last_day)
    closing = lines[-1].balance if lines else opening
    return Statement(account=account, period=period, opening=opening, lines=lines, closing=closing, rest=rest)


def stream_lines(
    index: Index, journal: Journal, account: str, period: Period, *, zone: ZoneInfo, opening: int
) -> Iterator[Line]:
    """All lines of an account over a period, however many, holding `CHUNK_LINES` of them at a time."""
    start, balance = period.start, opening
    while found := index.lines(account, start=start, stop=period.stop, limit=CHUNK_LINES):
        lines = _with_entries(journal, found, balance, zone)
        yield from lines
        start, balance = lines[-1].position + 1, lines[-1].balance


def _with_entries(journal: Journal, found: Sequence[Row], opening: int, zone: ZoneInfo) -> list[Line]:
    entries = _entries_at(journal, [line.position for line in found])
    lines, balance = [], opening
    for line in found:
        balance += line.minutes
        lines.append(
            Line(
                position=line.position,
                time=line.time,
                date=str(local_moment(line.time, zone).date()),
                type=line.type,
                minutes=line.minutes,
                balance=balance,
                transfer=line.transfer,
                said=what_is_said(entries[line.position]),
            )
        )
    return lines


def _entries_at(journal: Journal, positions: Sequence[int]) -> dict[int, e.Entry]:
    """The entries at these positions, which are in order: neighbours are read together."""
    wanted = set(positions)
    found: dict[int, e.Entry] = {}
    first = 0
    for at, position in enumerate(positions):
        if at + 1 < len(positions) and positions[at + 1] - position <= GAP_ENTRIES_MAX:
            continue
        start = positions[first]
        for record in journal.read(start, position - start + 1):
            if record.position in wanted:
                found[record.position] = e.decode_entry(record.state)
        first = at + 1
    return found
