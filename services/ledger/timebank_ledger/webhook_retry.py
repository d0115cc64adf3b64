"""When a delivery is tried again, and when it ends. Pure, given time and chance.

    2xx ─▶ delivered          410 ─▶ gone, at once          else ─▶ again after 5 s, 5 min, … ─▶ failing after the last

Source: standardwebhooks.com, "Deliverability and reliability"; RFC 9110, 10.2.3; case N-1.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from timebank_ledger.webhook_outlet import Answer
from timebank_ledger.webhook_tables import Outcome, State

RETRY_SECONDS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Between one attempt and the next: more than three days in all."""
JITTER: Final = 0.2
"""By how much of itself a pause may be longer, so that receivers that fell together are not asked together."""
RETRY_AFTER_SECONDS_MAX: Final = 86_400


class Step(NamedTuple):
    """What becomes of an endpoint after an attempt."""

    outcome: Outcome
    state: State
    failure: str | None
    failures: int
    delay_seconds: float


def next_step(answer: Answer, *, failures: int, now: datetime, chance: float) -> Step:
    """What an attempt's answer leads to.

    Args:
        answer: what came back.
        failures: attempts in vain for this event before.
        now: the present moment, aware.
        chance: from 0 to below 1.
    """
    if answer.status is not None and 200 <= answer.status < 300:
        return Step("delivered", "active", None, 0, 0)
    failure = f"status_{answer.status}" if answer.failure is None else answer.failure
    if answer.status == 410:
        return Step("failed", "gone", failure, failures + 1, 0)
    if failures >= len(RETRY_SECONDS):
        return Step("failed", "failing", failure, failures + 1, 0)
    delay_seconds = RETRY_SECONDS[failures] * (1 + JITTER * chance)
    if answer.status in (429, 503) and answer.retry_after is not None:
        wished = min(_retry_after_seconds(answer.retry_after, now), RETRY_AFTER_SECONDS_MAX)
        delay_seconds = max(delay_seconds, wished)
    return Step("failed", "active", failure, failures + 1, delay_seconds)


def _retry_after_seconds(text: str, now: datetime) -> float:
    """Seconds, or until a date; 0 for what is neither."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0
    return 0 if until.tzinfo is None else max(0.0, (until - now).total_seconds())
