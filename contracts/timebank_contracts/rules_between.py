"""Rules of transfers between towns: the payee's node decides, once, and nobody else.

    sent ── received ──▶ settled
      └──── rejected ──▶ returned

Each rule checks first and changes the book last. Refunds: `rules_refunds.py`; claims: `rules_claims_between.py`.
Source: design page 2, "Transfer between towns" and "Signs, limits, identities"; PROTOCOL.md T5 to T11, T15, T16.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.moments import served_on_is_possible
from timebank_contracts.names import clearing, federated_transfer, transit
from timebank_contracts.rules_accounts import check_programme, open_account
from timebank_contracts.rules_claims import end_claim, open_again
from timebank_contracts.rules_claims_between import check_claim_paid, end_sent_claim
from timebank_contracts.rules_generations import check_given_up, is_born_there, note_said_again
from timebank_contracts.rules_refunds import Read, check_refund, payer_of
from timebank_contracts.rules_returning import LOST, is_silent, take_forced
from timebank_contracts.rules_streams import (
    advance_incoming,
    advance_outgoing,
    incoming_message,
    outgoing_message,
)
from timebank_contracts.rules_transfers import check_debit
from timebank_contracts.state import PAYABLE_KINDS, Account, Book, OpenTransfer, PeerState

_REFUNDING: Final = PAYABLE_KINDS | {"pot"}
"""Kinds that a refund may come from."""


def sent(book: Book, entry: e.TransferSent, read: Read) -> None:
    peer = _peer(book, entry.data.peer)
    message = outgoing_message(book, peer, entry)
    payer_id, minutes = _pair(entry, second=transit(peer.peer))
    if type(message) is not m.TransferSentMessage:
        raise Refusal("segment_invalid", "transfer.sent sends the message transfer.sent.")
    data = message.data
    position = peer.outgoing.n + 1
    if data.transfer != federated_transfer(book.me.node, book.me.generation, peer.peer, position):
        raise Refusal("segment_invalid", "A transfer's id is its position in its stream.")
    if data.minutes != -minutes or data.at != entry.n:
        raise Refusal("posting_invalid", "The message says other minutes than the postings, or another position.")
    if peer.state != "open":
        raise Refusal("peer_suspended")
    if peer.frozen:
        raise Refusal("stream_frozen")
    payer = open_account(book, payer_id)
    is_refund = data.purpose == "refund"
    check_debit(payer, data.minutes, _REFUNDING if is_refund else PAYABLE_KINDS)
    if peer.debt + data.minutes > peer.owe_limit:
        raise Refusal("pair_limit_exceeded")
    if book.debt - max(0, peer.debt) + max(0, peer.debt + data.minutes) > book.debt_limit:
        raise Refusal("debt_limit_exceeded")
    if entry.data.programme is not UNSET:
        check_programme(book, entry.data.programme)
    opened = OpenTransfer(peer.peer, payer_id, data.minutes, entry.n, entry.time)
    if is_refund:
        check_refund(book, entry, data, read)
        opened = replace(opened, refunds=str(data.refunds))
    else:
        _check_addressed(entry.data, data)
        _check_service(data, entry.time)
    if data.claim is not UNSET:
        opened = replace(opened, claim=data.claim, claimed=check_claim_paid(book, entry, payer_id, data))
    payer.balance -= data.minutes
    payer.in_transit += data.minutes
    book.change_debt(peer, 0, data.minutes)
    book.open_transfers[data.transfer] = opened
    if opened.refunds:
        book.refunded[opened.refunds] = book.refunded.get(opened.refunds, 0) + data.minutes
    if opened.claimed is not None:
        end_claim(book, opened.claim, opened.claimed)
    advance_outgoing(peer, entry)


def _check_addressed(said: e.SentTo, data: m.Sent) -> None:
    if data.payee is UNSET or data.refunds is not UNSET or said.original is not UNSET:
        raise Refusal("purpose_invalid", "Only a refund names an original, and nothing else goes without a payee.")
    if said.claim != data.claim:
        raise Refusal("claim_mismatch", "Entry and message name the same claim.")


def _check_service(data: m.Sent, time: str) -> None:
    if data.purpose == "service":
        if data.activity is UNSET or data.served_on is UNSET:
            raise Refusal("service_incomplete")
        if data.claim is UNSET and not served_on_is_possible(data.served_on, time[:10]):
            raise Refusal("served_on_invalid")
    elif data.activity is not UNSET or data.given_minutes is not UNSET:
        raise Refusal("purpose_invalid", "Only a service has an activity and given minutes.")


def decide(book: Book, peer: PeerState, data: m.Sent, time: str, *, read: Read) -> Account | str:
    """The decision about a transfer that a peer sent: the account to credit, or the reason of the rejection.

    The order of the reasons is part of the rules: two readers of one journal name the same reason.

    Args:
        book: before the decision.
        peer: who sent it.
        data: what its message says.
        time: of the entry.
        read: gives the entry that sent what a refund gives back.
    """
    forced = book.forced.get(data.transfer)
    if forced is not None:
        # Decided before state was lost: only whom it credits is looked for.
        return forced.reason or _credited(book, peer, data, read)
    if peer.state != "open":
        return "peer_suspended"
    account = payer_of(book, peer, data, read) if data.refunds is not UNSET else _payee_of(book, peer, data)
    if account is None:
        return "alias_unknown"
    if account.state == "closed":
        return "account_closed"
    if time > data.expires_at:
        return "expired"
    if data.claim is not UNSET and not _is_claimed(book, peer, data.claim, account):
        return "claim_withdrawn"
    if -peer.clearing.balance + data.minutes > peer.owed_limit:
        return "pair_limit_exceeded"
    if account.balance + account.in_transit + data.minutes > account.ceiling:
        return "ceiling_exceeded"
    return account


def _payee_of(book: Book, peer: PeerState, data: m.Sent) -> Account | None:
    alias = None if data.payee is UNSET else book.aliases.get(data.payee)
    if alias is None or (alias.audience is not None and alias.audience != peer.peer):
        return None
    return book.accounts[alias.account]


def _credited(book: Book, peer: PeerState, data: m.Sent, read: Read) -> Account:
    """Whom a recovered decision credited: who holds the address, or paid what is given back; else what was lost."""
    alias = None if data.payee is UNSET else book.aliases.get(data.payee)
    found = None if alias is None else book.accounts[alias.account]
    if data.refunds is not UNSET:
        found = payer_of(book, peer, data, read)
    # Who left meanwhile had nothing then, and an account that is closed stays at 0.
    return book.accounts[LOST] if found is None or found.state == "closed" else found


def _is_claimed(book: Book, peer: PeerState, claim: str, account: Account) -> bool:
    found = book.sent_claims.get(claim)
    return found is not None and (found.peer, found.giver) == (peer.peer, account.account)


def received(book: Book, entry: e.TransferReceived, read: Read) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = sent_data(message, peer, peer.incoming.n + 1)
    account = decide(book, peer, data, entry.time, read=read)
    if isinstance(account, str):
        raise Refusal(account, "The rules reject this transfer.")
    silent = _decision(book, peer, entry, data, reason=None)
    payee, minutes = _pair_credit(entry, first=clearing(peer.peer))
    if payee != account.account or minutes != data.minutes:
        raise Refusal("posting_invalid", "The postings are not those of the message.")
    book.change_debt(peer, -data.minutes, 0)
    account.balance += data.minutes
    if data.claim is not UNSET and data.claim in book.sent_claims:
        end_sent_claim(book, data.claim)
    _decided(book, peer, entry, data, chain, silent=silent)


def rejected(book: Book, entry: e.TransferRejected, read: Read) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = sent_data(message, peer, peer.incoming.n + 1)
    reason = decide(book, peer, data, entry.time, read=read)
    if entry.postings is not UNSET:
        raise Refusal("posting_invalid", "A rejection moves no minutes.")
    if reason != entry.data.reason:
        raise Refusal("segment_invalid", f"The rules do not reject this transfer for {entry.data.reason}.")
    silent = _decision(book, peer, entry, data, reason=entry.data.reason)
    _decided(book, peer, entry, data, chain, silent=silent)


def _decided(
    book: Book,
    peer: PeerState,
    entry: e.TransferReceived | e.TransferRejected,
    data: m.Sent,
    chain: bytes,
    *,
    silent: bool,
) -> None:
    """Both streams move on, of which ours only when the decision is new."""
    note_said_again(peer, data.transfer)
    if silent:
        take_forced(book, peer, data.transfer)
    else:
        advance_outgoing(peer, entry)
    advance_incoming(book, peer, chain)


def _decision(
    book: Book,
    peer: PeerState,
    entry: e.TransferReceived | e.TransferRejected,
    data: m.Sent,
    *,
    reason: str | None,
) -> bool:
    """Check what the entry answers; returns whether it answers nothing, because the peer has the answer already."""
    if entry.data.transfer != data.transfer:
        raise Refusal("segment_invalid", "The decision is not about the message that caused it.")
    if is_silent(book, data.transfer):
        if entry.out is not UNSET:
            raise Refusal("segment_invalid", "The peer heard this decision before; it is not sent again.")
        return True
    answer = outgoing_message(book, peer, entry)
    expected = m.TransferReceivedMessage if reason is None else m.TransferRejectedMessage
    if type(answer) is not expected:
        raise Refusal("segment_invalid", "The decision is not about the message that caused it.")
    found = answer.data
    assert isinstance(found, m.Received | m.Rejected)
    said = found.reason if isinstance(found, m.Rejected) else None
    if (found.transfer, found.minutes, said) != (data.transfer, data.minutes, reason):
        raise Refusal("segment_invalid", "The decision sent is not the decision written.")
    return False


def sent_data(message: m.AnyMessage, peer: PeerState, position: int) -> m.Sent:
    """What a peer's `transfer.sent` says; raises `Breach` unless it is one, named by its own stream position."""
    if not isinstance(message, m.TransferSentMessage):
        raise Breach("message_misplaced", position, "Only transfer.sent is decided.")
    if not is_born_there(peer, message.data.transfer, receiver=message.subject, position=position):
        raise Breach("message_misplaced", position, "A transfer's id is its position in its stream.")
    said = message.data
    is_refund = said.purpose == "refund"
    if (said.payee is UNSET) != is_refund or {said.refunds is UNSET, said.refunds_at is UNSET} != {not is_refund}:
        raise Breach("message_malformed", position, "A refund names what it gives back, and all else its payee.")
    return said


