"""The book: entries between towns that do not quite agree with the message that caused them, or that they send."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from contracts.vectors.paper_town import OPERATOR, PaperTown, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts.book import apply
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.segments import parse_segment

ABERDARE = e.Actor(kind="peer", id="aberdare")
BARRY = e.Actor(kind="peer", id="barry")


def next_answer(town: PaperTown, sender: PaperTown) -> e.Entry:
    """The entry that the town would write for the sender's next message; its segment is accepted, the entry is not."""
    raw = sender.segment(town.node, town.book.peers[sender.node].incoming.n + 1)
    segment = parse_segment(raw)
    by = e.Actor(kind="peer", id=sender.node)
    town.write(e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=Raw(segment.envelope)), by=by)
    return deepcopy(town).answer(segment.messages[0], by)


def all_refused(town: PaperTown, right: e.Entry, changes: list[dict[str, Any]]) -> None:
    """Each change of the right entry is refused and leaves the book as it was; the right entry is not."""
    before = deepcopy(town.book)
    for change in changes:
        with pytest.raises((Refusal, Malformed)):
            apply(town.book, msgspec.structs.replace(right, **change))
        assert town.book == before, change
    apply(town.book, right)


def test_settled_moves_what_the_message_says_from_transit_to_clearing() -> None:
    """PROTOCOL.md T8, E2."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    out = aberdare.entries[-1].out
    barry.take(aberdare.segment("barry"))
    right = next_answer(aberdare, barry)
    assert isinstance(right, e.TransferSettled)
    changes: list[dict[str, Any]] = [
        {"by": OPERATOR},
        {"by": ABERDARE},
        {"by": e.Actor(kind="operator", id="barry")},
        {"data": e.Settled(transfer="aberdare.g1.barry.2")},
        {"postings": UNSET},
        {"postings": [("transit:barry", -90), ("clearing:barry", 91)]},
        {"postings": [("clearing:barry", 90), ("transit:barry", -90)]},
        {"postings": [("transit:barry", -90), ("alys", 90)]},
        {"out": out},
    ]
    all_refused(aberdare, right, changes)
    assert aberdare.book.accounts["alys"].in_transit == 0


def test_returned_gives_back_what_was_sent_for_the_reason_that_was_given() -> None:
    """PROTOCOL.md T8, T7."""
    aberdare, barry, _, _ = two_towns()
    aberdare.account("aled")
    aberdare.send("alys", "barry", "0" * 32, 90)
    out = aberdare.entries[-1].out
    barry.take(aberdare.segment("barry"))
    right = next_answer(aberdare, barry)
    assert isinstance(right, e.TransferReturned)
    transfer = right.data.transfer
    changes: list[dict[str, Any]] = [
        {"by": e.Actor(kind="rule")},
        {"by": e.Actor(kind="operator", id="barry")},
        {"data": e.Returned(transfer="aberdare.g1.barry.2", reason="alias_unknown")},
        {"data": e.Returned(transfer=transfer, reason="expired")},
        {"postings": [("transit:barry", -90), ("aled", 90)]},
        {"postings": [("transit:barry", -91), ("alys", 91)]},
        {"postings": UNSET},
        {"out": out},
    ]
    all_refused(aberdare, right, changes)
    assert aberdare.book.accounts["alys"].balance == 0


def test_a_decision_is_entered_as_what_it_is() -> None:
    """PROTOCOL.md T8: received settles, rejected returns, and neither the other way."""
    for payee, wrong in ((None, e.TransferReturned), ("0" * 32, e.TransferSettled)):
        aberdare, barry, _, bryn = two_towns()
        aberdare.send("alys", "barry", payee or bryn, 90)
        barry.take(aberdare.segment("barry"))
        right = next_answer(aberdare, barry)
        second = "clearing:barry" if wrong is e.TransferSettled else "alys"
        data: Any = e.Settled(transfer="aberdare.g1.barry.1")
        if wrong is e.TransferReturned:
            data = e.Returned(transfer="aberdare.g1.barry.1", reason="expired")
        entry = wrong(
            n=right.n,
            time=right.time,
            by=BARRY,
            in_=right.in_,
            postings=[("transit:barry", -90), (second, 90)],
            data=data,
        )
        with pytest.raises(Refusal, match="segment_invalid"):
            apply(aberdare.book, entry)


def test_a_rejection_names_the_reason_of_the_rules_and_moves_nothing() -> None:
    """PROTOCOL.md T6, T7."""
    aberdare, barry, _, _ = two_towns()
    aberdare.send("alys", "barry", "0" * 32, 90)
    right = next_answer(barry, aberdare)
    assert isinstance(right, e.TransferRejected)
    assert right.out is not UNSET
    transfer, out = right.data.transfer, bytes(right.out)
    other = Raw(out.replace(b"alias_unknown", b"expired"))
    changes: list[dict[str, Any]] = [
        {"data": e.Returned(transfer=transfer, reason="expired")},
        {"data": e.Returned(transfer=transfer, reason="expired"), "out": other},
        {"data": e.Returned(transfer="aberdare.g1.barry.2", reason="alias_unknown")},
        {"out": other},
        {"out": UNSET},
        {"postings": [("clearing:aberdare", -90), ("bryn", 90)]},
    ]
    all_refused(barry, right, changes)


def test_what_is_received_balances_and_is_paid_by_the_peers_clearing_account() -> None:
    """PROTOCOL.md T6, I1."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    right = next_answer(barry, aberdare)
    changes: list[dict[str, Any]] = [
        {"postings": [("clearing:aberdare", -89), ("bryn", 90)]},
        {"postings": [("clearing:aberdare", -90), ("bryn", 89)]},
        {"postings": [("clearing:aberdare", 90), ("bryn", -90)]},
        {"postings": [("transit:aberdare", -90), ("bryn", 90)]},
        {"postings": [("clearing:aberdare", -90), ("bryn", 45), ("bryn", 45)]},
    ]
    all_refused(barry, right, changes)


