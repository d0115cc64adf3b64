"""The book: peers, segments, and transfers between towns from the first entry to the last."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from contracts.vectors.paper_town import MEMBER, NEVER, PaperTown, make_key, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import BREACHES, Breach, Malformed, Refusal
from timebank_contracts.keys import b64_encode
from timebank_contracts.segments import parse_segment

PEER = e.Actor(kind="peer", id="aberdare")
RULE = e.Actor(kind="rule")


def refused(town: PaperTown, kind: type[e.Entry], data: Any, **rest: Any) -> str:
    """The code with which the town refuses an entry; the book is unchanged."""
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        town.write(kind, data, **rest)
    assert town.book == before
    return caught.value.code


def refused_send(town: PaperTown, minutes: int, **said: Any) -> str:
    """The code with which Aberdare refuses to send from `alys` to Barry."""
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        town.send("alys", "barry", "0" * 32, minutes, **said)
    assert town.book == before
    return caught.value.code


def test_a_transfer_is_sent_received_and_settled() -> None:
    """PROTOCOL.md T5, T6, T8."""
    aberdare, barry, _, bryn = two_towns()
    transfer = aberdare.send("alys", "barry", bryn, 90)
    assert transfer == "aberdare.g1.barry.1"
    assert dict(aberdare.book.balances()) == {"alys": -90, "clearing:barry": 0, "transit:barry": 90}
    barry.take(aberdare.segment("barry"))
    assert dict(barry.book.balances()) == {"bryn": 90, "clearing:aberdare": -90, "transit:aberdare": 0}
    aberdare.take(barry.segment("aberdare"))
    assert dict(aberdare.book.balances()) == {"alys": -90, "clearing:barry": 90, "transit:barry": 0}
    assert aberdare.book.debt == 90
    assert barry.book.debt == 0


def test_a_rejected_transfer_comes_back_with_the_reason_of_the_other_town() -> None:
    """PROTOCOL.md T6, T7, T8."""
    aberdare, barry, _, _ = two_towns()
    aberdare.send("alys", "barry", "0" * 32, 90)
    talk(aberdare, barry)
    returned = aberdare.entries[-1]
    assert isinstance(returned, e.TransferReturned)
    assert returned.data.reason == "alias_unknown"
    assert {minutes for _, minutes in [*aberdare.book.balances(), *barry.book.balances()]} == {0}


def test_what_is_sent_is_judged_by_floor_limits_and_peer() -> None:
    """PROTOCOL.md T5."""
    aberdare, barry, _, _ = two_towns(limit=500)
    assert refused_send(aberdare, 601) == "floor"
    assert refused_send(aberdare, 501) == "pair_limit_exceeded"
    aberdare.write(e.PolicyChanged, e.Policy(default_floor=0, default_ceiling=0, debt_limit=400))
    assert refused_send(aberdare, 401) == "debt_limit_exceeded"
    aberdare.send("alys", "barry", "0" * 32, 400)
    assert refused_send(aberdare, 1) == "debt_limit_exceeded"
    aberdare.meet(barry, limit=400)
    assert refused_send(aberdare, 1) == "pair_limit_exceeded"
    for state in ("suspended", "closed"):
        aberdare.meet(barry, state=state)
        assert refused_send(aberdare, 1) == "peer_suspended"
    aberdare.meet(barry)
    aberdare.write(e.AccountFrozen, e.AccountNamed(account="alys"))
    assert refused_send(aberdare, 1) == "account_frozen"


def test_the_debt_to_one_town_is_not_lessened_by_what_another_owes() -> None:
    """PROTOCOL.md T5, I4."""
    aberdare, _, alys, bryn = two_towns()
    cardiff = PaperTown("cardiff")
    cardiff.account("dai")
    cardiff.meet(aberdare)
    aberdare.meet(cardiff)
    cardiff.send("dai", "aberdare", alys, 600)
    talk(cardiff, aberdare)
    assert aberdare.book.peers["cardiff"].debt == -600
    aberdare.write(e.PolicyChanged, e.Policy(default_floor=0, default_ceiling=0, debt_limit=100))
    aberdare.send("alys", "barry", bryn, 100)
    assert aberdare.book.debt == 100
    assert refused_send(aberdare, 1) == "debt_limit_exceeded"


def test_postings_message_and_position_of_what_is_sent_agree() -> None:
    """PROTOCOL.md T5, E5, E6."""
    aberdare, _, _, _ = two_towns()
    aberdare.send("alys", "barry", "0" * 32, 30)
    last = aberdare.entries.pop()
    assert isinstance(last, e.TransferSent)
    fresh, _, _, _ = two_towns()
    raw = bytes(last.out) if last.out is not UNSET else b""
    changes: list[dict[str, Any]] = [
        {"out": UNSET},
        {"postings": UNSET},
        {"postings": [("alys", -31), ("transit:barry", 31)]},
        {"postings": [("alys", 30), ("transit:barry", -30)]},
        {"postings": [("alys", -30), ("clearing:barry", 30)]},
        {"postings": [("transit:barry", 30), ("alys", -30)]},
        {"out": Raw(raw.replace(b'"minutes":30', b'"minutes":31'))},
        {"out": Raw(raw.replace(b"barry/g1/1", b"barry/g1/2"))},
        {"out": Raw(raw.replace(b"barry.1", b"barry.2"))},
        {"out": Raw(raw.replace(b'"source":"aberdare"', b'"source":"cardiff"'))},
        {"out": Raw(raw.replace(b'"time":"2026', b'"time":"2025'))},
        {"out": Raw(raw.replace(b'"purpose":"gift"', b'"activity":"garden","purpose":"gift"'))},
        {"out": Raw(raw + b" ")},
        {"data": e.SentTo(peer="cardiff")},
        {"in_": Raw(raw)},
    ]
    before = deepcopy(fresh.book)
    for change in changes:
        with pytest.raises((Refusal, Malformed)):
            apply(fresh.book, msgspec.structs.replace(last, **change))
        assert fresh.book == before, change
    apply(fresh.book, last)


def test_the_receiving_town_decides_by_the_first_reason_that_holds() -> None:
    """PROTOCOL.md T6, T10."""
    aberdare, barry, _, bryn = two_towns()
    barry.account("cerys", ceiling=60)
    cerys, public = barry.alias("cerys"), barry.alias("bryn")
    barry.account("dewi")
    dewi = barry.alias("dewi")
    barry.write(e.AccountClosed, e.AccountNamed(account="dewi"))
    barry.meet(PaperTown("cardiff"))
    elsewhere = barry.alias("bryn", audience="cardiff")
    barry.meet(aberdare, limit=100)
    past = "2026-03-02T09:00:00.000Z"
    for payee, minutes, expires_at in (
        ("0" * 32, 600, past),
        (elsewhere, 10, NEVER),
        (dewi, 10, past),
        (bryn, 10, past),
        (cerys, 101, NEVER),
        (cerys, 61, NEVER),
        (public, 10, NEVER),
    ):
        aberdare.write(e.AccountChangedEntry, e.AccountChanged(account="alys", floor=-6000, ceiling=6000))
        aberdare.send("alys", "barry", payee, minutes, expires_at=expires_at)
    talk(aberdare, barry)
    reasons = [entry.data.reason for entry in aberdare.entries if isinstance(entry, e.TransferReturned)]
    assert reasons == [
        "alias_unknown",
        "alias_unknown",
        "account_closed",
        "expired",
        "pair_limit_exceeded",
        "ceiling_exceeded",
    ]
    assert isinstance(aberdare.entries[-1], e.TransferSettled)


@pytest.fixture
def pending() -> PaperTown:
    """Barry, who accepted a segment with one transfer of 90 minutes for `bryn` and has not entered it yet."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    segment = parse_segment(aberdare.segment("barry"))
    barry.write(e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=Raw(segment.envelope)), by=PEER)
    barry.sent["inbox"] = segment.messages
    return barry