def open_transfer(book: Book, peer: PeerState, message: m.AnyMessage, position: int) -> OpenTransfer:
    """The transfer that a peer's decision is about; raises `Breach` when there is none, or with other minutes."""
    assert isinstance(message, m.TransferReceivedMessage | m.TransferRejectedMessage)
    found = book.open_transfers.get(message.data.transfer)
    if found is None or found.peer != peer.peer:
        raise Breach("decision_unfounded", position, "There is no open transfer of this id.")
    if found.minutes != message.data.minutes:
        raise Breach("decision_minutes", position, f"Sent were {found.minutes} minutes.")
    return found


def settled(book: Book, entry: e.TransferSettled) -> None:
    peer, message, chain = incoming_message(book, entry)
    if not isinstance(message, m.TransferReceivedMessage) or entry.out is not UNSET:
        raise Refusal("segment_invalid", "transfer.settled follows the message transfer.received, and sends none.")
    found = open_transfer(book, peer, message, peer.incoming.n + 1)
    _same_transfer(entry, message.data.transfer)
    if entry.postings != [(transit(peer.peer), -found.minutes), (clearing(peer.peer), found.minutes)]:
        raise Refusal("posting_invalid", "The postings are not those of the transfer.")
    _close_transfer(book, message.data.transfer, found)
    book.change_debt(peer, found.minutes, -found.minutes)
    advance_incoming(book, peer, chain)


