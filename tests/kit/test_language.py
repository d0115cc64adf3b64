"""The reader's language: chosen from what they say, and written as its readers write."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_kit.language import LANGUAGES, choose_language, show_day, show_hours, show_moment, show_short_day


@pytest.mark.parametrize(
    ("asked", "accept", "language"),
    [
        (None, None, "en"),
        (None, "cy", "cy"),
        (None, "cy-GB,cy;q=0.9,en;q=0.8", "cy"),
        (None, "en-GB,en;q=0.9,cy;q=0.8", "en"),
        (None, "de, cy;q=0.5, en;q=0.4", "cy"),
        (None, "en;q=0.1, cy;q=0.2", "cy"),
        (None, "cy;q=0, en", "en"),
        (None, "de", "en"),
        (None, "CY", "cy"),
        (None, "cy;q=2", "en"),
        ("cy", "en", "cy"),
        ("de", "cy", "cy"),
    ],
)
def test_a_reader_gets_the_language_that_they_prefer(asked: str | None, accept: str | None, language: str) -> None:
    assert choose_language(asked=asked, accept=accept) == language


@given(accept=st.text(max_size=600))
def test_whatever_is_accepted_there_is_a_language(accept: str) -> None:
    assert choose_language(asked=None, accept=accept) in LANGUAGES


@pytest.mark.parametrize(
    ("language", "hours", "day"),
    [
        ("en", "12,345:30", "13 July 2026"),
        ("cy", "12,345:30", "13 Gorffennaf 2026"),
        ("de", "12.345:30", "13. Juli 2026"),
        ("es", "12.345:30", "13 de julio de 2026"),
    ],
)
def test_hours_and_days_are_written_as_the_reader_writes(language: str, hours: str, day: str) -> None:
    """P-4."""
    assert show_hours(740_730, language) == hours
    assert show_day(date(2026, 7, 13), language) == day


def test_less_than_nothing_has_a_true_minus_sign() -> None:
    assert show_hours(-90, "en") == "−1:30"


def test_a_moment_is_shown_to_the_minute_on_the_town_s_clock() -> None:
    moment = datetime(2026, 4, 1, 0, 30, tzinfo=ZoneInfo("Europe/London"))
    assert show_moment(moment, "en") == "1 April 2026, 00:30"
    assert show_moment(moment, "cy") == "1 Ebrill 2026, 00:30"
    assert show_short_day(moment.date(), "cy") == "1 Ebr 2026"
