"""A webhook is believed when the town signed it, and not else. The signer here is the standard's own library."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from timebank_client import SignatureInvalid, verify_webhook

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "events.available", "data": {"position": 17}}'
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def headers(body: bytes = BODY, *secrets: str, moment: datetime = NOW) -> dict[str, str]:
    signatures = [Webhook(secret).sign("msg_1", moment, body.decode()) for secret in secrets or (SECRET,)]
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }


def verify(body: bytes, said: dict[str, str], *, late_seconds: float = 0.0) -> dict[str, object]:
    return verify_webhook(body, said, SECRET, now_seconds=NOW.timestamp() + late_seconds)


def test_what_the_town_signed_is_read() -> None:
    assert verify(BODY, headers())["data"] == {"position": 17}
    assert verify(BODY, headers(), late_seconds=299)


def test_while_a_secret_is_rotated_one_right_signature_is_enough() -> None:
    assert verify(BODY, headers(BODY, OLD, SECRET))


@pytest.mark.parametrize("late_seconds", [301, -301])
def test_an_old_or_future_one_is_refused(late_seconds: float) -> None:
    with pytest.raises(SignatureInvalid, match="too old"):
        verify(BODY, headers(), late_seconds=late_seconds)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_or_changed_header_is_refused(name: str) -> None:
    said = headers()
    with pytest.raises(SignatureInvalid):
        verify(BODY, {key: value for key, value in said.items() if key != name})
    for other in ("", "x", "msg_2", "v1,", "v1a,AAAA", "v1,é"):
        with pytest.raises(SignatureInvalid):
            verify(BODY, said | {name: other})


def test_a_changed_body_another_secret_and_no_object_are_refused() -> None:
    for body, said in (
        (BODY + b" ", headers()),
        (BODY, headers(BODY, OLD)),
        (b"[]", headers(b"[]")),
        (b"{", headers(b"{")),
    ):
        with pytest.raises(SignatureInvalid):
            verify(body, said)


def test_a_secret_of_another_form_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, headers(), "not base64!", now_seconds=NOW.timestamp())