def returned(book: Book, entry: e.TransferReturned) -> None:
    if entry.in_ is UNSET:
        _given_up(book, entry)
        return
    peer, message, chain = incoming_message(book, entry)
    if not isinstance(message, m.TransferRejectedMessage) or entry.out is not UNSET:
        raise Refusal("segment_invalid", "transfer.returned follows the message transfer.rejected, and sends none.")
    found = open_transfer(book, peer, message, peer.incoming.n + 1)
    _same_transfer(entry, message.data.transfer)
    if entry.data.reason != message.data.reason or entry.data.registry is not UNSET:
        raise Refusal("segment_invalid", "The reason is the peer's.")
    if entry.postings != [(transit(peer.peer), -found.minutes), (found.payer, found.minutes)]:
        raise Refusal("posting_invalid", "The postings are not those of the transfer.")
    _take_back(book, peer, entry, found)
    advance_incoming(book, peer, chain)


def _given_up(book: Book, entry: e.TransferReturned) -> None:
    """The payee's town was closed for ever before it decided, as far as this journal will ever know."""
    found = book.open_transfers.get(entry.data.transfer)
    if found is None:
        raise Refusal("transfer_unknown")
    peer = book.peers[found.peer]
    check_given_up(book, entry, peer)
    if entry.out is not UNSET:
        raise Refusal("segment_invalid", "Nobody is told.")
    if entry.postings != [(transit(peer.peer), -found.minutes), (found.payer, found.minutes)]:
        raise Refusal("posting_invalid", "The postings are not those of the transfer.")
    _take_back(book, peer, entry, found)


