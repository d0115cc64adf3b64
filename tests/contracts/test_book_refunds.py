"""Refunds between two towns on paper: what was received goes back, and never more."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import MEMBER, NEVER, PaperTown, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import Breach, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.names import clearing, federated_transfer, transit

RULE = e.Actor(kind="rule")
Pair = tuple[PaperTown, PaperTown, str, str]


@pytest.fixture
def pair() -> Pair:
    return two_towns()


def balances(*towns: PaperTown) -> list[int]:
    return [town.book.accounts["alys" if town.node == "aberdare" else "bryn"].balance for town in towns]


def refund(town: PaperTown, peer: str, transfer: str, minutes: int, *, by: e.Actor = MEMBER, **said: Any) -> str:
    """Give back so many minutes of what the town received; `said` replaces what the message says."""
    found = next(one for one in town.entries if isinstance(one, e.TransferReceived) and one.data.transfer == transfer)
    assert found.in_ is not UNSET
    assert found.postings is not UNSET
    sent = m.decode_message(bytes(found.in_))
    assert isinstance(sent, m.TransferSentMessage)
    payer = said.pop("payer", found.postings[1][0])
    name = federated_transfer(town.node, "g1", peer, len(town.sent.get(peer, [])) + 1)
    fields: dict[str, Any] = {
        "transfer": name,
        "at": town.book.n,
        "minutes": minutes,
        "payer_tag": "0" * 30,
        "purpose": "refund",
        "refunds": transfer,
        "refunds_at": sent.data.at,
        "expires_at": NEVER,
    }
    out = town.tell(peer, m.TransferSentMessage, m.Sent(**(fields | said)))
    postings = [(payer, -minutes), (transit(peer), minutes)]
    town.write(e.TransferSent, e.SentTo(peer=peer, original=found.n), by=by, postings=postings, out=out)
    return name


def test_a_refund_goes_back_to_whoever_paid(pair: Pair) -> None:
    """PROTOCOL.md T15, T16."""
    aberdare, barry, _, bryn = pair
    sent = aberdare.send("alys", "barry", bryn, 90)
    talk(aberdare, barry)
    assert balances(aberdare, barry) == [-90, 90]
    refund(barry, "aberdare", sent, 30)
    talk(barry, aberdare)
    assert balances(aberdare, barry) == [-60, 60]
    assert barry.book.accounts[clearing("aberdare")].balance + aberdare.book.accounts[clearing("barry")].balance == 0
    with pytest.raises(Refusal, match="refund_exceeded"):
        refund(barry, "aberdare", sent, 61)
    refund(barry, "aberdare", sent, 60)
    talk(barry, aberdare)
    assert balances(aberdare, barry) == [0, 0]
    assert barry.book.refunded == {sent: 90}


def test_a_refund_that_comes_back_counts_no_more(pair: Pair) -> None:
    """PROTOCOL.md T15."""
    aberdare, barry, _, bryn = pair
    sent = aberdare.send("alys", "barry", bryn, 90)
    talk(aberdare, barry)
    refund(barry, "aberdare", sent, 90, expires_at="2026-01-01T00:00:00.000Z")
    assert barry.book.refunded == {sent: 90}
    talk(barry, aberdare)
    assert (balances(aberdare, barry), barry.book.refunded) == ([-90, 90], {})
    refund(barry, "aberdare", sent, 90)
    talk(barry, aberdare)
    assert balances(aberdare, barry) == [0, 0]


def test_only_what_came_from_that_town_is_refunded_by_who_was_credited(pair: Pair) -> None:
    """PROTOCOL.md T15, T16."""
    aberdare, barry, alys, bryn = pair
    barry.account("cai")
    barry.account("pot", "pot", floor=-600)
    sent = aberdare.send("alys", "barry", bryn, 90)
    talk(aberdare, barry)
    broker = e.Actor(kind="broker", id="broker")
    for said, code in (
        ({"payer": "cai"}, "purpose_invalid"),
        ({"payer": "pot"}, "purpose_invalid"),
        ({"payee": alys}, "purpose_invalid"),
        ({"activity": "garden"}, "purpose_invalid"),
        ({"refunds_at": 0}, "purpose_invalid"),
        ({"refunds": "aberdare.g1.barry.9"}, "transfer_unknown"),
    ):
        before = deepcopy(barry.book)
        with pytest.raises(Refusal, match=code):
            refund(barry, "aberdare", sent, 90, **said)
        assert barry.book == before
    back = refund(barry, "aberdare", sent, 90, payer="pot", by=broker)
    talk(barry, aberdare)
    assert balances(aberdare, barry) == [0, 90]
    with pytest.raises(Refusal, match="transfer_unknown"):
        refund(aberdare, "barry", back, 90)


def test_a_refund_of_nothing_that_was_sent_is_rejected() -> None:
    """PROTOCOL.md T16."""
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 90)
    forged: dict[str, Any] = {
        "transfer": "barry.g1.aberdare.1",
        "at": 1,
        "minutes": 30,
        "payer_tag": "0" * 30,
        "purpose": "refund",
        "refunds": "aberdare.g1.barry.1",
        "expires_at": NEVER,
    }
    for at in (0, 1, aberdare.book.n, 2**40):
        data = m.Sent(**forged, refunds_at=at)
        town = deepcopy(aberdare)
        message = m.encode_message(m.TransferSentMessage(**barry.envelope("aberdare"), data=data))
        [_, entry] = town.take(barry.segment("aberdare", messages=[message]))
        assert isinstance(entry, e.TransferRejected)
        assert entry.data.reason == "alias_unknown"
    sent = next(entry for entry in aberdare.entries if isinstance(entry, e.TransferSent))
    data = m.Sent(**forged, refunds_at=sent.n, payee=bryn)
    message = m.encode_message(m.TransferSentMessage(**barry.envelope("aberdare"), data=data))
    with pytest.raises(Breach, match="message_malformed"):
        aberdare.take(barry.segment("aberdare", messages=[message]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=8))
def test_refunds_together_are_never_more_than_the_original(parts: list[tuple[int, bool]]) -> None:
    """PROTOCOL.md T15, I7."""
    aberdare, barry, _, bryn = two_towns()
    sent = aberdare.send("alys", "barry", bryn, 90)
    talk(aberdare, barry)
    for minutes, comes_back in parts:
        expires: dict[str, Any] = {"expires_at": "2026-01-01T00:00:00.000Z"} if comes_back else {}
        if barry.book.refunded.get(sent, 0) + minutes <= 90:
            refund(barry, "aberdare", sent, minutes, **expires)
        else:
            with pytest.raises(Refusal, match="refund_exceeded"):
                refund(barry, "aberdare", sent, minutes, **expires)
        if minutes % 2:
            talk(barry, aberdare)
    talk(barry, aberdare)
    alys, of_bryn = balances(aberdare, barry)
    assert -90 <= alys == -of_bryn <= 0
    assert broken_invariants(aberdare.book) == broken_invariants(barry.book) == []
