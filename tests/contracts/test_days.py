"""Days of a town: which moments belong to which, in every zone, when clocks change too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.days import end_of_day, first_position, local_moment, read_day, read_zone, start_of_day
from timebank_contracts.errors import Malformed
from timebank_contracts.moments import show_time

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("day", "first", "after"),
    [
        ("2026-01-01", "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"),
        ("2026-03-29", "2026-03-29T00:00:00.000Z", "2026-03-29T23:00:00.000Z"),
        ("2026-04-01", "2026-03-31T23:00:00.000Z", "2026-04-01T23:00:00.000Z"),
        ("2026-10-25", "2026-10-24T23:00:00.000Z", "2026-10-26T00:00:00.000Z"),
    ],
    ids=["winter", "clocks go forward", "summer", "clocks go back"],
)
def test_a_day_begins_and_ends_at_the_town_s_midnight(day: str, first: str, after: str) -> None:
    assert (start_of_day(read_day(day), LONDON), end_of_day(read_day(day), LONDON)) == (first, after)


def test_a_day_without_midnight_begins_when_the_clock_has_gone_forward() -> None:
    assert start_of_day(date(2026, 4, 24), ZoneInfo("Africa/Cairo")) == "2026-04-23T22:00:00.000Z"


def test_half_past_midnight_in_summer_belongs_to_the_new_day() -> None:
    """E-3."""
    assert local_moment("2026-03-31T23:30:00.000Z", LONDON).isoformat() == "2026-04-01T00:30:00+01:00"


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    seconds=st.integers(0, 15 * 366 * 86_400),
)
def test_every_moment_lies_in_exactly_its_own_day(zone: str, seconds: int) -> None:
    town = ZoneInfo(zone)
    moment = show_time(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    day = local_moment(moment, town).date()
    assert start_of_day(day, town) <= moment < end_of_day(day, town)


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    day=st.dates(date(2020, 1, 1), date(2040, 1, 1)),
    days=st.integers(1, 400),
)
def test_days_that_follow_each_other_touch(zone: str, day: date, days: int) -> None:
    town = ZoneInfo(zone)
    assert end_of_day(day, town) == start_of_day(day + timedelta(days=1), town)
    assert start_of_day(day, town) < start_of_day(day + timedelta(days=days), town)


@given(times=st.lists(st.integers(0, 30), max_size=40), at=st.integers(-1, 31))
def test_the_first_position_is_found_as_by_counting(times: list[int], at: int) -> None:
    base = datetime(2026, 1, 1, tzinfo=UTC)
    written = [show_time(base + timedelta(seconds=seconds)) for seconds in sorted(times)]
    moment = show_time(base + timedelta(seconds=at))
    found = first_position(moment, length=len(written), time_at=written.__getitem__)
    assert found == sum(one < moment for one in written)


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "Europe", "a" * 500, "\0"])
def test_a_zone_that_is_not_known_is_malformed(name: str) -> None:
    with pytest.raises(Malformed, match="IANA"):
        read_zone(name)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "2026-02-29", "1.4.2026", "2026-4-1", ""])
def test_a_day_that_is_none_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_day(text)