def _take_back(book: Book, peer: PeerState, entry: e.TransferReturned, found: OpenTransfer) -> None:
    _close_transfer(book, entry.data.transfer, found)
    book.accounts[found.payer].balance += found.minutes
    book.change_debt(peer, 0, -found.minutes)
    if found.refunds:
        book.refunded[found.refunds] -= found.minutes
        if not book.refunded[found.refunds]:
            del book.refunded[found.refunds]
    if found.claimed is not None and entry.data.reason != "claim_withdrawn":
        open_again(book, found.claim, found.claimed, time=entry.time)


def _close_transfer(book: Book, transfer: str, found: OpenTransfer) -> None:
    del book.open_transfers[transfer]
    book.accounts[found.payer].in_transit -= found.minutes


def _same_transfer(entry: e.TransferSettled | e.TransferReturned, transfer: str) -> None:
    if entry.data.transfer != transfer:
        raise Refusal("segment_invalid", "The entry names another transfer than the message.")


def _peer(book: Book, peer: str) -> PeerState:
    found = book.peers.get(peer)
    if found is None:
        raise Refusal("peer_unknown")
    return found


def _pair(entry: e.Entry, *, second: str) -> tuple[str, int]:
    postings = entry.postings
    if postings is UNSET or len(postings) != 2 or postings[1][0] != second:
        raise Refusal("posting_invalid")
    (payer, minutes), (_, other) = postings
    if minutes >= 0 or other != -minutes:
        raise Refusal("posting_invalid")
    return payer, minutes


def _pair_credit(entry: e.Entry, *, first: str) -> tuple[str, int]:
    postings = entry.postings
    if postings is UNSET or len(postings) != 2 or postings[0][0] != first:
        raise Refusal("posting_invalid")
    (_, minutes), (payee, other) = postings
    if minutes >= 0 or other != -minutes:
        raise Refusal("posting_invalid")
    return payee, other
