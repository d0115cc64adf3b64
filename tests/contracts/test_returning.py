"""A node that lost state comes back: what happened stays, what never happened is said again, and no minute is lost."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, structs

from contracts.vectors import paper_return as back
from contracts.vectors.paper_between import claim_there, dispute, pay, refund, thank, withdraw
from contracts.vectors.paper_town import PaperTown, talk, two_towns
from timebank_contracts import cut
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.merkle import EMPTY_ROOT
from timebank_contracts.rules_money import transfer_at
from timebank_contracts.segments import parse_segment


def refused(act: Any, *args: Any, **rest: Any) -> str:
    with pytest.raises(Refusal) as caught:
        act(*args, **rest)
    return caught.value.code


def summaries(*towns: PaperTown) -> list[cut.TownAtCut]:
    """The towns at the greatest consistent cut of their present journals."""
    marks = []
    for town in towns:
        found = cut.TownMarks(town.node)
        for entry in town.entries:
            found.note(entry)
        marks.append(found)
    sizes = cut.greatest_cut(marks)
    told = []
    for town in towns:
        book, decisions = Book(), dict[str, bool]()
        for entry in town.entries[: sizes[town.node]]:
            apply(book, entry, read=town.entries.__getitem__)
            cut.note_decision(decisions, entry)
        told.append(cut.town_at_cut(book, decisions))
    return told


def sound(*towns: PaperTown) -> None:
    for town in towns:
        assert broken_invariants(town.book) == []
    assert cut.broken_identities(summaries(*towns)) == []


def outcomes(town: PaperTown) -> list[tuple[str, str]]:
    """Every decision and end of a transfer between towns in a journal, in its order."""
    kinds = (e.TransferReceived, e.TransferRejected, e.TransferSettled, e.TransferReturned)
    return [(e.entry_type(entry), entry.data.transfer) for entry in town.entries if isinstance(entry, kinds)]


def come_back(town: PaperTown, peer: PaperTown, size: int) -> PaperTown:
    """The town goes on from its first `size` entries, and puts back what the peer knows."""
    again = back.restored(town, size)
    back.go_on(again, registry=max(town.book.registry_version, peer.book.registry_version) + 1)
    back.close_for(peer, again, version=again.book.registry_version)
    sound(again, peer)
    back.put_back(again, peer)
    sound(again, peer)
    return again


def test_a_generation_goes_on_from_exactly_the_entries_before_it() -> None:
    """PROTOCOL.md X7."""
    aberdare, *_ = two_towns()
    back.accept(aberdare, 3)
    wrongs: list[dict[str, Any]] = [{"size": 3}, {"generation": "g2"}, {"registry": 3}]
    for wrong in wrongs:
        again = back.restored(aberdare, len(aberdare.entries))
        before = deepcopy(again.book)
        assert refused(back.go_on, again, **wrong) == "registry_invalid"
        assert again.book == before
    again = back.restored(aberdare, len(aberdare.entries))
    opened = back.go_on(again)
    assert again.book.began == {"g1": 0, "g2": opened.n}
    assert refused(back.go_on, again) == "peer_recovering"


def test_only_an_operator_lets_a_node_come_back() -> None:
    """PROTOCOL.md X7."""
    aberdare, *_ = two_towns()
    previous = e.Previous(generation="g1", size=0, root="ab" * 32, registry=1, event_keys=[])
    opened = e.Opened(network="timebank.wales", node="aberdare", generation="g2", rules=1)
    fresh = back.restored(aberdare, 0)
    assert refused(fresh.write, e.NodeOpened, structs.replace(opened, previous=previous)) == "registry_invalid"
    empty = structs.replace(previous, root=EMPTY_ROOT.hex())
    data = structs.replace(opened, previous=empty)
    assert refused(fresh.write, e.NodeOpened, data, by=back.RULE) == "purpose_invalid"
    fresh.write(e.NodeOpened, data)
    assert refused(aberdare.write, e.NodeOpened, opened) == "node_opened"


def test_names_of_before_stay_and_new_ones_are_of_the_new_generation() -> None:
    """PROTOCOL.md N6, X7."""
    aberdare, *_ = two_towns()
    aberdare.account("dai")
    first = aberdare.post(("alys", -5), ("dai", 5))
    again = back.restored(aberdare, len(aberdare.entries))
    back.go_on(again)
    second = again.post(("alys", -7), ("dai", 7))
    again.reverse(first.n)
    assert again.book.accounts["dai"].balance == 7
    data = e.Reversed(transfer=f"aberdare.g1.{second.n}", reason="mistake")
    wrong = refused(again.write, e.TransferReversed, data, postings=[("dai", -7), ("alys", 7)])
    assert wrong == "transfer_unknown"
    good = e.Reversed(transfer=f"aberdare.g2.{second.n}", reason="mistake")
    again.write(e.TransferReversed, good, postings=[("alys", 7), ("dai", -7)])


def test_nothing_new_is_sent_or_taken_before_all_is_put_back() -> None:
    """PROTOCOL.md X8, X11, X12."""
    aberdare, barry, alys, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 5)
    barry.send("bryn", "aberdare", alys, 3)
    again = back.restored(aberdare, len(aberdare.entries))
    back.go_on(again)
    assert refused(again.send, "alys", "barry", bryn, 1) == "peer_recovering"
    back.close_for(barry, again, version=again.book.registry_version)
    assert refused(again.take, barry.segment("aberdare")) == "peer_recovering"
    word = e.StreamRecovered(peer="barry", envelope=Raw(parse_segment(back.last_word(barry, again)).envelope))
    again.write(e.StreamRecoveredEntry, word, by=e.Actor(kind="peer", id="barry"))
    assert refused(again.take, barry.segment("aberdare")) == "peer_recovering", "one message is still to be repeated"
    assert back.repeat(again, barry) == 1
    talk(again, barry)
    again.send("alys", "barry", bryn, 1)
    talk(again, barry)
    assert barry.book.accounts["bryn"].balance == 5 + 1 - 3
    sound(again, barry)


def test_a_lost_transfer_is_debited_to_its_payer_or_to_what_was_lost() -> None:
    """PROTOCOL.md X9: page 6, row 11."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    first = aberdare.send("alys", "barry", bryn, 5)
    aberdare.send("alys", "barry", bryn, 7)
    talk(aberdare, barry)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    back.put_back(again, barry, {first: "alys"})
    talk(again, barry)
    assert again.book.accounts["alys"].balance == -5
    assert again.book.accounts["lost"].balance == -7
    assert again.book.accounts["clearing:barry"].balance == 12
    again.write(
        e.TransferPosted,
        e.Posted(purpose="correction", confirmed_by="broker"),
        postings=[("alys", -7), ("lost", 7)],
    )
    sound(again, barry)


