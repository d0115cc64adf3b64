"""Rules of transfers: within the town and between towns. (Taken back: `rules_reversal.py`.)

    posted                        sent ── received ──▶ settled
                                    └──── rejected ──▶ returned        (the payee's node decides, once)

Each rule checks first and changes the book last. Signs: a balance is what the town owes the holder.
Source: design page 2, "Transfer between towns" and "Signs, limits, identities"; PROTOCOL.md T1 to T11, T14.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.moments import served_on_is_possible
from timebank_contracts.names import clearing, federated_transfer, transit
from timebank_contracts.rules_accounts import BROKERS, check_programme, open_account
from timebank_contracts.rules_claims import check_confirmation, note_confirmation
from timebank_contracts.rules_streams import (
    advance_incoming,
    advance_outgoing,
    incoming_message,
    outgoing_message,
)
from timebank_contracts.state import PAYABLE_KINDS, Account, Book, OpenTransfer, PeerState


class Side(NamedTuple):
    """Which kinds a purpose takes from and gives to, and whether only a broker may do it."""

    debits: frozenset[str]
    credits: frozenset[str]
    by_broker: bool


_POT: Final = frozenset({"pot"})
_ANY: Final = PAYABLE_KINDS | _POT
PURPOSES: Final[dict[str, Side]] = {
    "service": Side(PAYABLE_KINDS, PAYABLE_KINDS, by_broker=False),
    "gift": Side(PAYABLE_KINDS, PAYABLE_KINDS, by_broker=False),
    "pot": Side(PAYABLE_KINDS, _POT, by_broker=False),
    "support": Side(_POT, PAYABLE_KINDS, by_broker=True),
    "grant": Side(frozenset({"grant"}), _ANY, by_broker=True),
    "correction": Side(_ANY, _ANY, by_broker=True),
    "opening": Side(_ANY | {"opening"}, _ANY | {"opening"}, by_broker=True),
}
_GROUP: Final = Side(_ANY, _ANY, by_broker=False)
"""A service of three postings or more is a group session: the pot takes or gives the difference."""


def posted(book: Book, entry: e.TransferPosted) -> None:
    postings, data = entry.postings, entry.data
    if postings is UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid")
    is_service = data.purpose == "service"
    debits, credits, by_broker = _GROUP if is_service and len(postings) > 2 else PURPOSES[data.purpose]
    if by_broker and entry.by.kind not in BROKERS:
        raise Refusal("purpose_invalid", f"A transfer of purpose {data.purpose} is made by a broker or operator.")
    accounts = book.accounts
    total = 0
    legs = []
    for account_id, minutes in postings:
        account = accounts.get(account_id)
        if account is None:
            raise Refusal("account_unknown")
        if not -MINUTES_MAX <= minutes <= MINUTES_MAX:
            raise Refusal("amount_out_of_range")
        total += minutes
        legs.append((account, minutes))
        # This is the hot path of every replay: the plain case is seen here, what is not plain is named by the check.
        if minutes < 0:
            if account.state != "open" or account.kind not in debits or account.balance + minutes < account.floor:
                check_debit(account, -minutes, debits)
        elif minutes == 0:
            raise Refusal("posting_invalid")
        elif (
            account.state == "closed"
            or account.kind not in credits
            or account.balance + account.in_transit + minutes > account.ceiling
        ):
            check_credit(account, minutes, credits)
    if total or (postings[0][0] == postings[1][0] if len(postings) == 2 else len(dict(postings)) != len(postings)):
        raise Refusal("posting_invalid")
    if is_service:
        if data.activity is UNSET or data.served_on is UNSET:
            raise Refusal("service_incomplete")
        # The day of a claim was judged when it was made: a confirmation may come months later.
        if data.claim is UNSET and not served_on_is_possible(data.served_on, entry.time[:10]):
            raise Refusal("served_on_invalid")
    elif data.activity is not UNSET or data.given is not UNSET:
        raise Refusal("purpose_invalid", "Only a service has an activity and given minutes.")
    if data.given is not UNSET:
        _check_given(data.given, postings)
    if data.reason is not UNSET or data.purpose == "support":
        _check_reason(data)
    if data.programme is not UNSET:
        check_programme(book, data.programme)
    confirmed = None if data.claim is UNSET else check_confirmation(book, entry, data.claim)
    for account, minutes in legs:
        account.balance += minutes
    if confirmed is not None:
        note_confirmation(book, entry, confirmed)


_REASONED: Final = frozenset({"support", "grant", "correction"})


def _check_reason(data: e.Posted) -> None:
    if data.purpose not in _REASONED or (data.purpose == "support" and data.reason is UNSET):
        raise Refusal("reason_needed")


def check_debit(account: Account, minutes: int, kinds: frozenset[str]) -> None:
    """Raise unless `minutes` may leave the account; `kinds` are those that the purpose allows."""
    if account.state != "open":
        raise Refusal(f"account_{account.state}")
    if account.kind not in kinds:
        raise Refusal("purpose_invalid", f"This purpose takes nothing from an account of kind {account.kind}.")
    if account.balance - minutes < account.floor:
        raise Refusal("floor")


def check_credit(account: Account, minutes: int, kinds: frozenset[str]) -> None:
    """Raise unless `minutes` may come to the account; `kinds` are those that the purpose allows."""
    if account.state == "closed":
        raise Refusal("account_closed")
    if account.kind not in kinds:
        raise Refusal("purpose_invalid", f"This purpose gives nothing to an account of kind {account.kind}.")
    if account.balance + account.in_transit + minutes > account.ceiling:
        raise Refusal("ceiling_exceeded")


def _check_given(given: e.Shares, postings: e.Postings) -> None:
    credited = {account for account, minutes in postings if minutes > 0}
    givers = [account for account, _ in given]
    if len(set(givers)) != len(givers) or not credited.issuperset(givers):
        raise Refusal("posting_invalid", "Given minutes belong to accounts that are credited, each named once.")
    if any(not 1 <= minutes <= MINUTES_MAX for _, minutes in given):
        raise Refusal("amount_out_of_range")


def sent(book: Book, entry: e.TransferSent) -> None:
    peer = _peer(book, entry.data.peer)
    message = outgoing_message(book, peer, entry)
    payer_id, minutes = _pair(entry, second=transit(peer.peer))
    if type(message) is not m.TransferSentMessage:
        raise Refusal("segment_invalid", "transfer.sent sends the message transfer.sent.")
    data = message.data
    position = peer.outgoing.n + 1
    if data.transfer != federated_transfer(book.me.node, book.me.generation, peer.peer, position):
        raise Refusal("segment_invalid", "A transfer's id is its position in its stream.")
    if data.minutes != -minutes:
        raise Refusal("posting_invalid", "The message says other minutes than the postings.")
    if peer.state != "open":
        raise Refusal("peer_suspended")
    if peer.frozen:
        raise Refusal("stream_frozen")
    payer = open_account(book, payer_id)
    check_debit(payer, data.minutes, PAYABLE_KINDS)
    if peer.debt + data.minutes > peer.owe_limit:
        raise Refusal("pair_limit_exceeded")
    if book.debt - max(0, peer.debt) + max(0, peer.debt + data.minutes) > book.debt_limit:
        raise Refusal("debt_limit_exceeded")
    _check_service(data, entry.time)
    if entry.data.programme is not UNSET:
        check_programme(book, entry.data.programme)
    payer.balance -= data.minutes
    payer.in_transit += data.minutes
    book.change_debt(peer, 0, data.minutes)
    book.open_transfers[data.transfer] = OpenTransfer(peer.peer, payer_id, data.minutes, entry.n, entry.time)
    advance_outgoing(peer, entry)


def _check_service(data: m.Sent, time: str) -> None:
    if data.purpose == "service":
        if data.activity is UNSET or data.served_on is UNSET:
            raise Refusal("service_incomplete")
        if not served_on_is_possible(data.served_on, time[:10]):
            raise Refusal("served_on_invalid")
    elif data.activity is not UNSET or data.given_minutes is not UNSET:
        raise Refusal("purpose_invalid", "Only a service has an activity and given minutes.")


def decide(book: Book, peer: PeerState, data: m.Sent, time: str) -> Account | str:
    """The decision about a transfer that a peer sent: the account to credit, or the reason of the rejection.

    The order of the reasons is part of the rules: two readers of one journal name the same reason.
    """
    if peer.state != "open":
        return "peer_suspended"
    alias = book.aliases.get(data.payee)
    if alias is None or (alias.audience is not None and alias.audience != peer.peer):
        return "alias_unknown"
    account = book.accounts[alias.account]
    if account.state == "closed":
        return "account_closed"
    if time > data.expires_at:
        return "expired"
    if -peer.clearing.balance + data.minutes > peer.owed_limit:
        return "pair_limit_exceeded"
    if account.balance + account.in_transit + data.minutes > account.ceiling:
        return "ceiling_exceeded"
    return account


def received(book: Book, entry: e.TransferReceived) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = sent_data(message, peer, peer.incoming.n + 1)
    account = decide(book, peer, data, entry.time)
    if isinstance(account, str):
        raise Refusal(account, "The rules reject this transfer.")
    _decision(book, peer, entry, data, reason=None)
    payee, minutes = _pair_credit(entry, first=clearing(peer.peer))
    if payee != account.account or minutes != data.minutes:
        raise Refusal("posting_invalid", "The postings are not those of the message.")
    book.change_debt(peer, -data.minutes, 0)
    account.balance += data.minutes
    advance_outgoing(peer, entry)
    advance_incoming(book, peer, chain)


def rejected(book: Book, entry: e.TransferRejected) -> None:
    peer, message, chain = incoming_message(book, entry)
    data = sent_data(message, peer, peer.incoming.n + 1)
    reason = decide(book, peer, data, entry.time)
    if entry.postings is not UNSET:
        raise Refusal("posting_invalid", "A rejection moves no minutes.")
    if reason != entry.data.reason:
        raise Refusal("segment_invalid", f"The rules do not reject this transfer for {entry.data.reason}.")
    _decision(book, peer, entry, data, reason=entry.data.reason)
    advance_outgoing(peer, entry)
    advance_incoming(book, peer, chain)


def _decision(
    book: Book,
    peer: PeerState,
    entry: e.TransferReceived | e.TransferRejected,
    data: m.Sent,
    *,
    reason: str | None,
) -> None:
    answer = outgoing_message(book, peer, entry)
    expected = m.TransferReceivedMessage if reason is None else m.TransferRejectedMessage
    if type(answer) is not expected or entry.data.transfer != data.transfer:
        raise Refusal("segment_invalid", "The decision is not about the message that caused it.")
    found = answer.data
    assert isinstance(found, m.Received | m.Rejected)
    said = found.reason if isinstance(found, m.Rejected) else None
    if (found.transfer, found.minutes, said) != (data.transfer, data.minutes, reason):
        raise Refusal("segment_invalid", "The decision sent is not the decision written.")


def sent_data(message: m.AnyMessage, peer: PeerState, position: int) -> m.Sent:
    """What a peer's `transfer.sent` says; raises `Breach` unless it is one, named by its own stream position."""
    if not isinstance(message, m.TransferSentMessage):
        raise Breach("message_misplaced", position, "Only transfer.sent is decided.")
    if message.data.transfer != federated_transfer(peer.peer, peer.generation, message.subject, position):
        raise Breach("message_misplaced", position, "A transfer's id is its position in its stream.")
    return message.data


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
    peer, message, chain = incoming_message(book, entry)
    if not isinstance(message, m.TransferRejectedMessage) or entry.out is not UNSET:
        raise Refusal("segment_invalid", "transfer.returned follows the message transfer.rejected, and sends none.")
    found = open_transfer(book, peer, message, peer.incoming.n + 1)
    _same_transfer(entry, message.data.transfer)
    if entry.data.reason != message.data.reason:
        raise Refusal("segment_invalid", "The reason is the peer's.")
    if entry.postings != [(transit(peer.peer), -found.minutes), (found.payer, found.minutes)]:
        raise Refusal("posting_invalid", "The postings are not those of the transfer.")
    _close_transfer(book, message.data.transfer, found)
    book.accounts[found.payer].balance += found.minutes
    book.change_debt(peer, 0, -found.minutes)
    advance_incoming(book, peer, chain)


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