def answer(town: PaperTown) -> tuple[bytes, e.TransferReceived]:
    """The message that waits, and the entry that an honest town writes for it."""
    raw = town.sent["inbox"][0]
    entry = deepcopy(town).answer(raw, PEER)
    assert isinstance(entry, e.TransferReceived)
    return raw, entry


def test_nothing_stands_between_a_segment_and_its_messages(pending: PaperTown) -> None:
    """PROTOCOL.md B3."""
    raw, right = answer(pending)
    gift = e.Posted(purpose="gift", confirmed_by="none")
    opened = e.AccountOpened(account="cerys", kind="member", floor=0, ceiling=60)
    for rest in ({}, {"in_": Raw(raw)}):
        assert refused(pending, e.AccountOpenedEntry, opened, **rest) == "segment_pending"
        assert refused(pending, e.TransferPosted, gift, postings=[("bryn", -1), ("x", 1)], **rest) == "segment_pending"
    assert (
        refused(pending, e.TransferReceived, right.data, postings=right.postings, out=right.out, by=PEER)
        == "segment_pending"
    )
    apply(pending.book, right)
    assert pending.book.pending is None
    assert refused(pending, e.TransferReceived, right.data, in_=Raw(raw), by=PEER) == "segment_pending"


def test_a_decision_agrees_with_the_message_that_caused_it(pending: PaperTown) -> None:
    """PROTOCOL.md T6, E2, S2."""
    raw, right = answer(pending)
    assert right.out is not UNSET
    out = bytes(right.out)
    rejection = e.Returned(transfer="aberdare.g1.barry.1", reason="expired")
    changes: list[dict[str, Any]] = [
        {"by": RULE},
        {"by": e.Actor(kind="peer", id="cardiff")},
        {"postings": UNSET},
        {"postings": [("clearing:aberdare", -91), ("bryn", 91)]},
        {"postings": [("clearing:aberdare", -90), ("alys", 90)]},
        {"postings": [("bryn", 90), ("clearing:aberdare", -90)]},
        {"data": e.Settled(transfer="aberdare.g1.barry.2")},
        {"out": UNSET},
        {"out": Raw(out.replace(b'"minutes":90', b'"minutes":91'))},
        {"out": Raw(out.replace(b"barry.1", b"barry.2"))},
        {"in_": Raw(raw.replace(b'"minutes":90', b'"minutes":91'))},
    ]
    before = deepcopy(pending.book)
    for change in changes:
        with pytest.raises((Refusal, Malformed)):
            apply(pending.book, msgspec.structs.replace(right, **change))
        assert pending.book == before, change
    head = {"n": right.n, "time": right.time, "by": PEER, "in_": Raw(raw)}
    with pytest.raises(Refusal):
        apply(pending.book, e.TransferRejected(**head, data=rejection, out=right.out))  # type: ignore[arg-type]  # a dict
    with pytest.raises(Refusal):
        apply(pending.book, e.TransferSettled(**head, data=right.data))  # type: ignore[arg-type]
    assert pending.book == before
    apply(pending.book, right)


