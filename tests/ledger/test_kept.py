"""What was taken of a closed generation is found again, byte for byte, among all else that a journal holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vectors import paper_return as back
from contracts.vectors.paper_town import PaperTown, two_towns
from tests.ledger.test_index_claims import journal_of
from timebank_contracts.segments import parse_segment
from timebank_kit.journal import originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger.kept import PAGE_RECORDS, KeptSegments


def after_loss(barry: PaperTown, *lost: PaperTown) -> None:
    """Barry closes the generation of each of these towns."""
    for town in lost:
        again = back.restored(town, len(town.entries))
        back.go_on(again)
        back.close_for(barry, again, version=again.book.registry_version)


def handed_back(kept: KeptSegments, peer: str, last: int, *, after: int = 0) -> list[bytes]:
    """All that is asked for, as a peer asks."""
    found = []
    while (raw := kept.after(peer, "g1", after, last=last)) is not None:
        statement = parse_segment(raw).statement
        assert statement.first <= after + 1 <= statement.last
        after = statement.last
        found.append(raw)
    assert after == last
    return found


cuts = st.lists(st.tuples(st.sampled_from(["aberdare", "cardiff"]), st.integers(0, 3), st.integers(1, 4)), max_size=14)


@settings(max_examples=60, deadline=None)
@given(cuts=cuts, asked=st.integers(0, 30))
def test_of_segments_that_overlap_and_take_turns_each_is_handed_back_as_it_came(
    cuts: list[tuple[str, int, int]], asked: int
) -> None:
    """PROTOCOL.md W10, S7: a segment may begin with what was taken already."""
    aberdare, barry, _, bryn = two_towns()
    cardiff = PaperTown("cardiff")
    cardiff.account("cerys")
    cardiff.meet(barry)
    barry.meet(cardiff)
    towns = {"aberdare": (aberdare, "alys"), "cardiff": (cardiff, "cerys")}
    for name, overlap, count in cuts:
        town, account = towns[name]
        for _ in range(count):
            town.send(account, "barry", bryn, 1)
        following = barry.book.peers[name].incoming.n + 1
        barry.take(town.segment("barry", max(1, following - overlap)))
        barry.account(f"m-{len(barry.entries)}")
    last = {name: barry.book.peers[name].incoming.n for name in towns}
    after_loss(barry, aberdare, cardiff)
    kept = KeptSegments(journal_of(barry))
    for name in ("aberdare", "cardiff", "aberdare"):
        assert handed_back(kept, name, last[name]) == barry.taken.get(f"{name}/g1", [])
    after = min(asked, last["aberdare"])
    wanted = [raw for raw in barry.taken.get("aberdare/g1", []) if parse_segment(raw).statement.last > after]
    assert handed_back(kept, "aberdare", last["aberdare"], after=after) == wanted


@pytest.mark.parametrize("before", [PAGE_RECORDS - 8, PAGE_RECORDS - 7, PAGE_RECORDS - 6, PAGE_RECORDS - 5])
def test_a_segment_across_two_pages_of_the_journal_is_found_whole(before: int) -> None:
    aberdare, barry, _, bryn = two_towns()
    for _ in range(4):
        aberdare.send("alys", "barry", bryn, 1)
    while len(barry.entries) < before:
        barry.account(f"m-{len(barry.entries)}")
    barry.take(aberdare.segment("barry"))
    after_loss(barry, aberdare)
    assert handed_back(KeptSegments(journal_of(barry)), "aberdare", 4) == barry.taken["aberdare/g1"]


def test_of_a_generation_that_never_spoke_nothing_is_kept_and_nothing_is_read() -> None:
    kept = KeptSegments(MemoryJournal(originator_of("empty")))
    assert kept.after("aberdare", "g1", 0, last=0) is None
    assert kept.after("aberdare", "g1", 7, last=5) is None
