"""When a request is sent again, and how long it waits before. Pure: chance and the clock come from outside.

Every request of this client may be repeated: reading changes nothing, PUT and DELETE say what shall be, and a command
carries the same Idempotency-Key each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Not 500: a bug answers the same again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How stubborn the client is."""

    tries_max: int = 6
    """The first one counts."""
    first_wait_seconds: float = 0.2
    """Doubled with each try."""
    wait_seconds_max: float = 20.0
    """Of one wait; also a longer Retry-After is cut to this."""
    total_seconds_max: float = 60.0
    """Of all waits of one request together."""

    def wait_seconds(self, tried: int, *, chance: float, retry_after_seconds: float | None) -> float:
        """The wait before the next try.

        Args:
            tried: how many tries there were, 1 or more.
            chance: 0 to 1: clients that failed together do not come again together.
            retry_after_seconds: what the town asked for.

        Returns:
            Seconds, at least what the town asked for, at the most `wait_seconds_max`.
        """
        backoff = self.first_wait_seconds * 2.0 ** (tried - 1) * (0.5 + chance / 2)
        return min(self.wait_seconds_max, max(backoff, retry_after_seconds or 0.0))


def read_retry_after(header: str | None, *, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date; None when it says nothing readable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
