"""Times and dates on the wire: UTC, milliseconds, one fixed width, so that text order is time order.

Source: design page 3, "Entries"; PROTOCOL.md M1 to M3.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from timebank_contracts.errors import Malformed

TIME_PATTERN: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$"
)
DATE_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
SERVED_DAYS_MAX: Final = 366

_TIME = re.compile(TIME_PATTERN)


def show_time(moment: datetime) -> str:
    """`2026-01-31T10:00:00.123Z`; `moment` must be aware."""
    assert moment.tzinfo is not None, "times are aware"
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """The moment of a wire time; raises `Malformed` for another form or an impossible date."""
    if not _TIME.fullmatch(text):
        raise Malformed("A time is written as 2026-01-31T10:00:00.123Z.")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{text} is not a possible time.") from error


@lru_cache(maxsize=1024)
def parse_date(text: str) -> date:
    """The day of `2026-01-31`; raises `Malformed` for another form or an impossible date."""
    if not re.fullmatch(DATE_PATTERN, text):
        raise Malformed("A date is written as 2026-01-31.")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{text} is not a possible date.") from error


@lru_cache(maxsize=4096)
def served_on_is_possible(served_on: str, today: str) -> bool:
    """Whether a service of that day can be recorded today: not in the future, at most 366 days back.

    `today` is the entry's UTC date; one day ahead is allowed, because a town's own day may have begun.
    """
    served, now = parse_date(served_on), parse_date(today)
    return -SERVED_DAYS_MAX <= (served - now).days <= 1