def test_a_lost_decision_is_carried_out_as_it_was_and_not_sent_again() -> None:
    """PROTOCOL.md X9, X12: page 6, row 13."""
    aberdare, barry, alys, _ = two_towns()
    size = len(aberdare.entries)
    barry.send("bryn", "aberdare", alys, 20)
    barry.send("bryn", "aberdare", "0" * 32, 4)
    talk(aberdare, barry)
    before = outcomes(barry)
    again = back.restored(aberdare, size)
    again.write(e.AliasRevokedEntry, e.AliasRevoked(alias=alys))
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    back.put_back(again, barry)
    sound(again, barry)
    assert len(again.book.forced) == 2
    talk(again, barry)
    assert outcomes(barry) == before
    assert again.sent == {}
    assert again.book.accounts["lost"].balance == 20, "the address is no more: the minutes are kept for their owner"
    assert again.book.peers["barry"].returning is None
    sound(again, barry)


def test_what_nobody_heard_never_happened() -> None:
    """PROTOCOL.md X2, X9: page 6, row 12."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    aberdare.send("alys", "barry", bryn, 5)
    again = come_back(aberdare, barry, size)
    talk(again, barry)
    assert again.book.accounts["alys"].balance == barry.book.accounts["bryn"].balance == 0
    sound(again, barry)


def test_a_town_that_lost_everything_gets_back_what_its_peers_know() -> None:
    """PROTOCOL.md X7, X8, X9."""
    aberdare, barry, alys, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 50)
    barry.send("bryn", "aberdare", alys, 20)
    talk(aberdare, barry)
    again = back.lose_all(aberdare)
    again.write(e.PolicyChanged, e.Policy(default_floor=-600, default_ceiling=6000, debt_limit=100_000))
    again.meet(barry)
    assert again.book.peers["barry"].returning is not None
    back.close_for(barry, again, version=2)
    back.put_back(again, barry)
    talk(again, barry)
    assert again.book.accounts["clearing:barry"].balance == 30
    assert again.book.accounts["lost"].balance == -30
    sound(again, barry)


def test_a_refund_of_a_recovered_transfer_finds_its_payer() -> None:
    """PROTOCOL.md X12, T16."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    sent = aberdare.send("alys", "barry", bryn, 50)
    talk(aberdare, barry)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    back.put_back(again, barry, {sent: "alys"})
    talk(again, barry)
    refund(barry, sent, 10)
    talk(again, barry)
    assert again.book.accounts["alys"].balance == -40
    sound(again, barry)


