"""Rules of refunds: a transfer the other way that names the original; it goes to whoever paid that one.

The refunding town counts: what it gives back, and what is on its way, is together never more than the original; a
refund that comes back counts no more. So there is no race, and the first town need not remember ended transfers.
Source: design page 2, "Refund"; PROTOCOL.md T15, T16.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import Refusal
from timebank_contracts.rules_accounts import BROKERS
from timebank_contracts.state import Account, Book, PeerState

Read = Callable[[int], e.Entry | None]
"""Reads an earlier entry of the journal by position; None when there is none."""


def check_refund(book: Book, entry: e.TransferSent, data: m.Sent, read: Read) -> None:
    """Raise unless this gives back, to the peer that it came from, at most what is left of a transfer.

    Raises:
        Refusal: `transfer_unknown`, `refund_exceeded`, `purpose_invalid`.
    """
    said = entry.data
    if data.payee is not UNSET or data.refunds is UNSET or data.claim is not UNSET or said.claim is not UNSET:
        raise Refusal("purpose_invalid", "A refund names the transfer that it gives back, no payee and no claim.")
    if data.activity is not UNSET or data.served_on is not UNSET or data.given_minutes is not UNSET:
        raise Refusal("purpose_invalid", "Only a service has an activity, a day and given minutes.")
    original = None if said.original is UNSET else read(said.original)
    if not isinstance(original, e.TransferReceived) or original.data.transfer != data.refunds:
        raise Refusal("transfer_unknown")
    sent = _sent_data(original)
    if original.by.id != said.peer or sent.purpose == "refund":
        raise Refusal("transfer_unknown", "A refund goes to the town that the transfer came from, and is not refunded.")
    if sent.at != data.refunds_at:
        raise Refusal("purpose_invalid", "A refund repeats where the original was sent.")
    assert original.postings is not UNSET
    assert entry.postings is not UNSET
    payee, minutes = original.postings[1]
    payer = entry.postings[0][0]
    if payer != payee and not (payer == "pot" and entry.by.kind in BROKERS):
        raise Refusal("purpose_invalid", "Who was credited gives it back; a broker may let the pot do it.")
    if book.refunded.get(data.refunds, 0) + data.minutes > minutes:
        raise Refusal("refund_exceeded")


def payer_of(book: Book, peer: PeerState, data: m.Sent, read: Read) -> Account | None:
    """The account that paid what a peer's refund gives back; None when no transfer of that id was sent to it."""
    assert data.refunds_at is not UNSET
    at = book.recovered_at.get(str(data.refunds), data.refunds_at)
    found = read(at) if at < book.n else None
    if not isinstance(found, e.TransferSent | e.MessageRecoveredEntry) or found.data.peer != peer.peer:
        return None
    if found.postings is UNSET or _sent_data(found).transfer != data.refunds:
        return None
    return book.accounts[found.postings[0][0]]


def _sent_data(entry: e.Entry) -> m.Sent:
    """What the message says that an entry sends, or that caused it."""
    raw = entry.in_ if entry.out is UNSET or isinstance(entry, e.TransferReceived) else entry.out
    assert raw is not UNSET
    message = m.decode_message(bytes(raw))
    assert isinstance(message, m.TransferSentMessage)
    return message.data
