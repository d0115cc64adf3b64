"""From a command to the entry that sends a message to another town: transfers, refunds, claims, thanks. Pure.

Each candidate carries in `out` the next message to its peer; `apply` judges both together.
Source: design page 2, "Transfer between towns"; PROTOCOL.md T5, T15, D8 to D14.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, structs

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import Read
from timebank_contracts.errors import Refusal
from timebank_contracts.names import federated_transfer, transit
from timebank_contracts.rules_claims import days_after
from timebank_contracts.state import Book, Claim, PeerState
from timebank_ledger import commands as c
from timebank_ledger.peers import message_head


def send(book: Book, command: c.SendTransfer, head: dict[str, Any]) -> e.TransferSent:
    """A service or gift to an address in another town."""
    peer = _peer(book, command.peer)
    data = _sent(
        book,
        peer,
        minutes=command.minutes,
        payee=command.payee,
        payer_tag=command.payer_tag,
        purpose=command.purpose,
        expires_at=command.expires_at,
        activity=_or_unset(command.activity),
        served_on=_or_unset(command.served_on),
        given_minutes=_or_unset(command.given_minutes),
    )
    said = e.SentTo(
        peer=peer.peer, confirmed_by=_or_unset(command.confirmed_by), programme=_or_unset(command.programme)
    )
    return _entry(book, peer, command.payer, data, said, head)


def refund(book: Book, command: c.RefundTransfer, head: dict[str, Any], cite: Read) -> e.TransferSent:
    """A transfer that came from another town, or a part of it, back to whoever paid it."""
    original = cite(command.position) if command.position < book.n else None
    if not isinstance(original, e.TransferReceived) or original.data.transfer != command.transfer:
        raise Refusal("transfer_unknown")
    assert original.in_ is not UNSET
    assert original.postings is not UNSET
    message = m.decode_message(bytes(original.in_))
    assert isinstance(message, m.TransferSentMessage), "what was received was sent"
    payee, minutes = original.postings[1]
    left = minutes - book.refunded.get(command.transfer, 0)
    if left < 1:
        raise Refusal("refund_exceeded")
    peer = _peer(book, str(original.by.id))
    data = _sent(
        book,
        peer,
        minutes=command.minutes or left,
        payer_tag=command.payer_tag,
        purpose="refund",
        expires_at=command.expires_at,
        refunds=command.transfer,
        refunds_at=message.data.at,
    )
    said = e.SentTo(peer=peer.peer, original=command.position)
    return _entry(book, peer, command.payer or payee, data, said, head)


def confirm(book: Book, command: c.ConfirmClaim, claim: Claim, head: dict[str, Any]) -> e.TransferSent:
    """The confirmation of a claim from another town is the transfer to its giver there."""
    if command.payer_tag is None or command.expires_at is None:
        raise Refusal("claim_not_due", "The rule confirms nothing across towns.")
    peer = _peer(book, claim.peer)
    data = _sent(
        book,
        peer,
        minutes=command.minutes or claim.minutes,
        payee=claim.alias,
        payer_tag=command.payer_tag,
        purpose="service",
        expires_at=command.expires_at,
        activity=claim.activity,
        served_on=claim.served_on,
        given_minutes=claim.given_minutes or UNSET,
        claim=command.claim,
    )
    confirmed_by: Any = command.confirmed_by
    said = e.SentTo(peer=peer.peer, confirmed_by=confirmed_by, claim=command.claim)
    return _entry(book, peer, claim.receiver, data, said, head)


def send_claim(book: Book, command: c.SendClaim, head: dict[str, Any]) -> e.ClaimSentEntry:
    """A claim on somebody in another town."""
    peer, me = _peer(book, command.peer), book.me
    activity: Any = command.activity
    claimed = m.Claimed(
        claim=federated_transfer(me.node, me.generation, peer.peer, peer.outgoing.n + 1),
        minutes=command.minutes,
        giver=command.giver_alias,
        receiver=command.receiver,
        activity=activity,
        served_on=command.served_on,
        expires_at=days_after(head["time"], book.claim_expires_after_days),
        given_minutes=_or_unset(command.given_minutes),
    )
    message = m.ClaimMadeMessage(**message_head(book, peer, head["time"]), data=claimed)
    said = e.ClaimSent(giver=command.giver, peer=peer.peer, programme=_or_unset(command.programme))
    return e.ClaimSentEntry(**head, data=said, out=Raw(m.encode_message(message)))


def dispute(book: Book, command: c.DisputeClaim, head: dict[str, Any]) -> e.ClaimDisputedEntry:
    """A dispute; the giver's town is told when it is another."""
    reason: Any = command.reason
    claim, out = book.claims.get(command.claim), UNSET
    if claim is not None and claim.peer:
        data = m.Disputed(claim=command.claim, reason=reason)
        peer = _peer(book, claim.peer)
        out = _raw(m.ClaimDisputedMessage(**message_head(book, peer, head["time"]), data=data))
    return e.ClaimDisputedEntry(**head, data=e.ClaimDisputed(claim=command.claim, reason=reason), out=out)


