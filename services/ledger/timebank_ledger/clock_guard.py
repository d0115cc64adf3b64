"""The clock guard: a clock that jumps stops the writer, before a wrong time enters the journal for ever.

An entry's time is never before the previous entry's, so one entry from the far future would hold every later one there.
Source: design page 3, "Entries".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timebank_contracts.moments import parse_time, show_time

STEP_SECONDS_MAX: Final = 300.0
"""How far wall time may step against the monotonic clock between two commits."""
AHEAD_DAYS_MAX: Final = 30
"""How far the clock may stand ahead of the last entry at start, unless an operator confirms it."""


class ClockWrong(Exception):
    """The clock jumped, or stands where it cannot be right; the text says what to check."""


class ClockGuard:
    """Watches one clock between commits.

    Args:
        now: wall time at start, aware.
        monotonic: seconds of the monotonic clock at start.
    """

    def __init__(self, *, now: datetime, monotonic: float) -> None:
        self._now = now
        self._monotonic = monotonic

    def check(self, *, now: datetime, monotonic: float) -> None:
        """Take notice of the clocks before a commit.

        Raises:
            ClockWrong: wall time went another way than the monotonic clock, by more than five minutes.
        """
        step = (now - self._now).total_seconds() - (monotonic - self._monotonic)
        if abs(step) > STEP_SECONDS_MAX:
            way = "forward" if step > 0 else "back"
            raise ClockWrong(
                f"The clock stepped {way} by {abs(step):.0f} seconds, to {show_time(now)}. Set it right, then start "
                "the node again."
            )
        self._now, self._monotonic = now, monotonic


def check_start(*, now: datetime, last_entry: str, confirmed: bool) -> None:
    """Judge the clock against the journal's last entry, before the first command.

    Args:
        now: wall time, aware.
        last_entry: the last entry's time in wire form; empty for an empty journal.
        confirmed: an operator says that the clock is right although it stands far ahead.

    Raises:
        ClockWrong: it stands behind the last entry, or more than 30 days ahead of it without confirmation.
    """
    if not last_entry:
        return
    last = parse_time(last_entry)
    if now < last - timedelta(seconds=STEP_SECONDS_MAX):
        raise ClockWrong(
            f"The clock says {show_time(now)}, and the last entry is of {last_entry}. Set the clock right."
        )
    if now > last + timedelta(days=AHEAD_DAYS_MAX) and not confirmed:
        raise ClockWrong(
            f"The clock says {show_time(now)}, more than {AHEAD_DAYS_MAX} days after the last entry ({last_entry}). If "
            "that is right, start once with TIMEBANK_LEDGER_CLOCK_CONFIRMED=true; else set the clock."
        )
