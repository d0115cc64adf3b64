"""Several towns at one cut: the identities hold at every consistent cut, and name what breaks them."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vectors.paper_town import PaperTown
from contracts.vectors.vectors_journal import tell_two_towns
from timebank_contracts import cut
from timebank_contracts.book import Book, apply

ABERDARE, BARRY = tell_two_towns()


def at(town: PaperTown, size: int) -> cut.TownAtCut:
    book, decisions = Book(), dict[str, bool]()
    for entry in town.entries[:size]:
        apply(book, entry, read=town.entries.__getitem__)
        cut.note_decision(decisions, entry)
    return cut.town_at_cut(book, decisions)


def heads(town: PaperTown, size: int, peer: str) -> tuple[int, int]:
    """How many messages the first entries wrote to the peer, and applied of its stream."""
    book = Book()
    for entry in town.entries[:size]:
        apply(book, entry, read=town.entries.__getitem__)
    found = book.peers.get(peer)
    return (0, 0) if found is None else (found.outgoing.n, found.incoming.n)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(ABERDARE.entries)), st.integers(1, len(BARRY.entries)))
def test_the_identities_hold_at_every_consistent_cut(one: int, other: int) -> None:
    """PROTOCOL.md I5, I6, I7, I8."""
    sent, heard = heads(ABERDARE, one, "barry")
    answered, taken = heads(BARRY, other, "aberdare")
    if taken <= sent and heard <= answered:
        towns = [at(ABERDARE, one), at(BARRY, other)]
        assert cut.broken_identities(towns) == []


def test_an_hour_made_or_lost_is_named_by_each_identity() -> None:
    """PROTOCOL.md I6, I7, I8."""
    towns = [at(ABERDARE, len(ABERDARE.entries)), at(BARRY, len(BARRY.entries))]
    assert sum(cut.under_way(towns[0], towns[1])) == 25
    for name, words in (("transit", "off its open transfers"), ("clearing", "apart"), ("others", "sum to 1 minutes")):
        damaged = deepcopy(towns)
        if name == "others":
            damaged[0].others += 1
        else:
            getattr(damaged[0], name)["barry"] += 1
        (sentence,) = cut.broken_identities(damaged)
        assert words in sentence
