"""A node that comes back, beside peers that lie, a key that was stolen, and members who left meanwhile."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from contracts.vectors import paper_return as back
from contracts.vectors.paper_town import NETWORK, PaperTown, talk, two_towns
from tests.contracts.test_returning import outcomes, refused, sound
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.keys import b64_encode
from timebank_contracts.names import Identity
from timebank_contracts.segments import Heard, make_segment, parse_segment
from timebank_contracts.streams import StreamHead, chain_start


def last_word(town: PaperTown, raw: bytes, *, peer: str = "barry") -> e.Entry:
    data = e.StreamRecovered(peer=peer, envelope=Raw(parse_segment(raw).envelope))
    return town.write(e.StreamRecoveredEntry, data, by=e.Actor(kind="peer", id=peer))


def lost_by_alys() -> tuple[PaperTown, PaperTown, PaperTown, str]:
    """Aberdare before it lost a transfer that Barry received, after it came back, Barry, and the transfer."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    transfer = aberdare.send("alys", "barry", bryn, 5)
    talk(aberdare, barry)
    again = back.restored(aberdare, size)
    back.go_on(again)
    back.close_for(barry, again, version=again.book.registry_version)
    return aberdare, again, barry, transfer


def test_who_left_before_the_peer_answered_is_not_debited_any_more() -> None:
    """PROTOCOL.md X9, L5: an account that is closed stays at 0."""
    _, again, barry, transfer = lost_by_alys()
    again.leave("alys", "lost")
    (kept,) = barry.taken["aberdare/g1"]
    before = deepcopy(again.book)
    assert refused(back.recover, deepcopy(again), barry, kept, {transfer: "alys"}) == "posting_invalid"
    assert again.book == before
    back.put_back(again, barry)
    talk(again, barry)
    assert (again.book.accounts["alys"].balance, again.book.accounts["lost"].balance) == (0, -5)
    sound(again, barry)


def test_who_left_before_the_peer_s_stream_came_is_not_credited_any_more() -> None:
    """PROTOCOL.md X12, L5."""
    aberdare, barry, alys, _ = two_towns()
    size = len(aberdare.entries)
    barry.send("bryn", "aberdare", alys, 20)
    talk(barry, aberdare)
    talk(aberdare, barry)
    before = outcomes(barry)
    again = back.restored(aberdare, size)
    back.go_on(again)
    again.leave("alys", "lost")
    back.close_for(barry, again, version=again.book.registry_version)
    back.put_back(again, barry)
    talk(again, barry)
    assert (again.book.accounts["alys"].balance, again.book.accounts["lost"].balance) == (0, 20)
    assert outcomes(barry) == before
    sound(again, barry)


def test_under_a_stolen_key_nothing_is_recovered_under_an_id_that_is_taken() -> None:
    """PROTOCOL.md X9: an id is a position, so that nothing that is open is overwritten."""
    aberdare, barry, _, bryn = two_towns()
    first = aberdare.send("alys", "barry", bryn, 5)
    size = len(aberdare.entries)
    again = back.restored(aberdare, size)
    back.go_on(again)
    start = chain_start(network=NETWORK, sender="aberdare", generation="g1", receiver="barry")
    message = m.decode_message(aberdare.sent["barry"][0])
    assert isinstance(message, m.TransferSentMessage)
    forged = structs.replace(
        message, id=m.message_id("barry", "g1", 2), data=structs.replace(message.data, minutes=600)
    )
    assert forged.data.transfer == first
    raw = make_segment(
        identity=Identity(NETWORK, "aberdare", "g1"),
        to="barry",
        after=StreamHead(0, start),
        messages=[aberdare.sent["barry"][0], m.encode_message(forged)],
        heard=Heard(generation="g1", n=0, chain=bytes(32).hex()),
        registry=1,
        size=0,
        root=bytes(32),
        key=aberdare.event_key,
    )
    assert refused(back.recover, deepcopy(again), barry, raw, {}) == "segment_invalid"


