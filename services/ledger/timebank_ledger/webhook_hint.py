"""The hint that a webhook carries, and its signature: what happened where, and nothing more.

A hint says type, time, id and position of an event. Whose it is, and how many minutes, the receiver asks the event feed
with a token of its own: what a client may see is judged then, and not when it subscribed. Pure.
Source: standardwebhooks.com, "Payload structure" and "Signature scheme".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook

from timebank_contracts import canonical

_FORM: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """A new signing secret: `whsec_…`."""
    return _FORM + base64.b64encode(random_bytes(SECRET_BYTES)).decode("ascii")


def hint_body(*, event: str, event_type: str, time: str, position: int) -> bytes:
    """The body of a hint: the same bytes at every attempt."""
    data = {"event": event, "position": position}
    return canonical.encode({"type": event_type, "timestamp": time, "data": data})


def hint_headers(body: bytes, *, event: str, secrets: Sequence[str], now: datetime) -> list[tuple[str, str]]:
    """The headers of one attempt: the event's id, the present time, and a signature by each secret that holds now."""
    signatures = [Webhook(secret).sign(event, now, body.decode("utf-8")) for secret in secrets]
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "timebank-webhooks/1"),
        ("webhook-id", event),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]
