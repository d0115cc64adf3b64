"""Bugs of the protocol between towns, planted on purpose: what is taken, what is sent, which limit is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from tests.simulation.registries import public
from tests.simulation.return_variants import RETURN_VARIANTS
from tests.simulation.rules import Rules
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import Read
from timebank_contracts.registry import Registry
from timebank_contracts.segments import parse_segment
from timebank_contracts.state import Book
from timebank_contracts.streams import StreamHead
from timebank_federation.outgoing import Outgoing
from timebank_ledger import commands as c
from timebank_ledger.peers import take_segment
from timebank_ledger.propose import perform
from timebank_ledger.timer import due_commands

UNBOUNDED = 1 << 50
Perform = Callable[..., list[Any]]
Take = Callable[..., tuple[list[Any], Any]]


def skipping_what_is_missing(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """A gap is not waited for."""
    statement = parse_segment(raw).statement
    peer = book.peers.get(statement.from_)
    if peer is not None and statement.count and statement.first > peer.incoming.n + 1:
        peer.incoming = StreamHead(statement.first - 1, bytes.fromhex(statement.prior))
    return take_segment(book, raw, time=time, read=read)


def taking_a_recut_whole(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """A segment that overlaps what was applied is taken from its first message on."""
    statement = parse_segment(raw).statement
    peer = book.peers.get(statement.from_)
    if peer is not None and 0 < statement.first <= peer.incoming.n < statement.last:
        peer.incoming = StreamHead(statement.first - 1, bytes.fromhex(statement.prior))
    return take_segment(book, raw, time=time, read=read)


def giving_up_on_time_out(book: Book, time: str) -> Iterator[c.Command]:
    """What has had no answer for a while is returned."""
    yield from due_commands(book, time)
    for name in list(book.open_transfers):
        yield c.ReturnTransfer(by=e.Actor(kind="rule"), transfer=name)


def returning_at_once(book: Book, command: c.Command, **rest: Any) -> list[Any]:
    """Believes of every town that it is closed when a transfer is to be returned."""
    found = book.open_transfers.get(command.transfer) if isinstance(command, c.ReturnTransfer) else None
    if found is None:
        return perform(book, command, **rest)
    peer = book.peers[found.peer]
    before = (peer.state, peer.ended)
    peer.state, peer.ended = "closed", {**peer.ended, peer.generation: peer.incoming.n}
    try:
        return perform(book, command, **rest)
    finally:
        peer.state, peer.ended = before


def saying_yes_to_all(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """What the payee's town rejects, its message calls received."""
    written, judged = take_segment(book, raw, time=time, read=read)
    for place, entry in enumerate(written):
        if isinstance(entry, e.TransferRejected) and entry.out:
            no = m.decode_message(bytes(entry.out))
            assert isinstance(no, m.TransferRejectedMessage)
            data = m.Received(transfer=no.data.transfer, minutes=no.data.minutes)
            head = {name: getattr(no, name) for name in ("id", "source", "specversion", "subject", "time")}
            yes = m.TransferReceivedMessage(**head, data=data)
            written[place] = msgspec.structs.replace(entry, out=msgspec.Raw(m.encode_decision(yes)))
    return written, judged