def end_claim(book: Book, command: c.EndClaim, head: dict[str, Any]) -> e.Entry:
    """A claim that ends without a transfer; the receiver's town is told when it is another."""
    data = e.ClaimNamed(claim=command.claim)
    if command.how != "withdrawn":
        kind = {"expired": e.ClaimExpired, "upheld": e.ClaimUpheld}[command.how]
        return kind(**head, data=data)
    sent, out = book.sent_claims.get(command.claim), UNSET
    if sent is not None:
        peer = _peer(book, sent.peer)
        message = message_head(book, peer, head["time"])
        out = _raw(m.ClaimWithdrawnMessage(**message, data=m.Withdrawn(claim=command.claim)))
    return e.ClaimWithdrawn(**head, data=data, out=out)


def thank(book: Book, command: c.GiveThanks, head: dict[str, Any], cite: Read) -> e.ThanksGivenEntry:
    """Thanks for a transfer; the other side's town is told when it is another."""
    began = cite(command.position) if command.position < book.n else None
    name = began.data.peer if isinstance(began, e.TransferSent | e.MessageRecoveredEntry) else None
    if isinstance(began, e.TransferReceived):
        name = str(began.by.id)
    out = UNSET
    if name is not None:
        message = message_head(book, _peer(book, name), head["time"])
        out = _raw(m.ThanksGivenMessage(**message, data=m.Thanked(transfer=command.transfer)))
    side: Any = command.side
    data = e.ThanksGiven(transfer=command.transfer, side=side, position=command.position)
    return e.ThanksGivenEntry(**head, data=data, out=out)


def give_up(book: Book, command: c.ReturnTransfer, head: dict[str, Any]) -> e.TransferReturned:
    """A transfer to a town that was closed for ever, given back to its payer."""
    found = book.open_transfers.get(command.transfer)
    if found is None:
        raise Refusal("transfer_unknown")
    data = e.Returned(transfer=command.transfer, reason="peer_closed", registry=max(1, book.registry_version))
    postings = [(transit(found.peer), -found.minutes), (found.payer, found.minutes)]
    return e.TransferReturned(**head, data=data, postings=postings)


def _sent(book: Book, peer: PeerState, **said: Any) -> m.Sent:
    me = book.me
    transfer = federated_transfer(me.node, me.generation, peer.peer, peer.outgoing.n + 1)
    return m.Sent(transfer=transfer, at=book.n, **said)


def _entry(
    book: Book, peer: PeerState, payer: str, data: m.Sent, said: e.SentTo, head: dict[str, Any]
) -> e.TransferSent:
    message = m.TransferSentMessage(**message_head(book, peer, head["time"]), data=data)
    postings = [(payer, -data.minutes), (transit(peer.peer), data.minutes)]
    return e.TransferSent(**head, data=said, postings=postings, out=Raw(m.encode_message(message)))


def _raw(message: m.AnyMessage) -> Any:
    return Raw(m.encode_message(message))


def _peer(book: Book, name: str) -> PeerState:
    found = book.peers.get(name)
    if found is None:
        raise Refusal("peer_unknown")
    return found


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value


def repeat(book: Book, command: c.RepeatMessage, head: dict[str, Any], cite: Read) -> e.MessageRepeatedEntry:
    """What a peer never applied, said again in the stream of this generation."""
    first = cite(command.position)
    if first is None or first.out is UNSET:
        raise Refusal("segment_invalid", "The entry named sent no message.")
    again = message_head(book, _peer(book, command.peer), head["time"])
    message = m.decode_message(bytes(first.out))
    out = Raw(m.encode_message(structs.replace(message, id=again["id"], time=again["time"])))
    data = e.MessageRepeated(peer=command.peer, position=command.position)
    return e.MessageRepeatedEntry(**head, data=data, out=out)