def test_a_transfer_ends_once() -> None:
    """PROTOCOL.md T8, S9."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    talk(aberdare, barry)
    decision = barry.sent["aberdare"][0]
    barry.sent["aberdare"].append(decision.replace(b"aberdare/g1/1", b"aberdare/g1/2"))
    before = deepcopy(aberdare.book)
    with pytest.raises(Breach, match="decision_unfounded"):
        aberdare.take(barry.segment("aberdare"))
    assert aberdare.book == before


def test_a_return_fits_always_and_no_clock_of_the_payers_town_makes_it() -> None:
    """PROTOCOL.md T9, T10."""
    aberdare, barry, alys, _ = two_towns()
    aberdare.account("aled", floor=-6000)
    aberdare.post(("aled", -6000), ("alys", 6000))
    aberdare.send("alys", "barry", "0" * 32, 600, expires_at="2026-03-02T09:00:00.000Z")
    gift = e.Posted(purpose="gift", confirmed_by="none")
    assert refused(aberdare, e.TransferPosted, gift, postings=[("aled", -1), ("alys", 1)]) == "floor"
    aberdare.account("ann")
    assert refused(aberdare, e.TransferPosted, gift, postings=[("ann", -1), ("alys", 1)]) == "ceiling_exceeded"
    returned = e.Returned(transfer="aberdare.g1.barry.1", reason="expired")
    postings = [("transit:barry", -600), ("alys", 600)]
    for by in (RULE, e.Actor(kind="operator"), e.Actor(kind="peer", id="barry")):
        assert refused(aberdare, e.TransferReturned, returned, postings=postings, by=by) == "segment_pending"
    aberdare.write(e.AccountFrozen, e.AccountNamed(account="alys"))
    talk(aberdare, barry)
    assert aberdare.book.accounts["alys"].balance == 6000
    assert alys in aberdare.book.aliases


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 900), st.lists(st.tuples(st.booleans(), st.integers(1, 300), st.booleans()), max_size=14))
def test_with_equal_limits_no_town_rejects_for_the_limit_what_the_other_allowed(
    limit: int, sends: list[tuple[bool, int, bool]]
) -> None:
    """PROTOCOL.md T11."""
    aberdare, barry, alys, bryn = two_towns(limit=limit)
    for town, account in ((aberdare, "alys"), (barry, "bryn")):
        town.write(e.AccountChangedEntry, e.AccountChanged(account=account, floor=-10_000, ceiling=10_000))
    for from_aberdare, minutes, heard in sends:
        sender, payer, payee = (aberdare, "alys", bryn) if from_aberdare else (barry, "bryn", alys)
        receiver = barry if from_aberdare else aberdare
        try:
            sender.send(payer, receiver.node, payee, minutes)
        except Refusal:
            continue
        if heard:
            talk(sender, receiver)
    talk(aberdare, barry)
    messages = [m.decode_message(raw) for town in (aberdare, barry) for sent in town.sent.values() for raw in sent]
    assert not any(isinstance(message, m.TransferRejectedMessage) for message in messages)


def test_a_frozen_stream_takes_and_sends_nothing_until_an_operator_thaws_it() -> None:
    """PROTOCOL.md S9, L8."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    frozen = e.Frozen(peer="aberdare", generation="g1", position=1, code="message_malformed", segment_sha256="ab" * 32)
    for change in ({"position": 2}, {"code": "rudeness"}):
        wrong = msgspec.structs.replace(frozen, **change)
        assert refused(barry, e.PeerFrozen, wrong, by=RULE) == "segment_invalid"
    assert refused(barry, e.PeerFrozen, msgspec.structs.replace(frozen, peer="cardiff"), by=RULE) == "peer_unknown"
    barry.write(e.PeerFrozen, frozen, by=RULE)
    assert refused(barry, e.PeerFrozen, frozen, by=RULE) == "stream_frozen"
    envelope = Raw(parse_segment(aberdare.segment("barry")).envelope)
    assert refused(barry, e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=envelope), by=PEER) == "stream_frozen"
    with pytest.raises(Refusal, match="stream_frozen"):
        barry.send("bryn", "aberdare", "0" * 32, 1)
    thawed = e.Thawed(peer="aberdare", reason="sender_mended")
    assert refused(barry, e.PeerThawed, thawed, by=MEMBER) == "peer_unknown"
    barry.write(e.PeerThawed, thawed)
    talk(aberdare, barry)
    assert barry.book.accounts["bryn"].balance == 90
    assert {"message_malformed", "message_misplaced", "decision_unfounded", "decision_minutes"} <= BREACHES


