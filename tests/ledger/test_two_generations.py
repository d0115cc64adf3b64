"""A journal that goes on under a second generation: snapshot, layer and index say what a replay says."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors import paper_return as back
from contracts.vectors.paper_between import claim_there, dispute, pay, refund, thank, withdraw
from contracts.vectors.paper_town import PaperTown, talk, two_towns
from tests.ledger.test_index_claims import journal_of
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import Refusal
from timebank_contracts.rules_money import transfer_at
from timebank_ledger.index import Index
from timebank_ledger.layer import layer_over, settle
from timebank_ledger.snapshot import decode_book

ACCOUNTS = ("alys", "lost", "clearing:barry", "transit:barry")
Steps = list[tuple[int, int]]
steps = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20)), max_size=10)


def returned(ours: Steps, theirs: Steps, kept: int, *, names_payers: bool = True) -> tuple[PaperTown, PaperTown]:
    """Aberdare after it came back from a part of its journal, and Barry; all is put back and heard."""
    aberdare, barry, alys, bryn = two_towns()
    size = len(aberdare.entries)
    act(aberdare, barry, (alys, bryn), ours)
    act(barry, aberdare, (bryn, alys), theirs)
    act(aberdare, barry, (alys, bryn), ours[::-1])
    size += kept * (len(aberdare.entries) - size) // 100
    while (again := back.restored(aberdare, size)).book.pending is not None:
        size -= 1
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    payers = {
        str(transfer_at(aberdare.book, entry)): entry.postings[0][0]
        for entry in aberdare.entries
        if isinstance(entry, e.TransferSent) and entry.postings is not UNSET
    }
    back.put_back(again, barry, payers if names_payers else None)
    for _ in range(3):
        talk(again, barry)
    act(again, barry, (alys, bryn), theirs)
    act(barry, again, (bryn, alys), ours)
    for _ in range(3):
        talk(again, barry)
    return again, barry


def act(town: PaperTown, peer: PaperTown, addresses: tuple[str, str], wanted: Steps) -> None:
    """What one town does towards the other; what the rules refuse is left out."""
    mine, theirs = addresses
    account = "alys" if town.node == "aberdare" else "bryn"
    for step, number in wanted:
        try:
            _act(town, peer, (account, mine, theirs), step, number)
        except Refusal:
            continue


def _act(town: PaperTown, peer: PaperTown, who: tuple[str, str, str], step: int, number: int) -> None:
    account, mine, theirs = who
    claims = [name for name, claim in town.book.claims.items() if claim.peer]
    received = [entry for entry in town.entries if isinstance(entry, e.TransferReceived)]
    if step == 0:
        town.send(account, peer.node, theirs if number % 4 else "0" * 32, 1 + number)
    elif step == 1:
        claim_there(town, peer.node, account, (mine, theirs), 1 + number)
    elif step == 2 and claims:
        name = claims[number % len(claims)]
        if number % 2:
            pay(town, name)
        else:
            dispute(town, name, "other_minutes")
    elif step == 3 and received:
        refund(town, received[number % len(received)].data.transfer, 1 + number % 3)
    elif step == 4 and received:
        thank(town, received[number % len(received)].n)
    elif step == 5 and town.book.sent_claims:
        withdraw(town, list(town.book.sent_claims)[number % len(town.book.sent_claims)])
    elif step == 6:
        first = peer.book.peers[town.node].incoming.n + 1
        last = min(first + number % 3, len(town.sent.get(peer.node, [])))
        if last >= first:
            peer.take(town.segment(peer.node, first, last))


def content(index: Index, town: PaperTown) -> list[Any]:
    """All that the index says of this town."""
    length = len(town.entries)
    said: list[Any] = [index.lines_of(ACCOUNTS, start=0, stop=length, limit=4 * length)]
    said += [index.outs("barry", after=0, limit=length, generation=generation) for generation in town.book.began]
    return said + [index.identity_at(n) for n in range(length)]


@settings(max_examples=10, deadline=None)
@given(ours=steps, theirs=steps, kept=st.integers(0, 100), chunks=st.lists(st.integers(0, 100), max_size=6))
def test_an_index_that_followed_says_what_one_made_anew_says(
    ours: Steps, theirs: Steps, kept: int, chunks: list[int]
) -> None:
    """PROTOCOL.md X7: rows of both generations; claims and transfers that were recovered or said again are found."""
    town, _ = returned(ours, theirs, kept)
    journal, length = journal_of(town), len(town.entries)
    followed, anew = Index("sqlite://", journal, name="followed"), Index("sqlite://", journal, name="anew")
    for part in sorted(chunks):
        followed.advance_to(part * length // 100)
    followed.advance_to(length)
    for n in range(length + 1):
        # One entry at a time, and with nothing remembered from before.
        anew.earlier.claims.clear()
        anew.earlier.payers.clear()
        anew.advance_to(n)
    assert content(followed, town) == content(anew, town)
    for account in ACCOUNTS:
        held = town.book.accounts[account].balance
        assert followed.balance_before(account, length) == held
    followed.close()
    anew.close()


@settings(max_examples=25, deadline=None)
@given(ours=steps, theirs=steps, kept=st.integers(0, 100), names_payers=st.booleans())
def test_a_snapshot_at_any_position_and_a_layer_for_each_entry_give_what_a_replay_gives(
    ours: Steps, theirs: Steps, kept: int, names_payers: bool
) -> None:
    """L-3; PROTOCOL.md X7 to X12: also in the middle of what is put back."""
    town, _ = returned(ours, theirs, kept, names_payers=names_payers)
    book, read = Book(), town.entries.__getitem__
    middle = {town.book.began["g2"] + more for more in range(8)}
    for entry in town.entries:
        layer = layer_over(book)
        before = msgspec.msgpack.encode(book)
        apply(layer, entry, read=read)
        assert msgspec.msgpack.encode(book) == before, "a layer leaves what is below as it is"
        settle(layer, book)
        if entry.n in middle:
            book = decode_book(msgspec.msgpack.encode(book))
    assert book == town.book
    assert list(book.thanked) == list(town.book.thanked)
