"""Claims and thanks between two towns on paper."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET, Raw

from contracts.vectors.paper_town import MEMBER, NEVER, OPERATOR, PaperTown, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.errors import REFUSALS, REJECTIONS, Breach, Refusal
from timebank_contracts.moments import parse_time, show_time
from timebank_contracts.names import federated_transfer, transit
from timebank_contracts.rules_claims import days_after

RULE = e.Actor(kind="rule")
Pair = tuple[PaperTown, PaperTown, str, str]


@pytest.fixture
def pair() -> Pair:
    return two_towns()


def balances(*towns: PaperTown) -> list[int]:
    return [town.book.accounts["alys" if town.node == "aberdare" else "bryn"].balance for town in towns]


def claim(town: PaperTown, peer: str, giver: str, receiver: str, minutes: int = 60, **said: Any) -> str:
    """`alys` or `bryn` of the town claims minutes from an address of the peer."""
    name = federated_transfer(town.node, "g1", peer, len(town.sent.get(peer, [])) + 1)
    fields: dict[str, Any] = {
        "claim": name,
        "minutes": minutes,
        "giver": giver,
        "receiver": receiver,
        "activity": "garden",
        "served_on": "2026-03-02",
        "expires_at": days_after(town.now, town.book.claim_expires_after_days),
    }
    out = town.tell(peer, m.ClaimMadeMessage, m.Claimed(**(fields | said)))
    account = "alys" if town.node == "aberdare" else "bryn"
    town.write(e.ClaimSentEntry, e.ClaimSent(giver=account, peer=peer), by=MEMBER, out=out)
    return name


def pay(town: PaperTown, peer: str, name: str, payee: str, minutes: int = 60, **said: Any) -> str:
    """Confirm a claim by the transfer that names it."""
    sent = federated_transfer(town.node, "g1", peer, len(town.sent.get(peer, [])) + 1)
    fields: dict[str, Any] = {
        "transfer": sent,
        "at": town.book.n,
        "minutes": minutes,
        "payee": payee,
        "payer_tag": "0" * 30,
        "purpose": "service",
        "activity": "garden",
        "served_on": "2026-03-02",
        "claim": name,
        "expires_at": NEVER,
    }
    by = said.pop("by", MEMBER)
    out = town.tell(peer, m.TransferSentMessage, m.Sent(**(fields | said)))
    account = "alys" if town.node == "aberdare" else "bryn"
    postings = [(account, -minutes), (transit(peer), minutes)]
    town.write(e.TransferSent, e.SentTo(peer=peer, claim=name), by=by, postings=postings, out=out)
    return sent


def claimed() -> tuple[PaperTown, PaperTown, str, str]:
    """Bryn of Barry claims an hour from Alys of Aberdare: both towns, Bryn's address, the claim."""
    aberdare, barry, alys, bryn = two_towns()
    name = claim(barry, "aberdare", bryn, alys)
    talk(barry, aberdare)
    return aberdare, barry, bryn, name


def open_claims(*towns: PaperTown) -> list[int]:
    return [town.book.accounts["alys" if town.node == "aberdare" else "bryn"].open_claims for town in towns]


def test_a_claim_is_put_to_its_receiver_and_confirmed_by_a_transfer() -> None:
    """PROTOCOL.md D8, D9, D10."""
    aberdare, barry, bryn, name = claimed()
    assert (list(aberdare.book.claims), list(barry.book.sent_claims)) == ([name], [name])
    assert open_claims(aberdare, barry) == [1, 1]
    for said, code in (
        ({"activity": "arts"}, "claim_mismatch"),
        ({"given_minutes": 30}, "claim_mismatch"),
        ({"claim": "barry.g1.aberdare.7"}, "claim_mismatch"),
        ({"by": RULE}, "claim_not_due"),
    ):
        with pytest.raises(Refusal, match=code):
            pay(aberdare, "barry", name, bryn, **said)
    with pytest.raises(Refusal, match="claim_mismatch"):
        pay(aberdare, "barry", name, "0" * 32)
    with pytest.raises(Refusal, match="claim_tolerance"):
        pay(aberdare, "barry", name, bryn, 61)
    pay(aberdare, "barry", name, bryn, 45)
    with pytest.raises(Refusal, match="claim_unknown"):
        pay(aberdare, "barry", name, bryn)
    talk(aberdare, barry)
    assert (balances(aberdare, barry), open_claims(aberdare, barry)) == ([-45, 45], [0, 0])
    assert (aberdare.book.claims, barry.book.sent_claims) == ({}, {})


def test_a_claim_withdrawn_while_it_is_being_paid_sends_the_minutes_back() -> None:
    """PROTOCOL.md D11, T6."""
    aberdare, barry, bryn, name = claimed()
    out = barry.tell("aberdare", m.ClaimWithdrawnMessage, m.Withdrawn(claim=name))
    barry.write(e.ClaimWithdrawn, e.ClaimNamed(claim=name), by=MEMBER, out=out)
    pay(aberdare, "barry", name, bryn)
    talk(barry, aberdare)
    talk(aberdare, barry)
    returned = next(entry for entry in aberdare.entries if isinstance(entry, e.TransferReturned))
    assert returned.data.reason == "claim_withdrawn"
    assert (balances(aberdare, barry), aberdare.book.claims) == ([0, 0], {})
    assert open_claims(aberdare, barry) == [0, 0]