def test_an_accepted_segment_is_signed_by_the_peer_and_continues_its_stream() -> None:
    """PROTOCOL.md S5, S7, E2."""
    aberdare, barry, _, bryn = two_towns()
    for _ in range(3):
        aberdare.send("alys", "barry", bryn, 9)
    barry.take(aberdare.segment("barry", 1, 1))

    def accept(raw: bytes, *, by: e.Actor = PEER) -> str:
        envelope = Raw(parse_segment(raw).envelope)
        return refused(barry, e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=envelope), by=by)

    assert accept(aberdare.segment("barry", 2), by=RULE) == "segment_invalid"
    assert accept(aberdare.segment("barry", 2, key=make_key("stranger"))) == "segment_invalid"
    assert accept(aberdare.segment("barry", 3)) == "segment_invalid"
    assert accept(aberdare.segment("barry", 1, 1)) == "segment_invalid"
    assert accept(aberdare.segment("barry", 2, 1)) == "segment_invalid"
    envelope = Raw(b'{"payload":"","payloadType":"x","signatures":[]}')
    assert refused(barry, e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=envelope), by=PEER) == "segment_invalid"


def test_a_registry_is_accepted_upwards_only() -> None:
    """PROTOCOL.md R4."""
    aberdare, _, _, _ = two_towns()
    aberdare.write(e.RegistryAcceptedEntry, e.RegistryAccepted(version=2, sha256="ab" * 32))
    assert (aberdare.book.registry_version, aberdare.book.registry_sha256) == (2, "ab" * 32)
    for version in (1, 2):
        again = e.RegistryAccepted(version=version, sha256="cd" * 32)
        assert refused(aberdare, e.RegistryAcceptedEntry, again) == "registry_invalid"


def test_a_peer_is_changed_by_an_operator_or_rule_and_never_to_another_generation() -> None:
    """PROTOCOL.md R4, L8."""
    aberdare, barry, _, _ = two_towns()
    key = b64_encode(barry.event_key.public)
    data = e.Peer(peer="barry", generation="g1", state="open", owe_limit=1, owed_limit=2, event_keys=[key])
    assert refused(aberdare, e.PeerChanged, data, by=MEMBER) == "purpose_invalid"
    aberdare.write(e.PeerChanged, data, by=RULE)
    peer = aberdare.book.peers["barry"]
    assert (peer.owe_limit, peer.owed_limit, peer.event_keys) == (1, 2, (barry.event_key.public,))
    assert refused(aberdare, e.PeerChanged, msgspec.structs.replace(data, generation="g2")) == "registry_invalid"
    assert refused(aberdare, e.PeerChanged, msgspec.structs.replace(data, peer="aberdare")) == "peer_unknown"


def test_the_book_is_bounded_by_what_is_under_way() -> None:
    """PROTOCOL.md B5."""
    aberdare, barry, _, bryn = two_towns()
    for _ in range(20):
        aberdare.send("alys", "barry", bryn, 1)
        talk(aberdare, barry)
        assert len(aberdare.book.peers["barry"].unheard) <= 2
        assert not aberdare.book.open_transfers
    assert isinstance(aberdare.book, Book)
