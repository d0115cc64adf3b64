"""Webhooks: whether a request really came from the town (Standard Webhooks). Needs no connection to it.

Answer 2xx at once, then read the event feed; a webhook may come twice, late, or in another order.
Source: standardwebhooks.com, specification, "Verifying webhook authenticity".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

import msgspec

from timebank_client.errors import SignatureInvalid

TOLERANCE_SECONDS: Final = 300
PREFIX: Final = "whsec_"


class Headers(Protocol):
    """The headers of a request, as any framework has them."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def verify_webhook(
    body: bytes,
    headers: Headers,
    secret: str,
    *,
    now_seconds: float | None = None,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> dict[str, Any]:
    """What a webhook says, when the town signed it.

    Args:
        body: the raw bytes of the request, before anything decoded them.
        headers: of the request, in any case.
        secret: of the subscription, as the town gave it (`whsec_…`).
        now_seconds: Unix time; None: now.
        tolerance_seconds: how far the sender's clock may be from here; older ones are replays.

    Returns:
        The decoded JSON object.

    Raises:
        SignatureInvalid: answer 400 and do nothing.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message, moment, signatures = (found[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise SignatureInvalid(f"The header {missing} is missing.") from missing
    if not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
        raise SignatureInvalid("The header webhook-timestamp is not a Unix time.")
    if abs((time.time() if now_seconds is None else now_seconds) - int(moment)) > tolerance_seconds:
        raise SignatureInvalid("The webhook is too old, or one of the clocks is wrong.")
    signed = b".".join((message.encode("utf-8"), moment.encode("ascii"), body))
    expected = base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256))
    # While a secret is rotated, the town signs with both.
    given = [text.partition(",") for text in signatures.split(" ")[:8]]
    if not any(kind == "v1" and hmac.compare_digest(value.encode("utf-8"), expected) for kind, _, value in given):
        raise SignatureInvalid("No signature of the webhook is right.")
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureInvalid("The webhook's body is not JSON.") from error
    if not isinstance(said, dict):
        raise SignatureInvalid("The webhook's body is not an object.")
    return said


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("The secret is not one that the town gave: whsec_ and Base64.") from error
