"""Bugs of the way back, planted on purpose: what a town that lost state puts back, and what its peers take of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import UNSET

from tests.simulation.registries import key_of
from tests.simulation.rules import Rules
from timebank_contracts import entries as e
from timebank_contracts.book import Read
from timebank_contracts.segments import Segment, parse_segment
from timebank_contracts.state import Book
from timebank_ledger.peers import take_segment
from timebank_ledger.recovery import recover

KEYS_TRIED = 12


def forgetting_last_in(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """What a closed generation said, and happened, is taken again."""
    before = {name: peer.ended for name, peer in book.peers.items()}
    for peer in book.peers.values():
        peer.ended = dict.fromkeys(peer.ended, 0)
    try:
        return take_segment(book, raw, time=time, read=read)
    finally:
        for name, ended in before.items():
            now = book.peers[name].ended
            book.peers[name].ended = {generation: max(last, now[generation]) for generation, last in ended.items()}


def saying_all_again(book: Book, segment: Segment, *, payers: Mapping[str, str], time: str) -> list[e.Entry]:
    """Not only what the peer never applied is said again."""
    before = {name: peer.returning for name, peer in book.peers.items()}
    written = recover(book, segment, payers=payers, time=time)
    for entry in written:
        if isinstance(entry, e.StreamRecoveredEntry):
            returning = before[entry.data.peer]
            assert returning is not None, "it was recovered just now"
            book.peers[entry.data.peer].returning = replace(returning, until=returning.said.n, repeated=0)
    return written


def taking_what_never_happened(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """A closed generation's stream goes on."""
    said = parse_segment(raw).statement
    peer = book.peers.get(said.from_)
    if peer is None or said.generation == peer.generation or said.generation not in peer.endings:
        return take_segment(book, raw, time=time, read=read)
    before = (peer.generation, peer.incoming, peer.ended, peer.event_keys)
    keys = tuple(key_of(f"{peer.peer} event {number}").public for number in range(1, KEYS_TRIED))
    peer.generation, peer.incoming, peer.event_keys = said.generation, peer.endings[said.generation], keys
    peer.ended = {name: last for name, last in peer.ended.items() if name != said.generation}
    try:
        return take_segment(book, raw, time=time, read=read)
    finally:
        peer.generation, peer.incoming, peer.ended, peer.event_keys = before


def deciding_anew(book: Book, raw: bytes, *, time: str, read: Read) -> tuple[list[Any], Any]:
    """What was decided before state was lost is decided by what is true now."""
    before, book.forced = book.forced, {}
    try:
        return take_segment(book, raw, time=time, read=read)
    finally:
        book.forced = before


def debiting_twice(book: Book, segment: Segment, *, payers: Mapping[str, str], time: str) -> list[e.Entry]:
    """A recovered transfer is taken from its payer, and once more."""
    written = recover(book, segment, payers=payers, time=time)
    for entry in written:
        if entry.postings is not UNSET:
            account, minutes = entry.postings[0]
            book.accounts[account].balance += minutes
    return written


RETURN_VARIANTS: dict[str, tuple[Rules, str]] = {
    "what happened is said again": (Rules(take_segment=forgetting_last_in, recover=saying_all_again), "P4"),
    "what never happened is applied": (Rules(take_segment=taking_what_never_happened), "P3"),
    "what is forced is decided anew": (Rules(take_segment=deciding_anew), "P4"),
    "a recovered transfer is debited twice": (Rules(recover=debiting_twice), "P1"),
    "nothing is said again": (Rules(repeats_what_was_lost=False), "P8"),
}
"""What is broken → the rules, and the promise that some seed must see broken."""
