"""What a command wrote, or wrote before: the answer that the writer gives for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from timebank_contracts import entries as e
from timebank_contracts.accept import Duplicate, Gap, StopsAt, Unsigned
from timebank_contracts.book import Book, Read
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.segments import Segment, parse_segment
from timebank_ledger import commands as c
from timebank_ledger.layer import layer_over
from timebank_ledger.peers import freeze, take_segment
from timebank_ledger.recovery import is_of_the_past, recover


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a segment.

    `high` is the stream position applied so far, `heard` what the peer said that it applied of ours.
    """

    outcome: str
    """fresh, duplicate, gap, stops, frozen, unsigned, refused; or recovered: of what this node had lost."""
    high: int
    heard: int
    position: int | None = None
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The answer to a command: its entries (none for a duplicate segment) and, for a segment, what became of it."""

    entries: Sequence[e.Entry] = ()
    outcome: Outcome | None = None
    repeated: bool = False
    """The answer was rebuilt from the entry that the same key wrote before."""


def repeated(command: c.Command, earlier: dict[str, e.Entry]) -> Written | None:
    """The answer of the entry that the command's key wrote, if there is one; raises `Refusal` for other content."""
    entry = None if command.key is None else earlier.get(command.key)
    if entry is None:
        return None
    if entry.command != command.digest:
        raise Refusal("key_reused")
    return Written(entries=[entry], repeated=True)


def enter_segment(book: Book, command: c.TakeSegment, *, time: str, read: Read) -> Written:
    """Enter a peer's segment, or what its breach of the contract leads to, and say what became of it.

    `read` gives an earlier entry, for what a refund gives back.

    Raises:
        Malformed: it is no segment.
        RolledBack: it proves that this journal lost entries that the peer has.
    """
    raw = command.raw
    segment = parse_segment(raw)
    if is_of_the_past(book, segment):
        return _recovered(book, segment, dict(command.payers), time=time)
    sender = segment.statement.from_
    length = book.n

    def became(outcome: str, **more: Any) -> Outcome:
        peer = book.peers.get(sender)
        high, heard = (0, 0) if peer is None else (peer.incoming.n, peer.heard)
        return Outcome(outcome=outcome, high=high, heard=heard, **more)

    try:
        entries, judged = take_segment(book, raw, time=time, read=read)
    except Unsigned as refusal:
        return Written(outcome=became("unsigned", code=refusal.code, detail=refusal.detail))
    except Refusal as refusal:
        assert book.n == length, "a segment is taken whole or not at all"
        return Written(outcome=became("refused", code=refusal.code, detail=refusal.detail))
    except StopsAt as stop:
        return Written(outcome=became("stops", position=stop.position, detail=str(stop)))
    except Breach as breach:
        entries = freeze(book, raw, breach, time=time)
        frozen = became("frozen", position=breach.position, code=breach.code, detail=breach.detail)
        return Written(entries=entries, outcome=frozen)
    kind = "duplicate" if isinstance(judged, Duplicate) else "gap" if isinstance(judged, Gap) else "fresh"
    return Written(entries=entries, outcome=became(kind))


def _recovered(book: Book, segment: Segment, payers: dict[str, str], *, time: str) -> Written:
    """Enter what a peer hands back after this node lost state; `high` is how far our old stream to it is known."""
    said = segment.statement
    name = said.to if said.from_ == book.me.node else said.from_
    try:
        # First on a layer: what is refused at its second message must not leave the first behind.
        recover(layer_over(book), segment, payers=payers, time=time)
    except Refusal as refusal:
        return Written(outcome=Outcome(outcome="refused", high=0, heard=0, code=refusal.code, detail=refusal.detail))
    entries = recover(book, segment, payers=payers, time=time)
    peer = book.peers[name]
    high = said.heard.n if peer.returning is None else peer.returning.said.n
    return Written(entries=entries, outcome=Outcome(outcome="recovered", high=high, heard=0))
