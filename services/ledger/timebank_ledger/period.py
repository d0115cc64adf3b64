"""Periods: from days, positions or a cursor to the range of journal positions that a report covers.

Entries are in order of time, so a range of days is a range of positions: everything that is reported stands on those.
Source: design page 3, "What people do with it"; `timebank_contracts/days.py`.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from timebank_contracts.canonical import INTEGER_MAX
from timebank_contracts.days import end_of_day, first_position, read_day, start_of_day
from timebank_contracts.errors import Malformed
from timebank_kit.journal import Journal
from timebank_ledger.replay import read_entry

CURSOR_CHARACTERS_MAX: Final = 120


class WrongPeriod(Malformed):
    """What was asked is no period; the text begins with the field's name."""


class WrongCursor(WrongPeriod):
    """The cursor is none that this ledger gave for such a journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Journal positions `start` to `stop` − 1, and the days that were asked for, if days were."""

    start: int
    stop: int
    first_day: str | None = None
    last_day: str | None = None

    def cursor(self) -> str:
        """An opaque text that `read_cursor` reads."""
        text = f"{self.start}.{self.stop}.{self.first_day or ''}.{self.last_day or ''}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *, length: int) -> Period:
    """The period in a cursor.

    Raises:
        WrongCursor: the text is none that this ledger gave for a journal of this length.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        start, stop, first_day, last_day = raw.split(".")
        found = Period(start=_position(start), stop=_position(stop), first_day=_day(first_day), last_day=_day(last_day))
    except ValueError as error:
        raise WrongCursor("cursor: send `next` of the page before, unchanged.") from error
    if not found.start <= found.stop <= length:
        raise WrongCursor("cursor: it belongs to another journal; ask for the first page again.")
    return found


def _position(text: str) -> int:
    if not (text.isdecimal() and len(text) <= len(str(INTEGER_MAX))):
        raise Malformed("A position is a whole number.")
    return int(text)


def _day(text: str) -> str | None:
    return str(read_day(text)) if text else None


def make_period(
    journal: Journal,
    *,
    length: int,
    zone: ZoneInfo,
    first_day: str | None,
    last_day: str | None,
    start: int | None,
    stop: int | None,
) -> Period:
    """The period between two days, or two positions, or one of each; by default the whole journal.

    Args:
        journal: asked for times of entries.
        length: how many of its entries are looked at.
        zone: the town's.
        first_day: the first day that belongs to it.
        last_day: the last day that belongs to it.
        start: the first position that belongs to it.
        stop: the first position that does not any more.

    Raises:
        WrongPeriod: an end is given twice, or the ends are in the wrong order.
    """
    if first_day is not None and start is not None:
        raise WrongPeriod("from: say `from` or `from_position`, not both.")
    if last_day is not None and stop is not None:
        raise WrongPeriod("to: say `to` or `to_position`, not both.")
    if first_day is not None and last_day is not None and first_day > last_day:
        raise WrongPeriod("to: the last day is before the first.")
    if start is not None and stop is not None and start > stop:
        raise WrongPeriod("to_position: it is before `from_position`.")
    if last_day is not None:
        stop = position_of(journal, end_of_day(read_day(last_day), zone), length=length)
    stop = length if stop is None else min(stop, length)
    if first_day is not None:
        start = position_of(journal, start_of_day(read_day(first_day), zone), length=length)
    return Period(start=min(start or 0, stop), stop=stop, first_day=first_day, last_day=last_day)


def position_of(journal: Journal, moment: str, *, length: int) -> int:
    """How many of the first `length` entries are before a moment (a wire time)."""

    def time_at(position: int) -> str:
        entry = read_entry(journal, position)
        assert entry is not None, "the journal has this many entries"
        return entry.time

    return first_position(moment, length=length, time_at=time_at)
