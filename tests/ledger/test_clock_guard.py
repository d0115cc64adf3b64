"""A clock that jumps stops the writer before a wrong time enters the journal (design page 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from timebank_ledger.clock_guard import ClockGuard, ClockWrong, check_start

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_clock_that_goes_with_the_monotonic_one_is_left_alone() -> None:
    guard = ClockGuard(now=NOON, monotonic=5.0)
    for hours in range(1, 1000):
        guard.check(now=NOON + timedelta(hours=hours), monotonic=5.0 + 3600.0 * hours)


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24, -60 * 24])
def test_a_step_of_more_than_five_minutes_is_refused(minutes: int) -> None:
    guard = ClockGuard(now=NOON, monotonic=0.0)
    with pytest.raises(ClockWrong, match=r"stepped (forward|back) by"):
        guard.check(now=NOON + timedelta(seconds=10, minutes=minutes), monotonic=10.0)


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_small_correction_of_the_clock_is_taken(minutes: int) -> None:
    guard = ClockGuard(now=NOON, monotonic=0.0)
    guard.check(now=NOON + timedelta(seconds=10, minutes=minutes), monotonic=10.0)


def test_a_start_behind_the_last_entry_is_refused() -> None:
    with pytest.raises(ClockWrong, match="Set the clock right"):
        check_start(now=NOON, last_entry="2026-03-01T13:00:00.000Z", confirmed=True)


def test_a_start_far_ahead_needs_an_operators_word() -> None:
    late = NOON + timedelta(days=31)
    with pytest.raises(ClockWrong, match="TIMEBANK_LEDGER_CLOCK_CONFIRMED"):
        check_start(now=late, last_entry="2026-03-01T12:00:00.000Z", confirmed=False)
    check_start(now=late, last_entry="2026-03-01T12:00:00.000Z", confirmed=True)


def test_an_empty_journal_believes_any_clock() -> None:
    check_start(now=NOON, last_entry="", confirmed=False)
