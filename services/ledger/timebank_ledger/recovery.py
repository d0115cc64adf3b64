"""What a peer hands back after this node lost state. Pure: the counterpart of `peers.py` for our own old messages.

    our own old segment  ──▶ segment.recovered, then message.recovered for each message that is lost
    the peer's last word ──▶ stream.recovered; then the edge has said again what the peer never applied
Source: design page 2, "Rollback and generations"; decision 0010; PROTOCOL.md X8 to X11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, Raw

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import apply
from timebank_contracts.errors import Refusal
from timebank_contracts.names import transit
from timebank_contracts.rules_returning import LOST
from timebank_contracts.segments import Segment
from timebank_contracts.state import Book


def is_of_the_past(book: Book, segment: Segment) -> bool:
    """Whether a segment concerns what this node lost: one of its own, or a peer's last word about its old stream."""
    said = segment.statement
    if book.previous is None:
        return False
    if said.from_ == book.me.node:
        return True
    peer = book.peers.get(said.from_)
    returning = None if peer is None else peer.returning
    if returning is None or returning.takes or said.count or said.registry < book.previous.registry:
        # Said before its peer.generation_closed: it may apply more of the old generation yet.
        return False
    return said.heard.generation == returning.generation


def recover(book: Book, segment: Segment, *, payers: Mapping[str, str], time: str) -> list[e.Entry]:
    """Enter what a peer hands back.

    Args:
        book: the writer's own; changed when entries are returned, and half changed when this raises.
        segment: as `is_of_the_past` says.
        payers: transfer → the account that its tag names, for those that have one.
        time: the clock's time in wire form.

    Returns:
        The entries, already applied; none for a last word that was entered before.

    Raises:
        Refusal: `segment_invalid`: it is not what follows, or its signature does not count here.
    """
    now = max(time, book.time)
    said = segment.statement
    if said.from_ == book.me.node:
        return _own(book, segment, payers, now)
    returning = book.peers[said.from_].returning
    if returning is None or returning.until >= 0:
        return []
    by = e.Actor(kind="peer", id=said.from_)
    data = e.StreamRecovered(peer=said.from_, envelope=Raw(segment.envelope))
    entry = e.StreamRecoveredEntry(n=book.n, time=now, by=by, data=data)
    apply(book, entry)
    return [entry]


def _own(book: Book, segment: Segment, payers: Mapping[str, str], now: str) -> list[e.Entry]:
    name = segment.statement.to
    peer = book.peers.get(name)
    returning = None if peer is None else peer.returning
    if returning is None:
        raise Refusal("segment_invalid", "Nothing is left to be recovered from this peer.")
    known = returning.said.n + 1 - segment.statement.first
    by = e.Actor(kind="peer", id=name)
    data = e.SegmentRecovered(peer=name, envelope=Raw(segment.envelope))
    first = e.SegmentRecoveredEntry(n=book.n, time=now, by=by, data=data)
    apply(book, first)
    written: list[e.Entry] = [first]
    for raw in segment.messages[known:]:
        entry = _message(book, name, raw, payers, now, by)
        apply(book, entry)
        written.append(entry)
    return written


def _message(
    book: Book, peer: str, raw: bytes, payers: Mapping[str, str], now: str, by: e.Actor
) -> e.MessageRecoveredEntry:
    message = m.decode_message(raw)
    head: dict[str, Any] = {"n": book.n, "time": now, "by": by, "in_": Raw(raw)}
    if isinstance(message, m.TransferSentMessage):
        said = message.data
        payer = book.accounts.get(payers.get(said.transfer, LOST))
        name = LOST if payer is None or payer.state == "closed" else payer.account
        postings = [(name, -said.minutes), (transit(peer), said.minutes)]
        return e.MessageRecoveredEntry(**head, data=e.MessageRecovered(peer=peer), postings=postings)
    alias = book.aliases.get(message.data.giver) if isinstance(message, m.ClaimMadeMessage) else None
    account = UNSET if alias is None else alias.account
    return e.MessageRecoveredEntry(**head, data=e.MessageRecovered(peer=peer, account=account))
