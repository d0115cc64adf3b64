"""What the edge adds to what a peer hands back: whose a payer's tag is, and that the rest is said again to the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contracts.vectors import paper_return as back
from contracts.vectors.paper_town import PaperTown
from tests.ledger.pair_of_towns import hand_in
from tests.ledger.test_after_return import begin
from tests.ledger.test_index_claims import journal_of
from tests.ledger.town_api import Town, seed
from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.segments import Heard
from timebank_ledger.payer_tags import payer_tag

TAG_KEY = seed(9)
"""That of the towns of `town_api`."""


@contextmanager
def lost_last(count: int, *, kept: int = 0) -> Iterator[tuple[Town, PaperTown]]:
    """A town that lost `count` transfers that Barry took, or kept some that Barry never heard; nothing is back yet."""
    aberdare, barry, _, cerys = begin()
    for _ in range(kept):
        aberdare.send("alys", "barry", cerys, 1)
    size = len(aberdare.entries)
    for number in range(count):
        payer = ("alys", "bryn")[number % 2]
        tag = payer_tag(TAG_KEY, key=f"key {number}", account=payer)
        aberdare.send(payer, "barry", cerys, 10, payer_tag=tag if number else "0" * 30)
    if count:
        barry.take(aberdare.segment("barry"))
    town = back.restored(aberdare, size)
    back.go_on(town)
    back.close_for(barry, town, version=town.book.registry_version)
    opened = Town("aberdare", 1, journal_of(town))
    try:
        yield opened, barry
    finally:
        opened.close()


def last_word(town: Town, barry: PaperTown) -> bytes:
    with town.writer.reading() as book:
        version = book.registry_version
    known = barry.book.peers["aberdare"].endings["g1"]
    heard = Heard(generation="g1", n=known.n, chain=known.chain.hex())
    return barry.segment("aberdare", len(barry.sent.get("aberdare", [])) + 1, heard=heard, registry=version)


def kinds(town: Town) -> list[str]:
    return [entry_type(decode_entry(record.state)) for record in town.journal.scan(0, town.journal.length())]


def balances(town: Town) -> dict[str, int]:
    with town.writer.reading() as book:
        return {name: book.accounts[name].balance for name in ("alys", "bryn", "lost")}


def test_payers_are_found_by_their_tags_and_who_is_not_found_is_lost() -> None:
    """PROTOCOL.md X9."""
    with lost_last(4) as (town, barry):
        (kept,) = barry.taken["aberdare/g1"]
        answer = hand_in(town, kept).json()
        assert (answer["outcome"], answer["high"]) == ("recovered", 4)
        assert balances(town) == {"alys": -10, "bryn": -20, "lost": -10}
        length = town.journal.length()
        assert hand_in(town, kept).json()["outcome"] == "refused", "what was put back is not put back again"
        assert town.journal.length() == length
        assert hand_in(town, last_word(town, barry)).json()["outcome"] == "recovered"
        now = Heard(generation="g2", n=0, chain=_chain(town))
        assert hand_in(town, barry.segment("aberdare", heard=now)).json()["outcome"] == "fresh"
        assert balances(town) == {"alys": -10, "bryn": -20, "lost": -10}


def _chain(town: Town) -> str:
    with town.writer.reading() as book:
        return book.peers["barry"].unheard[0].hex()


@pytest.mark.parametrize("kept", [1, 30])
def test_all_that_the_peer_never_heard_is_said_again_once(kept: int) -> None:
    """PROTOCOL.md X11."""
    with lost_last(0, kept=kept) as (town, barry):
        word = last_word(town, barry)
        assert hand_in(town, word).json()["outcome"] == "recovered"
        assert kinds(town).count("message.repeated") == kept
        hand_in(town, word)
        assert kinds(town).count("message.repeated") == kept
        with town.writer.reading() as book:
            assert book.peers["barry"].returning is None
            assert book.peers["barry"].outgoing.n == kept


def test_a_word_from_before_and_a_segment_that_nobody_signed_change_nothing() -> None:
    """PROTOCOL.md X9, X10."""
    with lost_last(2) as (town, barry):
        length = town.journal.length()
        (kept,) = barry.taken["aberdare/g1"]
        heard = Heard(generation="g1", n=0, chain="00" * 32)
        early = barry.segment("aberdare", len(barry.sent["aberdare"]) + 1, heard=heard, registry=0)
        assert hand_in(town, early).json()["code"] == "peer_recovering"
        forged = kept.replace(b'"minutes":10', b'"minutes":99')
        assert hand_in(town, forged).status_code in (200, 400, 422)
        assert town.journal.length() == length
