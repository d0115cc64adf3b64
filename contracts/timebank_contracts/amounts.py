"""Amounts of time: whole minutes, one parser of typed text, one way to show them.

Source: design page 3, "One unit"; PROTOCOL.md A1 to A3.
"""

from __future__ import annotations

import re
from typing import Final

from timebank_contracts.errors import Malformed, Refusal

MINUTES_MAX: Final = 60_000
"""The most that one posting may move, in minutes (1,000 hours)."""

LIMIT_MAX: Final = 10_000_000
"""The greatest magnitude of a floor, ceiling or limit, in minutes."""

ACCEPTED_FORMS: Final = "1:30, 1h30, 1h 30m, 90m, 1.5h or 1,5h"

_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9])")
_HOURS_MINUTES = re.compile(r"([0-9]{1,4}) ?h(?: ?([0-5]?[0-9]) ?(?:m|min)?)?")
_MINUTES = re.compile(r"([0-9]{1,5}) ?(?:m|min)")
_DECIMAL = re.compile(r"([0-9]{1,4})[.,]([0-9]{1,2}) ?h")
_BARE = re.compile(r"[0-9]{1,9}([.,][0-9]{1,9})?")


def parse_amount(text: str) -> int:
    """Read an amount as a person types it.

    Args:
        text: one of the accepted forms, ASCII digits, at most 20 characters; outer blanks are ignored.

    Returns:
        Minutes, 1 to 60,000.

    Raises:
        Refusal: `amount_ambiguous` for a bare number (the caller asks), `amount_out_of_range`.
        Malformed: any other text; the message lists the accepted forms.
    """
    typed = text.strip(" \t").lower()
    if len(typed) > 20:
        raise Malformed(f"An amount of time is written as {ACCEPTED_FORMS}.")
    if _BARE.fullmatch(typed):
        raise Refusal("amount_ambiguous")
    minutes = _minutes_of(typed)
    if not 1 <= minutes <= MINUTES_MAX:
        raise Refusal("amount_out_of_range")
    return minutes


def _minutes_of(typed: str) -> int:
    if found := _CLOCK.fullmatch(typed):
        return int(found[1]) * 60 + int(found[2])
    if found := _HOURS_MINUTES.fullmatch(typed):
        return int(found[1]) * 60 + int(found[2] or 0)
    if found := _MINUTES.fullmatch(typed):
        return int(found[1])
    if found := _DECIMAL.fullmatch(typed):
        hundredths = int(found[2].ljust(2, "0"))
        if hundredths * 60 % 100:
            raise Malformed(f"{typed} is not a whole number of minutes; write it as 1:20 or 80m.")
        return int(found[1]) * 60 + hundredths * 60 // 100
    raise Malformed(f"An amount of time is written as {ACCEPTED_FORMS}.")


def show_hours(minutes: int) -> str:
    """Minutes as hours for a reader: 90 → `1:30`, −5 → `−0:05` (with a true minus sign)."""
    sign = "\N{MINUS SIGN}" if minutes < 0 else ""
    return f"{sign}{abs(minutes) // 60:,}:{abs(minutes) % 60:02d}"
