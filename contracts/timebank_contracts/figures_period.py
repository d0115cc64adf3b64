"""Which days figures are about, and fractions that show what they are made of.

A service belongs to the day on which it was given (`served_on`); all else to the town's day of its entry.
Source: design page 10; PROTOCOL.md M1.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from timebank_contracts.days import end_of_day, read_day, read_zone, start_of_day
from timebank_contracts.errors import Malformed


class Ratio(NamedTuple):
    """A share as it is printed: what is counted, over what it is counted of."""

    numerator: int
    denominator: int

    def is_at_least(self, parts: int, of: int) -> bool:
        """Whether it is `parts` in `of` or more; of nothing it never is."""
        return self.denominator > 0 and self.numerator * of >= parts * self.denominator


class Period(NamedTuple):
    """Days of a town, both included."""

    first_day: str
    last_day: str
    zone: str
    """IANA name: it says where a day ends."""
    start: str
    """First moment, as a wire time."""
    stop: str
    """First moment after it."""
    label_first_day: str
    """A programme's label is about the twelve months that end with the last day."""

    def holds_day(self, day: str) -> bool:
        """Whether a day of service lies in it."""
        return self.first_day <= day <= self.last_day

    def holds_moment(self, moment: str) -> bool:
        """Whether an entry of this time lies in it."""
        return self.start <= moment < self.stop


def make_period(first_day: str, last_day: str, zone: str) -> Period:
    """The period of two days such as 2026-01-01 and 2026-06-30.

    Raises:
        Malformed: no day, no zone, or the last day before the first.
    """
    first, last, days = read_day(first_day), read_day(last_day), read_zone(zone)
    if last < first:
        raise Malformed("The last day of a period is not before its first.")
    return Period(
        first_day=first_day,
        last_day=last_day,
        zone=zone,
        start=start_of_day(first, days),
        stop=end_of_day(last, days),
        label_first_day=str(_year_before(last) + timedelta(days=1)),
    )


def _year_before(day: date) -> date:
    # 29 February has no day of its own a year before.
    return day.replace(year=day.year - 1, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)
