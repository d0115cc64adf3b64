"""Rules of thanks: about a transfer, once from each side, within 90 days; no minutes, and no text.

Source: design page 10, "Thanks"; PROTOCOL.md D13, D14.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.moments import parse_time, show_time
from timebank_contracts.names import parse_transfer
from timebank_contracts.rules_claims import check_person
from timebank_contracts.rules_generations import was_said, we_said
from timebank_contracts.rules_money import transfer_at
from timebank_contracts.rules_refunds import Read
from timebank_contracts.rules_streams import advance_incoming, advance_outgoing, incoming_message, outgoing_message
from timebank_contracts.state import Book, PeerState

THANKS_DAYS: Final = 90
"""How long a transfer can be thanked for."""


def thanks_given(book: Book, entry: e.ThanksGivenEntry, read: Read) -> None:
    if entry.postings is not UNSET:
        raise Refusal("posting_invalid", "Thanks move no minutes.")
    if entry.in_ is not UNSET:
        _from_peer(book, entry)
        return
    check_person(entry)
    said = entry.data
    began = None if said.position is UNSET else read(said.position)
    if began is None or transfer_at(book, began) != said.transfer:
        raise Refusal("transfer_unknown")
    if entry.time > show_time(parse_time(began.time) + timedelta(days=THANKS_DAYS)):
        raise Refusal("thanks_late")
    key = f"{said.transfer} {said.side}"
    if key in book.thanked:
        raise Refusal("thanks_given")
    peer = _peer_told(book, entry, began)
    _forget_old(book, entry.time)
    book.thanked[key] = entry.time
    if peer is not None:
        advance_outgoing(peer, entry)


def _peer_told(book: Book, entry: e.ThanksGivenEntry, began: e.Entry) -> PeerState | None:
    """The peer that the thanks go to, None within the town; raises unless the entry sends exactly that."""
    if isinstance(began, e.TransferPosted):
        if entry.out is not UNSET:
            raise Refusal("segment_invalid", "Thanks within the town send no message.")
        return None
    ours = "payer" if isinstance(began, e.TransferSent | e.MessageRecoveredEntry) else "payee"
    if entry.data.side != ours:
        raise Refusal("purpose_invalid", "Each town thanks for its own side.")
    name = began.data.peer if isinstance(began, e.TransferSent) else began.by.id
    assert isinstance(name, str), "what a peer caused names it"
    peer = book.peers[name]
    message = outgoing_message(book, peer, entry)
    if not isinstance(message, m.ThanksGivenMessage) or message.data.transfer != entry.data.transfer:
        raise Refusal("segment_invalid", "The thanks sent are not those written.")
    return peer


def thanked_side(
    book: Book, message: m.AnyMessage, peer: PeerState, position: int, *, ended: Mapping[str, int] | None = None
) -> str:
    """Which side of a transfer between the two towns a peer thanks for; raises `Breach` when there never was one."""
    assert isinstance(message, m.ThanksGivenMessage)
    me = book.me
    try:
        name = parse_transfer(message.data.transfer)
    except Malformed as error:
        raise Breach("thanks_unfounded", position, str(error)) from error
    if we_said(book, peer, name):
        return "payee"
    theirs = (name.node, name.peer) == (peer.peer, me.node)
    if theirs and was_said(peer, name.generation, name.position, last=position - 1, ended=ended):
        return "payer"
    raise Breach("thanks_unfounded", position, "There never was a transfer of this id between the two towns.")


def _from_peer(book: Book, entry: e.ThanksGivenEntry) -> None:
    peer, message, chain = incoming_message(book, entry)
    if not isinstance(message, m.ThanksGivenMessage) or entry.out is not UNSET:
        raise Refusal("segment_invalid", "A peer's thanks follow from its message, and send none.")
    side = thanked_side(book, message, peer, peer.incoming.n + 1)
    said = entry.data
    if (said.transfer, said.side, said.position) != (message.data.transfer, side, UNSET):
        raise Refusal("segment_invalid", "The entry says other thanks than the message.")
    advance_incoming(book, peer, chain)


def _forget_old(book: Book, time: str) -> None:
    # What was thanked for then began before: it cannot be thanked for any more.
    oldest = show_time(parse_time(time) - timedelta(days=THANKS_DAYS))
    old = []
    for key, thanked_at in book.thanked.items():
        if thanked_at >= oldest:
            break
        old.append(key)
    for key in old:
        del book.thanked[key]
