"""Rules that are broken on purpose: the simulation must notice each of them."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.simulation.registries import public
from tests.simulation.rules import Rules
from timebank_contracts.registry import Registry
from timebank_contracts.segments import parse_segment
from timebank_contracts.state import Book
from timebank_contracts.streams import StreamHead
from timebank_federation.outgoing import Due, Outgoing
from timebank_ledger.peers import take_segment


def without_high_water_mark(book: Book, raw: bytes, *, time: str) -> tuple[list[Any], Any]:
    """Believes that whatever comes is new."""
    statement = parse_segment(raw).statement
    peer = book.peers.get(statement.from_)
    if peer is not None and 0 < statement.count <= statement.last <= peer.incoming.n:
        peer.incoming = StreamHead(statement.first - 1, bytes.fromhex(statement.prior))
    return take_segment(book, raw, time=time)


class OnceOnly(Outgoing):
    """Sends everything once: no repetition, no statement."""

    __slots__ = ()

    def due(self, now: float) -> Due | None:
        found = super().due(now)
        return found if found is not None and found.why == "fresh" else None

    def due_at(self, now: float) -> float:
        return now if self.sent < self.head else now + 10.0


def with_a_stranger(registry: Registry) -> Registry:
    """Lets the attacker sign for every town."""
    nodes = [
        msgspec.structs.replace(node, event_keys=[*node.event_keys[:3], public("attacker")]) for node in registry.nodes
    ]
    return msgspec.structs.replace(registry, nodes=nodes)


VARIANTS: dict[str, tuple[Rules, str]] = {
    "the receiver skips the high-water mark": (Rules(take_segment=without_high_water_mark), "P3"),
    "the sender never repeats": (Rules(outgoing=OnceOnly), "P8"),
    "the writer answers before the commit": (Rules(answers_after_commit=False), "P2"),
    "the sender does not wait for the commit": (Rules(sends_after_commit=False), "P6"),
    "nobody looks keys up": (Rules(looks_keys_up=False), "P3"),
    "a commit can be torn": (Rules(commits_whole_batches=False), "P8"),
    "an attacker's key counts": (Rules(read_registry=with_a_stranger), "P6"),
}
"""What is broken → the rules, and the promise that some seed must see broken."""
