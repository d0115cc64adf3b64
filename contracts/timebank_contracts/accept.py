"""Accepting a segment: everything that is judged before its first entry is written. Pure.

The answer is one of `Duplicate`, `Gap` and `Fresh`; or an exception says why the segment has no effect at all, why its
stream freezes (`Breach`), where it waits for an upgrade (`StopsAt`), or why this node itself must stop (`RolledBack`).
Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S5 to S10.
"""

from __future__ import annotations

from typing import NamedTuple

from timebank_contracts import messages as m
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.rules_between import open_transfer, sent_data
from timebank_contracts.rules_claims_between import claimed_data, named_claim
from timebank_contracts.rules_generations import said_again
from timebank_contracts.rules_streams import Stale, check_heard, check_statement, decode_incoming
from timebank_contracts.rules_thanks import thanked_side
from timebank_contracts.segments import Segment, is_signed_by
from timebank_contracts.state import Book, PeerState
from timebank_contracts.streams import fold


class Duplicate(NamedTuple):
    """Nothing new; `high` is what was applied of this stream before."""

    high: int


class Gap(NamedTuple):
    """Messages are missing: pull from `after` + 1."""

    after: int


class Fresh(NamedTuple):
    """The messages to enter, in order; the first has position `first`."""

    first: int
    messages: list[bytes]


class Unsigned(Refusal):
    """No key in force signed it: no effect at all (quarantined, bounded)."""


class StopsAt(Exception):
    """The message at `position` is of a type that this version does not know; those before it are good."""

    def __init__(self, position: int) -> None:
        super().__init__(f"The message at stream position {position} needs a newer version of the node.")
        self.position = position


class RolledBack(Exception):
    """Proof that this journal once held more, or something else, or is over: the node stops writing (P10)."""


def judge_segment(book: Book, segment: Segment) -> Duplicate | Gap | Fresh:
    """Judge a parsed segment against the book, and change nothing.

    Raises:
        Unsigned: no event key of the peer in force here signed it.
        Refusal: another network, node, generation, an unknown or closed peer, a frozen stream, another chain.
        Stale: the peer answers another generation of this node.
        RolledBack: the peer heard what this journal does not hold.
        Breach: the next message breaks the contract (a later one: `StopsAt` its position, to take those before first).
        StopsAt: a message type of a later version.
    """
    statement = segment.statement
    peer = check_statement(book, statement)
    if not is_signed_by(segment.envelope, peer.event_keys):
        raise Unsigned("segment_invalid", "No key of this peer in force here signed the segment.")
    try:
        check_heard(book, peer, statement)
    except Stale:
        raise
    except Refusal as refusal:
        raise RolledBack(f"Segment from {peer.peer}: {refusal.detail}") from refusal
    mark = peer.incoming
    if statement.first > mark.n + 1:
        return Gap(mark.n)
    known = mark.n + 1 - statement.first
    if statement.last == mark.n and bytes.fromhex(statement.head) != mark.chain:
        raise Refusal("segment_invalid", "The segment ends in another chain value than the one applied here.")
    if statement.last <= mark.n:
        return Duplicate(mark.n)
    passed = [bytes.fromhex(statement.prior), *fold(bytes.fromhex(statement.prior), segment.messages[:known])]
    if passed[known] != mark.chain:
        raise Refusal("segment_invalid", "The segment does not pass through the chain applied here (equivocation).")
    fresh = segment.messages[known:]
    _check_messages(book, peer, fresh)
    return Fresh(mark.n + 1, fresh)


def _check_messages(book: Book, peer: PeerState, fresh: list[bytes]) -> None:
    first = peer.incoming.n + 1
    decided: set[str] = set()
    again = dict(peer.ended)
    try:
        for position, raw in enumerate(fresh, start=first):
            name = _check_message(book, peer, raw, position, decided, again)
            _check_again(peer, name, position, again)
    except m.UnknownType as error:
        raise StopsAt(position) from error
    except Breach as breach:
        if breach.position == first:
            raise
        raise StopsAt(breach.position) from breach


def _check_again(peer: PeerState, name: str | None, position: int, again: dict[str, int]) -> None:
    """What an earlier generation had said comes in its order, each once, in one segment too."""
    found = None if name is None else said_again(peer, name)
    if found is None:
        return
    if found.position <= again[found.generation]:
        raise Breach("message_misplaced", position, "The earlier generation said this before what came just now.")
    again[found.generation] = found.position


def _check_message(
    book: Book, peer: PeerState, raw: bytes, position: int, decided: set[str], again: dict[str, int]
) -> str | None:
    """Judge one message; returns the id that it gives to something new."""
    message = decode_incoming(book, peer, raw, position)
    match message:
        case m.TransferSentMessage():
            return sent_data(message, peer, position).transfer
        case m.ClaimMadeMessage():
            return claimed_data(message, peer, position).claim
        case m.ClaimWithdrawnMessage() | m.ClaimDisputedMessage():
            named_claim(book, message, peer, position, ended=again)
        case m.ThanksGivenMessage():
            thanked_side(book, message, peer, position, ended=again)
        case _:
            open_transfer(book, peer, message, position)
            if message.data.transfer in decided:
                raise Breach("decision_unfounded", position, "The transfer was decided before.")
            decided.add(message.data.transfer)
    return None