def taking_refunds_off_twice(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """A refund that comes back is taken off what was given back, and once more."""
    before = dict(book.open_transfers)
    written, judged = take_segment(book, raw, time=time, read=read)
    for entry in written:
        if isinstance(entry, e.TransferReturned) and before[entry.data.transfer].refunds:
            found = before[entry.data.transfer]
            book.refunded[found.refunds] = book.refunded.get(found.refunds, 0) - found.minutes
    return written, judged


class Deaf(Outgoing):
    """Does not take notice of what the peer heard."""

    __slots__ = ()

    def heard_from(self, *, heard: int, now: float) -> None:
        super().heard_from(heard=0, now=now)


def with_retired_keys(registry: Registry) -> Registry:
    """A key that was once in force stays so."""
    nodes = []
    for node in registry.nodes:
        numbers = [n for n in range(1, registry.version + 1) if public(f"{node.node} event {n}") in node.event_keys]
        earlier = [public(f"{node.node} event {n}") for n in range(max(1, min(numbers) - 2), min(numbers))]
        nodes.append(msgspec.structs.replace(node, event_keys=[*earlier, *node.event_keys]))
    return msgspec.structs.replace(registry, nodes=nodes)


@contextmanager
def changed(things: Sequence[Any], **fields: Any) -> Iterator[None]:
    """These fields of all of them are others for a while."""
    before = [{name: getattr(thing, name) for name in fields} for thing in things]
    for thing in things:
        for name, value in fields.items():
            setattr(thing, name, value)
    try:
        yield
    finally:
        for thing, values in zip(things, before, strict=True):
            for name, value in values.items():
                setattr(thing, name, value)


def sending_with(of: Callable[[Book], Sequence[Any]], **fields: Any) -> Perform:
    """Sends as if these fields of the book's things had other values."""

    def variant(book: Book, command: c.Command, **rest: Any) -> list[Any]:
        if not isinstance(command, c.SendTransfer):
            return perform(book, command, **rest)
        with changed(of(book), **fields):
            return perform(book, command, **rest)

    return variant


def taking_with(of: Callable[[Book], Sequence[Any]], **fields: Any) -> Take:
    """Takes a segment as if these fields of the book's things had other values."""

    def variant(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
        with changed(of(book), **fields):
            return take_segment(book, raw, time=time, read=read)

    return variant


def peers(book: Book) -> Sequence[Any]:
    """All of a book."""
    return list(book.peers.values())


def open_peers_only_here(book: Book) -> Sequence[Any]:
    """Those that are suspended."""
    return [peer for peer in book.peers.values() if peer.state == "suspended"]


def holders(book: Book) -> Sequence[Any]:
    """All accounts of people."""
    return [account for account in book.accounts.values() if account.kind == "member"]


def the_book(book: Book) -> Sequence[Any]:
    """The book itself."""
    return [book]


def frozen_peers(book: Book) -> Sequence[Any]:
    """Those whose streams stand still."""
    return [peer for peer in book.peers.values() if peer.frozen]


PROTOCOL_VARIANTS: dict[str, tuple[Rules, str]] = {
    "a position is skipped": (Rules(take_segment=skipping_what_is_missing), "P3"),
    "a re-cut segment is taken whole": (Rules(take_segment=taking_a_recut_whole), "P3"),
    "a transfer comes back on time-out": (
        Rules(perform=returning_at_once, due_commands=giving_up_on_time_out),
        "P4",
    ),
    "the sender drops heard": (Rules(outgoing=Deaf), "P8"),
    "keys are lost at a restart": (Rules(remembers_keys=False), "P3"),
    "a retired key counts": (Rules(read_registry=with_retired_keys), "P6"),
    "the payee's town has no limit": (Rules(take_segment=taking_with(peers, owed_limit=UNBOUNDED)), "P5"),
    "the payer's town has no limit": (Rules(perform=sending_with(peers, owe_limit=UNBOUNDED)), "P5"),
    "a payee has no ceiling": (Rules(take_segment=taking_with(holders, ceiling=UNBOUNDED)), "P5"),
    "a payer has no floor": (Rules(perform=sending_with(holders, floor=-UNBOUNDED)), "P5"),
    "one sends to a suspended town": (Rules(perform=sending_with(open_peers_only_here, state="open")), "P5"),
    "one takes from a suspended town": (Rules(take_segment=taking_with(open_peers_only_here, state="open")), "P5"),
    "a frozen stream is taken": (Rules(take_segment=taking_with(frozen_peers, frozen=False)), "P6"),
    "the debt to all has no limit": (Rules(perform=sending_with(the_book, debt_limit=UNBOUNDED)), "P5"),
    "a transfer is settled without a decision": (Rules(take_segment=saying_yes_to_all), "P4"),
    "a returned refund counts twice": (Rules(take_segment=taking_refunds_off_twice), "P1"),
    **RETURN_VARIANTS,
}
"""What is broken → the rules, and the promise that some seed must see broken."""