def test_crediting_a_withdrawn_claim_is_refused_with_the_reason_of_its_rejection() -> None:
    """PROTOCOL.md D11, T6, T7."""
    assert set(REFUSALS) >= REJECTIONS
    aberdare, barry, bryn, name = claimed()
    sent = pay(aberdare, "barry", name, bryn)
    withdrawal = barry.tell("aberdare", m.ClaimWithdrawnMessage, m.Withdrawn(claim=name))
    barry.write(e.ClaimWithdrawn, e.ClaimNamed(claim=name), by=MEMBER, out=withdrawal)
    segment = aberdare.segment("barry")
    by = e.Actor(kind="peer", id="aberdare")
    barry.write(e.SegmentAcceptedEntry, e.SegmentAccepted(envelope=Raw(segment.split(b"\n")[0])), by=by)
    [message] = aberdare.sent["barry"]
    answer = barry.tell("aberdare", m.TransferReceivedMessage, m.Received(transfer=sent, minutes=60))
    postings = [("clearing:aberdare", -60), ("bryn", 60)]
    with pytest.raises(Refusal, match="claim_withdrawn"):
        barry.write(
            e.TransferReceived,
            e.Settled(transfer=sent),
            by=by,
            in_=Raw(message),
            out=answer,
            postings=postings,
        )


def test_a_claim_whose_transfer_came_back_is_open_again() -> None:
    """PROTOCOL.md D10."""
    aberdare, barry, bryn, name = claimed()
    pay(aberdare, "barry", name, bryn, expires_at="2026-01-01T00:00:00.000Z")
    talk(aberdare, barry)
    assert (list(aberdare.book.claims), list(barry.book.sent_claims)) == ([name], [name])
    assert open_claims(aberdare, barry) == [1, 1]
    pay(aberdare, "barry", name, bryn)
    talk(aberdare, barry)
    assert balances(aberdare, barry) == [-60, 60]


def test_a_claim_that_can_be_put_to_nobody_ends_at_its_giver_s_town() -> None:
    """PROTOCOL.md D9."""
    aberdare, barry, _, bryn = two_towns()
    name = claim(barry, "aberdare", bryn, "0" * 32)
    talk(barry, aberdare)
    refused = next(entry for entry in aberdare.entries if isinstance(entry, e.ClaimRefusedEntry))
    assert refused.data == e.ClaimRefused(claim=name, reason="alias_unknown")
    talk(aberdare, barry)
    assert (barry.book.sent_claims, open_claims(barry)) == ({}, [0])


def test_a_dispute_is_told_to_the_giver_s_town_and_decided_at_the_receiver_s() -> None:
    """PROTOCOL.md D11."""
    aberdare, barry, bryn, name = claimed()
    disputed = e.ClaimDisputed(claim=name, reason="other_minutes")
    with pytest.raises(Refusal, match="segment_invalid"):
        aberdare.write(e.ClaimDisputedEntry, disputed, by=MEMBER)
    out = aberdare.tell("barry", m.ClaimDisputedMessage, m.Disputed(claim=name, reason="other_minutes"))
    aberdare.write(e.ClaimDisputedEntry, disputed, by=MEMBER, out=out)
    talk(aberdare, barry)
    assert barry.book.sent_claims[name].disputed
    with pytest.raises(Refusal, match="claim_disputed"):
        pay(aberdare, "barry", name, bryn)
    pay(aberdare, "barry", name, bryn, 30, by=OPERATOR)
    talk(aberdare, barry)
    assert balances(aberdare, barry) == [-30, 30]


def test_a_claim_of_ours_ends_by_rule_after_its_time_and_a_late_transfer_comes_back() -> None:
    """PROTOCOL.md D12."""
    aberdare, barry, bryn, name = claimed()
    named = e.ClaimNamed(claim=name)
    for days in (60, 66):
        with pytest.raises(Refusal, match="claim_not_due"):
            barry.write(e.ClaimExpired, named, by=RULE, time=days_after(barry.now, days))
    barry.write(e.ClaimExpired, named, by=RULE, time=days_after(barry.now, 68))
    with pytest.raises(Refusal, match="claim_not_due"):
        aberdare.write(e.ClaimExpired, named, by=RULE)
    assert (barry.book.sent_claims, open_claims(barry)) == ({}, [0])
    pay(aberdare, "barry", name, bryn)
    assert aberdare.book.open_transfers


