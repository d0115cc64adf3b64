"""When a delivery is tried again: whatever is answered, pauses are bounded, and there is an end."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.town_api import START
from timebank_ledger.webhook_outlet import Answer
from timebank_ledger.webhook_retry import JITTER, RETRY_AFTER_SECONDS_MAX, RETRY_SECONDS, next_step

ANSWERS = st.builds(
    Answer,
    st.none() | st.integers(100, 599),
    st.just("timeout"),
    st.none() | st.text(max_size=40) | st.integers(-5, 10**12).map(str),
)


@given(answer=ANSWERS, failures=st.integers(0, 20), chance=st.floats(0, 1, exclude_max=True))
def test_every_answer_leads_to_a_bounded_pause_or_to_an_end(answer: Answer, failures: int, chance: float) -> None:
    step = next_step(answer, failures=failures, now=START, chance=chance)
    if step.outcome == "delivered":
        assert answer.status is not None
        assert 200 <= answer.status < 300
        assert (step.state, step.failures, step.delay_seconds, step.failure) == ("active", 0, 0, None)
        return
    assert step.failures == failures + 1
    assert step.failure
    if step.state == "active":
        assert failures < len(RETRY_SECONDS)
        assert RETRY_SECONDS[failures] <= step.delay_seconds
        assert step.delay_seconds <= max(RETRY_SECONDS[failures] * (1 + JITTER), RETRY_AFTER_SECONDS_MAX)
    else:
        assert step.state == ("gone" if answer.status == 410 else "failing")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 5),
        ("-9", 5),
        ("999999999999", 5),
        ("90000", 86_400),
        (format_datetime(START + timedelta(hours=1), usegmt=True), 3_600),
        (format_datetime(START - timedelta(hours=1), usegmt=True), 5),
        ("Sun, 29 Feb 2026 10:00:00 GMT", 5),
        ("soon", 5),
        ("", 5),
        ("١٢٠", 5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_s_wish_for_time_is_kept_within_a_day(status: int, text: str, seconds: int) -> None:
    step = next_step(Answer(status, retry_after=text), failures=0, now=START, chance=0)
    assert (step.state, step.delay_seconds) == ("active", seconds)


def test_another_status_cannot_ask_for_time() -> None:
    assert next_step(Answer(500, retry_after="600"), failures=0, now=START, chance=0).delay_seconds == 5
