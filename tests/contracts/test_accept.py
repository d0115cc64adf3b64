"""Accepting segments: cuts mean nothing, and what was judged good is entered without a further refusal."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import PaperTown, make_key, talk, two_towns
from contracts.vectors.vectors_segments import meet_and_talk
from timebank_contracts import entries as e
from timebank_contracts.accept import Duplicate, Fresh, Gap, RolledBack, StopsAt, Unsigned, judge_segment
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.messages import decode_message
from timebank_contracts.names import Identity
from timebank_contracts.rules_streams import Stale
from timebank_contracts.segments import Heard, parse_segment
from timebank_contracts.streams import StreamHead, fold


def ready(count: int = 8) -> tuple[PaperTown, PaperTown]:
    """Aberdare has sent Barry transfers that Barry has not heard of: some good, some to nobody."""
    aberdare, barry, _, bryn = two_towns()
    for n in range(count):
        aberdare.send("alys", "barry", bryn if n % 3 else "0" * 32, 10 + n)
    return aberdare, barry


def judge(town: PaperTown, raw: bytes) -> Duplicate | Gap | Fresh:
    before = deepcopy(town.book)
    try:
        return judge_segment(town.book, parse_segment(raw))
    finally:
        assert town.book == before, "judging changes nothing"


CUTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 8)).filter(lambda cut: cut[0] <= cut[1] + 1), max_size=12)


@settings(max_examples=40, deadline=None)
@given(CUTS)
def test_any_cuts_repeats_and_orders_of_one_stream_give_one_state(cuts: list[tuple[int, int]]) -> None:
    """PROTOCOL.md S7, B3, B4."""
    aberdare, barry = ready()
    whole = deepcopy(barry)
    whole.take(aberdare.segment("barry"))
    for first, last in [*cuts, (1, 8)]:
        high = barry.book.peers["aberdare"].incoming.n
        judged = judge(barry, aberdare.segment("barry", first, last))
        barry.take(aberdare.segment("barry", first, last))
        if first > high + 1:
            assert judged == Gap(high)
        elif last <= high:
            assert judged == Duplicate(high)
        else:
            assert judged == Fresh(high + 1, aberdare.sent["barry"][high:last])
    assert barry.book.peers["aberdare"].incoming == whole.book.peers["aberdare"].incoming
    assert dict(barry.book.balances()) == dict(whole.book.balances())
    assert decisions(barry) == decisions(whole)


def decisions(town: PaperTown) -> list[str]:
    """What the town decided, without the times, which follow from the number of segments."""
    return [str(message.data) for message in map(decode_message, town.sent["aberdare"])]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 400)), max_size=12), st.data())
def test_what_was_judged_good_is_entered_and_a_town_stays_sound(
    sends: list[tuple[int, int]], data: st.DataObject
) -> None:
    """PROTOCOL.md B3, S11, T8."""
    aberdare, barry, alys, bryn = two_towns(limit=900)
    for way, minutes in sends:
        sender, payer, payee = (aberdare, "alys", bryn) if way else (barry, "bryn", alys)
        other = barry if way else aberdare
        with suppress(Refusal):
            sender.send(payer, other.node, payee, minutes)
        if data.draw(st.booleans()):
            talk(aberdare, barry)
    for _ in range(3):
        talk(aberdare, barry)
    for town in (aberdare, barry):
        assert not broken_invariants(town.book)
        assert not town.book.open_transfers
        assert town.book.pending is None
    assert aberdare.book.peers["barry"].clearing.balance == -barry.book.peers["aberdare"].clearing.balance


def test_each_new_message_is_one_entry_in_order() -> None:
    """PROTOCOL.md B3."""
    aberdare, barry = ready(3)
    entries = barry.take(aberdare.segment("barry"))
    assert [e.entry_type(entry) for entry in entries] == [
        "segment.accepted",
        "transfer.rejected",
        "transfer.received",
        "transfer.received",
    ]
    assert entries[0].in_ is UNSET
    assert [bytes(entry.in_) for entry in entries[1:] if entry.in_ is not UNSET] == aberdare.sent["barry"]


def test_a_segment_under_a_retired_key_is_unsigned_and_under_the_new_one_taken() -> None:
    """PROTOCOL.md S5, R5."""
    aberdare, barry = ready(1)
    old = aberdare.segment("barry")
    aberdare.event_key = make_key("aberdare next event key")
    barry.meet(aberdare)
    with pytest.raises(Unsigned):
        judge(barry, old)
    assert isinstance(judge(barry, aberdare.segment("barry")), Fresh)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"identity": Identity("timebank.example", "aberdare", "g1")}, "segment_invalid"),
        ({"identity": Identity("timebank.wales", "aberdare", "g2")}, "segment_invalid"),
        ({"identity": Identity("timebank.wales", "cardiff", "g1")}, "peer_unknown"),
        ({"to": "cardiff"}, "segment_invalid"),
        ({"protocol": 2}, "segment_invalid"),
        ({"key": make_key("stranger")}, "segment_invalid"),
    ],
)
def test_a_segment_for_others_or_by_others_has_no_effect(change: dict[str, Any], code: str) -> None:
    """PROTOCOL.md S5."""
    aberdare, barry = ready(1)
    with pytest.raises(Refusal) as caught:
        judge(barry, aberdare.segment("barry", **change))
    assert caught.value.code == code


def test_a_closed_peer_is_unknown_and_a_suspended_one_is_heard() -> None:
    """PROTOCOL.md S5, T6."""
    aberdare, barry = ready(1)
    barry.meet(aberdare, state="closed")
    with pytest.raises(Refusal, match="peer_unknown"):
        judge(barry, aberdare.segment("barry"))
    barry.meet(aberdare, state="suspended")
    entries = barry.take(aberdare.segment("barry"))
    assert isinstance(entries[1], e.TransferRejected)
    assert entries[1].data.reason == "peer_suspended"


@pytest.mark.parametrize(
    "heard",
    [Heard(generation="g1", n=0, chain="00" * 32), Heard(generation="g1", n=1, chain="00" * 32)],
    ids=["another-history", "more-than-was-sent"],
)
def test_a_peer_that_heard_what_was_never_said_stops_this_node(heard: Heard) -> None:
    """PROTOCOL.md S6."""
    aberdare, barry = ready(1)
    with pytest.raises(RolledBack):
        judge(barry, aberdare.segment("barry", heard=heard))


def test_a_peer_that_answers_another_generation_proves_nothing_and_is_refused() -> None:
    """PROTOCOL.md S6."""
    aberdare, barry = ready(1)
    raw = aberdare.segment("barry", heard=Heard(generation="g2", n=9, chain="00" * 32))
    with pytest.raises(Stale, match="segment_invalid"):
        judge(barry, raw)


def test_an_older_heard_is_no_news() -> None:
    """PROTOCOL.md S6."""
    aberdare, barry = meet_and_talk()
    old = Heard(generation="g1", n=0, chain="00" * 32)
    first = barry.book.peers["aberdare"].heard
    barry.take(aberdare.segment("barry", 3))
    assert barry.book.peers["aberdare"].heard == 3 > first
    aberdare.send("alys", "barry", "0" * 32, 1)
    barry.take(aberdare.segment("barry", 5, heard=old))
    assert barry.book.peers["aberdare"].heard == 3


def rogue(town: PaperTown, at: int, *messages: bytes) -> bytes:
    """A segment, validly signed, of messages that an honest town would not send after position `at`."""
    start = town.book.peers["barry"].outgoing
    chain = fold(bytes.fromhex(parse_segment(town.segment("barry", 1, 0)).statement.prior), town.sent["barry"])
    assert chain[-1] == start.chain
    return town.segment("barry", after=StreamHead(at, chain[at - 1]), messages=list(messages))


def test_a_breach_at_the_next_message_freezes_and_at_a_later_one_takes_nothing() -> None:
    """PROTOCOL.md S9, S10."""
    aberdare, barry = meet_and_talk()
    good, bad = aberdare.sent["barry"][2], aberdare.sent["barry"][3].replace(b'"minutes":15', b'"minutes":0')
    with pytest.raises(StopsAt) as later:
        judge(barry, rogue(aberdare, 2, good, bad))
    assert later.value.position == 4
    barry.take(rogue(aberdare, 2, good))
    with pytest.raises(Breach) as breach:
        judge(barry, rogue(aberdare, 3, bad))
    assert (breach.value.code, breach.value.position) == ("message_malformed", 4)


def test_an_unknown_type_stops_the_stream_where_it_stands() -> None:
    """PROTOCOL.md S8."""
    aberdare, barry = meet_and_talk()
    good, unknown = aberdare.sent["barry"][2], aberdare.sent["barry"][3].replace(b"transfer.sent", b"pledge.made")
    for messages in ([good, unknown], [unknown.replace(b"barry/g1/4", b"barry/g1/3")]):
        with pytest.raises(StopsAt) as stop:
            judge(barry, rogue(aberdare, 2, *messages))
        assert stop.value.position == 2 + len(messages)