def test_what_is_sent_balances_and_is_a_transfer() -> None:
    """PROTOCOL.md T5, T3, I1."""
    aberdare, barry, alys, _ = two_towns()
    aberdare.send("alys", "barry", "0" * 32, 30)
    right = aberdare.entries[-1]
    barry.send("bryn", "aberdare", alys, 5)
    again, _, _, _ = two_towns()
    assert right.out is not UNSET
    raw = bytes(right.out)
    service = raw.replace(b'"purpose":"gift"', b'"purpose":"service"')
    first = b'"data":{"activity":"garden",'

    def served(day: bytes) -> Raw:
        said = service.replace(b'"data":{', first).replace(b'"transfer":', b'"served_on":"' + day + b'","transfer":')
        return Raw(said)

    decision = b'"data":{"minutes":30,"transfer":"aberdare.g1.barry.1"}'
    received = raw[: raw.index(b'"data"')] + decision + raw[raw.index(b',"id"') :]
    changes: list[dict[str, Any]] = [
        {"postings": [("alys", -30), ("transit:barry", 31)]},
        {"postings": [("alys", -29), ("transit:barry", 30)]},
        {"out": Raw(received.replace(b"transfer.sent", b"transfer.received"))},
        {"out": Raw(service)},
        {"out": served(b"2026-03-04")},
        {"out": served(b"2025-02-28")},
        {"out": Raw(raw.replace(b'"data":{', first))},
        {
            "out": Raw(
                raw.replace(
                    b'"expires_at":"2099-12-31T23:59:59.999Z"',
                    b'"expires_at":"2099-12-31T23:59:59.999Z","given_minutes":5',
                )
            )
        },
    ]
    all_refused(deepcopy(again), right, changes)
    apply(again.book, msgspec.structs.replace(right, out=served(b"2026-03-01")))


def test_only_the_town_that_a_transfer_went_to_decides_it() -> None:
    """PROTOCOL.md T8, S9."""
    aberdare, barry, _, bryn = two_towns()
    cardiff = PaperTown("cardiff")
    cardiff.meet(aberdare)
    aberdare.meet(cardiff)
    aberdare.send("alys", "barry", bryn, 90)
    barry.take(aberdare.segment("barry"))
    stolen = barry.sent["aberdare"][0].replace(b'"source":"barry"', b'"source":"cardiff"')
    cardiff.sent["aberdare"] = [stolen]
    before = deepcopy(aberdare.book)
    with pytest.raises(Breach, match="decision_unfounded at stream position 1"):
        aberdare.take(cardiff.segment("aberdare"))
    assert aberdare.book == before


def test_a_transfer_is_good_until_the_very_time_at_which_it_expires() -> None:
    """PROTOCOL.md T6, T10."""
    for late in (False, True):
        aberdare, barry, _, bryn = two_towns()
        clock = deepcopy(barry)
        clock.account("cerys")
        aberdare.send("alys", "barry", bryn, 90, expires_at=barry.now if late else clock.now)
        talk(aberdare, barry)
        assert isinstance(aberdare.entries[-1], e.TransferReturned if late else e.TransferSettled)


def test_a_segment_is_the_act_of_its_sender() -> None:
    """PROTOCOL.md E2."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    data = e.SegmentAccepted(envelope=Raw(parse_segment(aberdare.segment("barry")).envelope))
    for by in (e.Actor(kind="operator", id="aberdare"), e.Actor(kind="peer", id="cardiff"), e.Actor(kind="peer")):
        with pytest.raises(Refusal, match="segment_invalid"):
            barry.write(e.SegmentAcceptedEntry, data, by=by)


def test_a_registry_is_accepted_by_an_operator_or_the_rule_and_nobody_unknown_is_thawed() -> None:
    """PROTOCOL.md L8."""
    aberdare, _, _, _ = two_towns()
    with pytest.raises(Refusal, match="purpose_invalid"):
        aberdare.write(e.RegistryAcceptedEntry, e.RegistryAccepted(version=1, sha256="0" * 64), by=BARRY)
    with pytest.raises(Refusal, match="peer_unknown"):
        aberdare.write(e.PeerThawed, e.Thawed(peer="cardiff", reason="mistake"))