def test_only_the_giver_s_town_withdraws_and_only_what_was_claimed_is_named() -> None:
    """PROTOCOL.md D11, S9."""
    aberdare, barry, _, name = claimed()
    with pytest.raises(Refusal, match="purpose_invalid"):
        aberdare.write(e.ClaimWithdrawn, e.ClaimNamed(claim=name), by=MEMBER)
    forged = (
        (m.ClaimWithdrawnMessage, m.Withdrawn(claim="barry.g1.aberdare.2")),
        (m.ClaimWithdrawnMessage, m.Withdrawn(claim="aberdare.g1.barry.1")),
        (m.ClaimDisputedMessage, m.Disputed(claim="aberdare.g1.barry.1", reason="other")),
        (m.ThanksGivenMessage, m.Thanked(transfer="barry.g1.aberdare.2")),
        (m.ThanksGivenMessage, m.Thanked(transfer="cardiff.g1.barry.1")),
    )
    for kind, data in forged:
        message = bytes(barry.tell("aberdare", kind, data))
        with pytest.raises(Breach, match="unfounded"):
            aberdare.take(barry.segment("aberdare", 2, messages=[message]))


def test_the_giver_of_a_claim_has_an_address_for_that_town(pair: Pair) -> None:
    """PROTOCOL.md D8."""
    _, barry, alys, bryn = pair
    barry.account("cai")
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"giver": "0" * 32}, "alias_unknown"),
        ({"giver": barry.alias("cai")}, "alias_unknown"),
        ({"served_on": "2026-03-09"}, "served_on_invalid"),
        ({"expires_at": NEVER}, "claim_mismatch"),
        ({"claim": "barry.g1.aberdare.9"}, "segment_invalid"),
    )
    for said, code in wrong:
        before = deepcopy(barry.book)
        with pytest.raises(Refusal, match=code):
            claim(barry, "aberdare", said.pop("giver", bryn), alys, **said)
        assert barry.book == before
    barry.write(e.AccountClosing, e.AccountNamed(account="bryn"), by=MEMBER)
    with pytest.raises(Refusal, match="account_closing"):
        claim(barry, "aberdare", bryn, alys)


def thank(town: PaperTown, transfer: str, side: Any, position: int, *, peer: str | None = None, **rest: Any) -> e.Entry:
    out: Raw | Any = UNSET if peer is None else town.tell(peer, m.ThanksGivenMessage, m.Thanked(transfer=transfer))
    data = e.ThanksGiven(transfer=transfer, side=side, position=position)
    return town.write(e.ThanksGivenEntry, data, **{"by": MEMBER, "out": out, **rest})


def test_each_side_thanks_once_and_in_time(pair: Pair) -> None:
    """PROTOCOL.md D13."""
    aberdare, _, _, _ = pair
    aberdare.account("aled")
    posted = aberdare.post(("alys", -60), ("aled", 60), purpose="service")
    name = f"aberdare.g1.{posted.n}"
    thank(aberdare, name, "payer", posted.n)
    thank(aberdare, name, "payee", posted.n)
    with pytest.raises(Refusal, match="thanks_given"):
        thank(aberdare, name, "payer", posted.n)
    with pytest.raises(Refusal, match="transfer_unknown"):
        thank(aberdare, name, "payer", posted.n - 1)
    with pytest.raises(Refusal, match="purpose_invalid"):
        thank(aberdare, name, "payer", posted.n, by=RULE)
    later = show_time(parse_time(aberdare.now) + timedelta(days=91))
    with pytest.raises(Refusal, match="thanks_late"):
        thank(aberdare, name, "payer", posted.n, time=later)
    other = aberdare.write(e.TransferPosted, posted.data, by=MEMBER, postings=posted.postings, time=later)  # type: ignore[attr-defined]  # every entry has data
    thank(aberdare, f"aberdare.g1.{other.n}", "payer", other.n, time=later)
    assert len(aberdare.book.thanked) == 1


def test_thanks_cross_towns_each_for_its_own_side(pair: Pair) -> None:
    """PROTOCOL.md D14."""
    aberdare, barry, _, bryn = pair
    sent = aberdare.send("alys", "barry", bryn, 60)
    talk(aberdare, barry)
    began = next(entry for entry in aberdare.entries if isinstance(entry, e.TransferSent))
    credited = next(entry for entry in barry.entries if isinstance(entry, e.TransferReceived))
    with pytest.raises(Refusal, match="purpose_invalid"):
        thank(aberdare, sent, "payee", began.n, peer="barry")
    thank(aberdare, sent, "payer", began.n, peer="barry")
    thank(barry, sent, "payee", credited.n, peer="aberdare")
    talk(aberdare, barry)
    told = [entry.data for entry in barry.entries if isinstance(entry, e.ThanksGivenEntry) and entry.in_ is not UNSET]
    assert told == [e.ThanksGiven(transfer=sent, side="payer")]
    told = [
        entry.data for entry in aberdare.entries if isinstance(entry, e.ThanksGivenEntry) and entry.in_ is not UNSET
    ]
    assert told == [e.ThanksGiven(transfer=sent, side="payee")]
