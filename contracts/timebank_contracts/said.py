"""What an entry says of its transfer: purpose, activity, day, reason, and what it takes back or confirms.

Of a transfer between towns the message says it: ours in `out`, the peer's in `in`. Pure; used by every report.
Source: design page 3, "What a transfer says"; PROTOCOL.md E3.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m


class Said(NamedTuple):
    """What an entry says, where it says it."""

    purpose: str | None = None
    activity: str | None = None
    served_on: str | None = None
    reverses: str | None = None
    """The transfer that it takes back."""
    reason: str | None = None
    programme: str | None = None
    claim: str | None = None
    """The claim that it confirms."""


def what_is_said(entry: e.Entry) -> Said:
    """What an entry says of its transfer; empty where it says nothing."""
    if isinstance(entry, e.TransferPosted):
        return _posted(entry.data)
    if isinstance(entry, e.TransferReversed):
        return Said(reverses=entry.data.transfer, reason=entry.data.reason)
    if isinstance(entry, e.TransferReturned | e.TransferRejected):
        return Said(reason=entry.data.reason)
    raw = entry.out if isinstance(entry, e.TransferSent) else entry.in_
    message = None if raw is UNSET else m.decode_message(bytes(raw))
    said = _said(message.data) if isinstance(message, m.TransferSentMessage) else Said()
    if isinstance(entry, e.TransferSent) and entry.data.programme is not UNSET:
        return said._replace(programme=entry.data.programme)
    return said


def _said(data: e.Posted | m.Sent) -> Said:
    return Said(
        purpose=data.purpose,
        activity=None if data.activity is UNSET else data.activity,
        served_on=None if data.served_on is UNSET else data.served_on,
    )


def _posted(data: e.Posted) -> Said:
    return _said(data)._replace(
        reason=None if data.reason is UNSET else data.reason,
        programme=None if data.programme is UNSET else data.programme,
        claim=None if data.claim is UNSET else data.claim,
    )