def test_only_what_the_lost_generation_signed_is_recovered() -> None:
    """PROTOCOL.md X9."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    aberdare.send("alys", "barry", bryn, 5)
    talk(aberdare, barry)
    forged = aberdare.segment("barry", 1, key=barry.event_key)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    assert refused(back.recover, again, barry, forged, {}) == "segment_invalid"
    assert refused(back.recover, again, barry, barry.segment("aberdare"), {}) == "segment_invalid"
    (kept,) = barry.taken["aberdare/g1"]
    assert refused(back.recover, again, barry, kept, {"aberdare.g1.barry.1": "nobody"}) == "posting_invalid"


def test_the_peer_s_last_word_counts_once_it_closed_the_generation_and_says_all() -> None:
    """PROTOCOL.md X10."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    aberdare.send("alys", "barry", bryn, 5)
    talk(aberdare, barry)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)

    def enter(**said: Any) -> e.Entry:
        envelope = Raw(parse_segment(back.last_word(barry, again, **said)).envelope)
        return again.write(
            e.StreamRecoveredEntry,
            e.StreamRecovered(peer="barry", envelope=envelope),
            by=e.Actor(kind="peer", id="barry"),
        )

    assert refused(enter) == "segment_invalid", "one message is still to be recovered"
    (kept,) = barry.taken["aberdare/g1"]
    back.recover(again, barry, kept, {})
    assert refused(enter, registry=0) == "segment_invalid", "a peer that has not closed it yet may apply more"
    assert refused(enter, key=aberdare.event_key) == "segment_invalid"
    enter()
    assert refused(enter) == "segment_invalid", "once"


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_town_comes_back_a_second_time_and_so_does_its_peer(data: st.DataObject) -> None:
    """PROTOCOL.md X2, X7 to X12: generations g2 of both towns, then g3 of one."""
    aberdare, barry, alys, _ = two_towns()
    bryn = barry.alias("bryn")
    size = len(aberdare.entries)
    towns = {"aberdare": aberdare, "barry": barry}
    for name in ("aberdare", "barry", "aberdare"):
        for speaker, other, addresses in (("aberdare", "barry", (alys, bryn)), ("barry", "aberdare", (bryn, alys))):
            told(towns[speaker], towns[other], addresses, data.draw(steps))
        lost, peer = towns[name], towns["barry" if name == "aberdare" else "aberdare"]
        # What a town said of a neighbour's generation that is over must be restored with it (decision 0010).
        ends = [entry.n + 2 for entry in lost.entries if isinstance(entry, e.PeerGenerationClosed)]
        first = max(size, lost.book.began[lost.book.me.generation] + 1, *ends)
        kept = data.draw(st.integers(first, len(lost.entries)))
        while (found := back.restored(lost, kept).book).pending is not None or is_recovering(found):
            kept += 1
        decided = outcomes(peer)
        towns[name] = come_back(lost, peer, kept)
        for _ in range(3):
            talk(towns["aberdare"], towns["barry"])
            sound(*towns.values())
        assert outcomes(peer)[: len(decided)] == decided
        assert not any(town.book.open_transfers or town.book.forced for town in towns.values())
    assert towns["aberdare"].book.me.generation == "g3"