def words(barry: PaperTown, again: PaperTown) -> list[tuple[str, dict[str, Any]]]:
    """Last words that do not count, by what is wrong with them."""
    ending = barry.book.peers["aberdare"].endings["g1"]
    chain = ending.chain.hex()
    return [
        ("too much", {"heard": Heard(generation="g1", n=ending.n + 1, chain=chain)}),
        ("too little", {"heard": Heard(generation="g1", n=0, chain=chain)}),
        ("another history", {"heard": Heard(generation="g1", n=ending.n, chain="ab" * 32)}),
        ("another generation", {"heard": Heard(generation="g2", n=ending.n, chain=chain)}),
        ("before it closed", {"registry": again.book.registry_version - 1}),
        ("another key", {"key": again.event_key}),
        ("another network", {"identity": barry.book.me._replace(network="timebank.england")}),
        ("another town", {"identity": barry.book.me._replace(node="cardiff")}),
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_last_word_that_is_not_one_changes_nothing(number: int) -> None:
    """PROTOCOL.md X10: page 6, row 14."""
    _, again, barry, transfer = lost_by_alys()
    (kept,) = barry.taken["aberdare/g1"]
    back.recover(again, barry, kept, {transfer: "alys"})
    _, said = words(barry, again)[number]
    before = deepcopy(again.book)
    assert refused(last_word, again, back.last_word(barry, again, **said)) == "segment_invalid"
    assert again.book == before
    last_word(again, back.last_word(barry, again))
    talk(again, barry)
    sound(again, barry)


@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_a_peer_that_is_suspended_is_put_back_with_and_a_closed_one_is_not(state: Any) -> None:
    """PROTOCOL.md X6, X9: what happened does not ask for a state."""
    _, again, barry, transfer = lost_by_alys()
    known = again.book.peers["barry"]
    if state == "closed":
        ended = e.GenerationClosed(peer="barry", generation="g1", last_in=0, chain=known.incoming.chain.hex())
        again.write(e.PeerGenerationClosed, ended, by=back.RULE)
    data = e.Peer(peer="barry", generation="g1", state=state, owe_limit=1, owed_limit=1, event_keys=[])
    (kept,) = barry.taken["aberdare/g1"]
    if state == "suspended":
        keys = [b64_encode(barry.event_key.public)]
        again.write(e.PeerChanged, structs.replace(data, event_keys=keys), by=back.RULE)
        back.put_back(again, barry, {transfer: "alys"})
        talk(again, barry)
        assert again.book.peers["barry"].debt == 5, "beyond the limit of 1 that is in force now"
        sound(again, barry)
        return
    again.write(e.PeerChanged, data, by=back.RULE)
    assert refused(back.recover, again, barry, kept, {}) == "peer_unknown"
    assert broken_invariants(again.book) == []


talks = st.lists(st.tuples(st.sampled_from(["barry", "cardiff"]), st.booleans(), st.integers(1, 9)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(said=talks, more=talks, kept=st.integers(0, 100), away=st.integers(0, 2), is_new=st.booleans())
def test_with_two_peers_of_whom_one_is_away_or_was_met_since_no_minute_is_lost(
    said: list[tuple[str, bool, int]], more: list[tuple[str, bool, int]], kept: int, away: int, is_new: bool
) -> None:
    """PROTOCOL.md X8 to X12, I5 to I8: each peer is put back with by itself, in any order, while others deal on."""
    aberdare, barry, alys, bryn = two_towns()
    cardiff = PaperTown("cardiff")
    cardiff.account("cerys")
    size = len(aberdare.entries)
    for one, other in ((aberdare, cardiff), (cardiff, aberdare), (barry, cardiff), (cardiff, barry)):
        one.meet(other)
    if not is_new:
        size = len(aberdare.entries)
    peers = {"barry": (barry, "bryn", bryn), "cardiff": (cardiff, "cerys", cardiff.alias("cerys"))}
    exchange(aberdare, peers, alys, said)
    size += kept * (len(aberdare.entries) - size) // 100
    while (again := back.restored(aberdare, size)).book.pending is not None:
        size -= 1
    back.go_on(again)
    if "cardiff" not in again.book.peers:
        again.meet(cardiff)
    names = ["barry", "cardiff"] if away != 1 else ["cardiff", "barry"]
    for name in names:
        peer, other = peers[name][0], peers[names[1 - names.index(name)]][0]
        back.close_for(peer, again, version=again.book.registry_version)
        back.put_back(again, peer)
        for _ in range(2):
            talk(again, peer)
        if not away:
            exchange(again, {name: peers[name]}, alys, [one for one in more if one[0] == name])
        if again.book.peers[other.node].returning is not None:
            assert refused(again.send, "alys", other.node, peers[other.node][2], 1) == "peer_recovering"
    for peer, _, _ in peers.values():
        for _ in range(3):
            talk(again, peer)
    sound(again, barry, cardiff)
    for town in (again, barry, cardiff):
        assert not town.book.open_transfers
        assert not town.book.forced
    assert all(peer.returning is None for peer in again.book.peers.values())


def exchange(
    town: PaperTown,
    peers: dict[str, tuple[PaperTown, str, str]],
    address: str,
    said: list[tuple[str, bool, int]],
) -> None:
    """Gifts both ways with each peer; some are carried at once."""
    for name, is_ours, minutes in said:
        peer, account, there = peers[name]
        if is_ours:
            town.send("alys", name, there, minutes)
        else:
            peer.send(account, town.node, address, minutes)
        if minutes > 5:
            talk(town, peer) if is_ours else talk(peer, town)
