"""The books of a town as they were: after so many entries, or at the end of a day.

Source: design page 5, `replay --as-of`; design page 3, "What people do with it".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts.days import end_of_day, first_position, read_day
from timebank_contracts.errors import Malformed
from timebank_contracts.figures import PositionRow, TrialBalance, position_rows, trial_balance
from timebank_contracts.moments import parse_time
from timebank_contracts.state import Book

_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


class Books(NamedTuple):
    """What a town's books said then; quantities in minutes."""

    town: str
    trial: TrialBalance
    positions: list[PositionRow]
    balances: list[tuple[str, str, int]]
    """Account, kind, balance; in order of account."""


def position_of(town: Town, text: str, zone: ZoneInfo) -> int:
    """How many entries there were then.

    Args:
        town: audited, replayed to its end.
        text: a number of entries, or a day such as 2026-03-31, whose end is meant.
        zone: the town's.

    Raises:
        Malformed: neither, or more entries than there are.
    """
    if _POSITION.fullmatch(text):
        if int(text) > town.size:
            raise Malformed(f"{town.node} has {town.size} entries; name as many or fewer.")
        return int(text)
    moment = end_of_day(read_day(text), zone)
    return first_position(moment, length=town.size, time_at=lambda at: e.decode_entry(town.entries[at]).time)


def books_at(town: Town, position: int) -> Books:
    """The books after the first `position` entries."""
    book = town.book(position)
    return Books(town.node, trial_balance(book), _positions(book), _balances(book))


def _positions(book: Book) -> list[PositionRow]:
    return position_rows(book, parse_time(book.time)) if book.time else []


def _balances(book: Book) -> list[tuple[str, str, int]]:
    return [(name, book.accounts[name].kind, book.accounts[name].balance) for name in sorted(book.accounts)]