def is_recovering(book: Book) -> bool:
    return any(peer.returning is not None for peer in book.peers.values())


def told(town: PaperTown, peer: PaperTown, addresses: tuple[str, str], steps: list[tuple[int, int]]) -> None:
    """Random talk of one town with the other: transfers, claims, refunds, thanks, what comes of them."""
    mine, theirs = addresses
    account = "alys" if town.node == "aberdare" else "bryn"
    for step, number in steps:
        try:
            if step == 0:
                town.send(account, peer.node, theirs if number % 4 else "0" * 32, 1 + number)
            elif step == 1:
                claim_there(town, peer.node, account, (mine, theirs), 1 + number)
            elif step == 2:
                claims = [name for name, claim in town.book.claims.items() if claim.peer]
                if claims:
                    (pay if number % 2 else lambda t, n: dispute(t, n, "other_minutes"))(
                        town, claims[number % len(claims)]
                    )
            elif step == 3:
                found = [entry for entry in town.entries if isinstance(entry, e.TransferReceived)]
                if found:
                    refund(town, found[number % len(found)].data.transfer, 1 + number % 3)
            elif step == 4:
                began = [entry.n for entry in town.entries if isinstance(entry, e.TransferReceived | e.TransferSent)]
                if began:
                    thank(town, began[number % len(began)])
            elif step == 5 and town.book.sent_claims:
                withdraw(town, list(town.book.sent_claims)[number % len(town.book.sent_claims)])
        except Refusal:
            continue
        if step == 6:
            first = peer.book.peers[town.node].incoming.n + 1
            last = min(first + number % 3, len(town.sent.get(peer.node, [])))
            if last >= first:
                peer.take(town.segment(peer.node, first, last))


steps = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20)), max_size=14)


@settings(max_examples=150, deadline=None)
@given(ours=steps, theirs=steps, more=steps, their_more=steps, kept=st.integers(0, 100), finders=st.booleans())
def test_whatever_was_lost_and_whenever_every_transfer_ends_once_and_no_minute_is_lost(
    ours: list[tuple[int, int]],
    theirs: list[tuple[int, int]],
    more: list[tuple[int, int]],
    their_more: list[tuple[int, int]],
    kept: int,
    finders: bool,
) -> None:
    """PROTOCOL.md X7 to X12, I1 to I8: the page's P1, P3, P4 for a town that comes back from any backup."""
    aberdare, barry, alys, _ = two_towns()
    bryn = barry.alias("bryn")
    size = len(aberdare.entries)
    told(aberdare, barry, (alys, bryn), ours)
    told(barry, aberdare, (bryn, alys), theirs)
    told(aberdare, barry, (alys, bryn), more)
    told(barry, aberdare, (bryn, alys), their_more)
    size += kept * (len(aberdare.entries) - size) // 100
    while back.restored(aberdare, size).book.pending is not None:
        size -= 1
    decided = outcomes(barry)
    payers = payers_of(aberdare)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    sound(again, barry)
    back.put_back(again, barry, payers if finders else None)
    sound(again, barry)
    for _ in range(3):
        talk(again, barry)
        sound(again, barry)
    assert outcomes(barry)[: len(decided)] == decided, "what is final stays final"
    assert not again.book.open_transfers
    assert not barry.book.open_transfers
    assert again.book.peers["barry"].returning is None
    assert not again.book.forced
    for town in (again, barry):
        names = [name for kind, name in outcomes(town) if kind in ("transfer.received", "transfer.rejected")]
        assert len(set(names)) == len(names), "each is decided once in a journal"
    assert again.book.accounts["clearing:barry"].balance == -barry.book.accounts["clearing:aberdare"].balance


def payers_of(town: PaperTown) -> dict[str, str]:
    """Who paid each transfer that the town sent."""
    found = {}
    for entry in town.entries:
        if isinstance(entry, e.TransferSent):
            name = transfer_at(town.book, entry)
            assert name is not None
            assert entry.postings is not UNSET
            found[name] = entry.postings[0][0]
    return found
