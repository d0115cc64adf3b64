"""Days of a town: from a moment on the wire to the day on the town's wall, and back.

One rule for page, CSV, hledger and report: an entry belongs to the day that its `time` has in the town's zone. Entries
are in order of time, so a range of days is a range of journal positions; two ranges that touch share no entry.
Source: design page 3, "What people do with it"; PROTOCOL.md M1.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timebank_contracts.errors import Malformed
from timebank_contracts.moments import parse_date, parse_time, show_time

DAY_MIN: Final = date(1970, 1, 2)
DAY_MAX: Final = date(9998, 12, 31)
ZONE_DEFAULT: Final = "Europe/London"


def read_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as `Europe/London`; raises `Malformed` for a name that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Malformed("A time zone is an IANA name such as Europe/London.") from error


def read_day(text: str) -> date:
    """The day of `2026-03-31`; raises `Malformed` for another form or a year that no journal has."""
    day = parse_date(text)
    if not DAY_MIN <= day <= DAY_MAX:
        raise Malformed(f"A day lies between {DAY_MIN} and {DAY_MAX}.")
    return day


def local_moment(moment: str, zone: ZoneInfo) -> datetime:
    """A wire time as the town's clock shows it."""
    return parse_time(moment).astimezone(zone)


def start_of_day(day: date, zone: ZoneInfo) -> str:
    """The first moment of a day in the town, as a wire time: a day that begins without a midnight begins later."""
    return show_time(datetime.combine(day, time(0), tzinfo=zone))


def end_of_day(day: date, zone: ZoneInfo) -> str:
    """The first moment after a day in the town, as a wire time."""
    return start_of_day(day + timedelta(days=1), zone)


def first_position(moment: str, *, length: int, time_at: Callable[[int], str]) -> int:
    """The first position whose entry is not before a moment, or `length` when there is none.

    Args:
        moment: a wire time.
        length: how many entries the journal has.
        time_at: the time of the entry at a position; asked about log₂(length) times.
    """
    low, high = 0, length
    while low < high:
        middle = (low + high) // 2
        if time_at(middle) < moment:
            low = middle + 1
        else:
            high = middle
    return low
