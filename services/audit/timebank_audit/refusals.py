"""Which check a refusal of `apply` belongs to. One table; three codes of the book say too little and are looked into.

`apply` refuses and leaves the book as it was, so the book here is the one before the entry.
Source: design page 5, "Checks".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from timebank_audit.log import EntryFile
from timebank_contracts import dsse
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import BREACHES, REFUSALS, Breach, Malformed, Refusal
from timebank_contracts.keys import b64_decode, key_id, verify
from timebank_contracts.segments import PAYLOAD_TYPE, SegmentStatement, open_statement
from timebank_contracts.state import Book, PeerState
from timebank_contracts.streams import chain_next

LOOKED_INTO: Final = frozenset({"segment_invalid", "segment_pending", "posting_invalid", "wrong_position"})
"""Refusals whose check depends on the entry: see `code_of`."""

REFUSED: Final[dict[str, str]] = {
    **dict.fromkeys(REFUSALS, "A39"),
    **dict.fromkeys(LOOKED_INTO, ""),
    "account_unknown": "A31",
    "account_closed": "A31",
    "account_closing": "A31",
    "account_frozen": "A31",
    "programme_unknown": "A31",
    "alias_unknown": "A31",
    "floor": "A32",
    "ceiling_exceeded": "A32",
    "pair_limit_exceeded": "A32",
    "debt_limit_exceeded": "A32",
    "claim_limit": "A32",
    "claim_tolerance": "A32",
    "already_reversed": "A34",
    "refund_exceeded": "A34",
    "not_reversible": "A34",
    "time_order": "A38",
    "claim_unknown": "A42",
    "claim_withdrawn": "A42",
    "money_unknown": "A42",
    "transfer_unknown": "A42",
}
"""Refusal → check; the rest of the rules are A39. Whatever is wrong with a reversal is A34: see `code_of`."""

BREACHED: Final[dict[str, str]] = {
    "message_malformed": "A39",
    "message_misplaced": "A53",
    "decision_unfounded": "A42",
    "decision_minutes": "A41",
    "claim_unfounded": "A42",
    "thanks_unfounded": "A42",
}
"""Breach of the contract by a peer's message that was entered all the same → check."""

assert BREACHED.keys() == BREACHES
_ORDER: Final = frozenset({"time_order", "wrong_position", "segment_pending"})


class _Signatures(msgspec.Struct):
    """The loosest reading of an envelope: whether it has any signature at all."""

    signatures: list[msgspec.Raw]


def code_of(book: Book, entry: e.Entry, error: Refusal | Breach | Malformed, earlier: EntryFile) -> str:
    """The check that this refusal belongs to.

    Args:
        book: the state before the entry.
        entry: the entry that `apply` refused.
        error: how it was refused.
        earlier: the entries before, by position.
    """
    if isinstance(error, m.UnknownType):
        return "A06"
    if isinstance(error, Breach):
        return _breached(book, entry, error)
    if isinstance(error, Malformed):
        return "A39"
    if type(entry) is e.TransferReversed and error.code not in _ORDER:
        return "A34"
    match error.code:
        case "wrong_position":
            return "A33" if _is_again(book, entry, earlier) else "A05"
        case "segment_pending":
            return "A29" if book.pending is None else "A53"
        case "posting_invalid":
            return _postings(entry)
        case "segment_invalid":
            return _segment(book, entry) if isinstance(entry, e.SegmentAcceptedEntry) else _message(book, entry)
    return REFUSED[error.code]


def _is_again(book: Book, entry: e.Entry, earlier: EntryFile) -> bool:
    """Whether the entry is one that stands at its own position already."""
    return entry.n < book.n and earlier[entry.n] == e.encode_entry(entry)


def _postings(entry: e.Entry) -> str:
    if entry.postings is not UNSET and sum([minutes for _, minutes in entry.postings]) != 0:
        return "A30"
    # Balanced, and not what the message of this entry says: the town's side differs from the other's.
    return "A39" if entry.in_ is UNSET and entry.out is UNSET else "A41"


def _message(book: Book, entry: e.Entry) -> str:
    """A29 for a peer's message that does not fold to the head that the peer signed."""
    if entry.in_ is UNSET or book.pending is None:
        return "A39"
    mark = book.peers[book.pending.peer].incoming
    is_last = mark.n + 1 == book.pending.until
    return "A29" if is_last and chain_next(mark.chain, bytes(entry.in_)) != book.pending.head else "A39"


def _breached(book: Book, entry: e.Entry, breach: Breach) -> str:
    if breach.code == "message_misplaced" and entry.in_ is not UNSET and book.pending is not None:
        peer = book.peers[book.pending.peer]
        message = m.decode_message(bytes(entry.in_))
        position = message.id.rpartition("/")[2]
        if position.isdecimal() and 1 <= int(position) <= peer.incoming.n:
            return "A44"
    return BREACHED[breach.code]


def _segment(book: Book, entry: e.SegmentAcceptedEntry) -> str:
    envelope = bytes(entry.data.envelope)
    try:
        statement = open_statement(envelope)
    except Malformed:
        return "A26" if _is_unsigned(envelope) else "A20"
    peer = book.peers.get(statement.from_)
    if peer is None:
        return "A39"
    signature = _judge_signature(envelope, peer)
    return signature or _judge_position(peer, statement)


def _is_unsigned(envelope: bytes) -> bool:
    try:
        return not msgspec.json.decode(envelope, type=_Signatures).signatures
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False


def _judge_signature(envelope: bytes, peer: PeerState) -> str:
    """A20: a key in force is named and did not sign; A21: no key in force is named; nothing: signed."""
    opened = msgspec.json.decode(envelope, type=dsse.Envelope)
    signed = dsse.pae(PAYLOAD_TYPE, b64_decode(opened.payload))
    by_id = {key_id(key): key for key in peer.event_keys}
    named = [signature for signature in opened.signatures if signature.keyid in by_id]
    if not named:
        return "A21"
    for signature in named:
        try:
            if verify(by_id[signature.keyid], signed, b64_decode(signature.sig)):
                return ""
        except Malformed:
            continue
    return "A20"


def _judge_position(peer: PeerState, statement: SegmentStatement) -> str:
    mark = peer.incoming
    if statement.count and statement.last <= mark.n:
        return "A44"
    if statement.first > mark.n + 1:
        return "A53"
    if statement.first == mark.n + 1 and bytes.fromhex(statement.prior) != mark.chain:
        return "A49"
    heard = statement.heard
    if heard.n > peer.outgoing.n:
        return "A49"
    if heard.n >= peer.heard and peer.unheard[heard.n] != bytes.fromhex(heard.chain):
        return "A49"
    return "A39"
