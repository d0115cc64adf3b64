"""What a peer handed back to a town that lost state, as the second books see it: it happened, past every limit.

`claim_books.py` hands over each `message.recovered`; what it decides of the peer's own beforehand is *forced*, and
`between_books.py` looks there when that comes again. Source: PROTOCOL.md X9, X12.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET

from tests.simulation.between_books import PUT_TO_NOBODY, Began, BetweenBooks, Sent, UnderWay
from timebank_contracts import entries as e
from timebank_contracts import messages as m


def recall(books: BetweenBooks, entry: e.MessageRecoveredEntry) -> None:
    """Keep a recovered message."""
    message = m.decode_message(bytes(entry.in_))  # type: ignore[arg-type]  # the rules demand it
    match message:
        case m.TransferSentMessage():
            _sent(books, entry, message.data)
        case m.ClaimMadeMessage(data=made):
            _made(books, entry, made)
        case m.TransferReceivedMessage() | m.TransferRejectedMessage():
            books.forced[message.data.transfer] = "decided"
        case m.ClaimWithdrawnMessage(data=withdrawn):
            books.sent.pop(withdrawn.claim, None)
            books.ended[withdrawn.claim] = "withdrawn"
        case m.ClaimDisputedMessage(data=disputed):
            _disputed(books, disputed)
        case m.ThanksGivenMessage(data=thanked):
            side = "payer" if thanked.transfer.startswith(f"{books.node}.") else "payee"
            books.thanked.add((thanked.transfer, side))


def _sent(books: BetweenBooks, entry: e.MessageRecoveredEntry, data: m.Sent) -> None:
    assert entry.postings is not UNSET
    at = datetime.fromisoformat(entry.time)
    books.began[entry.n] = Began(data.transfer, at, entry.data.peer, entry.postings[0][0], data.minutes, ("payer",))
    books.recalled[data.transfer] = entry.n
    way = books.under_way[data.transfer] = UnderWay(data.minutes, is_recovered=True)
    if data.refunds is not UNSET:
        way.refunds = data.refunds
        books.given_back[way.refunds] = books.given_back.get(way.refunds, 0) + data.minutes
    if data.claim is not UNSET:
        way.claim = data.claim
        way.put = books.put.pop(way.claim, None)
        if way.put is None and way.claim not in books.heard_ever:
            books.forced[way.claim] = "paid"


def _made(books: BetweenBooks, entry: e.MessageRecoveredEntry, data: m.Claimed) -> None:
    books.sent_ever[data.claim] = entry.data.peer
    if entry.data.account is UNSET:
        books.ended[data.claim] = "expired"
    else:
        until = datetime.fromisoformat(data.expires_at)
        books.sent[data.claim] = Sent(entry.data.account, entry.data.peer, until)


def _disputed(books: BetweenBooks, data: m.Disputed) -> None:
    if data.claim not in books.heard_ever:
        books.forced[data.claim] = "refused" if data.reason in PUT_TO_NOBODY else "disputed"
    elif data.claim in books.put:
        books.put[data.claim].disputed = True
