"""The reader's language: which one, and how it writes hours, numbers, days and moments.

Pages follow their reader; files for machines never do. Numbers and dates are those of the Unicode CLDR, by Babel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

LANGUAGES: Final = ("en", "cy")
"""The languages that pages are written in; the first is for whoever names none of them."""
ACCEPT_CHARACTERS_MAX: Final = 500
_LOCALES: Final = {"en": "en_GB"}
_RANGE = re.compile(r"\s*([a-zA-Z]{1,8}|\*)(?:-[a-zA-Z0-9-]*)?\s*(?:;\s*q=\s*([01](?:\.[0-9]{0,3})?)\s*)?")


def choose_language(*, asked: str | None, accept: str | None, known: Sequence[str] = LANGUAGES) -> str:
    """The language of a page.

    Args:
        asked: what the reader chose, such as `cy`; it wins where it is known.
        accept: the header Accept-Language, as it came.
        known: the languages that there are, the usual one first.
    """
    if asked is not None and asked in known:
        return asked
    ranges = [_RANGE.fullmatch(part) for part in (accept or "")[:ACCEPT_CHARACTERS_MAX].split(",")]
    liked = [(float(found[2] or 1), str(found[1]).lower()) for found in ranges if found]
    for weight, language in sorted(liked, key=lambda one: -one[0]):
        if weight and language in known:
            return language
    return known[0]


def _locale(language: str) -> Locale:
    return Locale.parse(_LOCALES.get(language, language))


def show_hours(minutes: int, language: str) -> str:
    """Minutes as hours: 74,070 → `1,234:30` in English, `1.234:30` in German; a true minus sign below 0."""
    sign = "\N{MINUS SIGN}" if minutes < 0 else ""
    return f"{sign}{show_number(abs(minutes) // 60, language)}:{abs(minutes) % 60:02d}"


def show_number(number: int, language: str) -> str:
    """A whole number of things, in the language's groups of digits."""
    return format_decimal(number, locale=_locale(language))


def show_day(day: date, language: str) -> str:
    """`1 April 2026`, `1 Ebrill 2026`."""
    return format_date(day, format="long", locale=_locale(language))


def show_short_day(day: date, language: str) -> str:
    """`1 Apr 2026`, `1 Ebr 2026`: for a column."""
    return format_date(day, format="d MMM y", locale=_locale(language))


def show_moment(moment: datetime, language: str) -> str:
    """A local moment to the minute: `1 April 2026, 00:30`."""
    locale = _locale(language)
    return f"{format_date(moment, format='long', locale=locale)}, {format_time(moment, format='HH:mm', locale=locale)}"
