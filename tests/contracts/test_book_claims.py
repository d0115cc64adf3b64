"""Claims: made by the giver, ended once, reopened when the transfer comes back."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import PaperTown
from timebank_contracts import entries as e
from timebank_contracts import rules_claims
from timebank_contracts.errors import Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.moments import parse_time, show_time

MEMBER = e.Actor(kind="member", id="alys")
BROKER = e.Actor(kind="broker", id="broker")
RULE = e.Actor(kind="rule")


def make_town(**policy: int) -> PaperTown:
    town = PaperTown("aberdare")
    town.write(e.PolicyChanged, e.Policy(default_floor=-600, default_ceiling=6000, debt_limit=0, **policy))
    for account in ("alys", "bryn", "pot"):
        town.account(account, "pot" if account == "pot" else "member")
    return town


@pytest.fixture
def town() -> PaperTown:
    return make_town()


def claim(town: PaperTown, minutes: int = 60, *, by: e.Actor = MEMBER, **data: Any) -> str:
    said = {"giver": "alys", "receiver": "bryn", "activity": "garden", "served_on": town.now[:10], **data}
    entry = town.write(e.ClaimMadeEntry, e.ClaimMade(minutes=minutes, **said), by=by)
    return f"aberdare.g1.{entry.n}"


def confirm(town: PaperTown, name: str, minutes: int = 60, *, by: e.Actor = MEMBER, **data: Any) -> e.Entry:
    said: dict[str, Any] = {"purpose": "service", "activity": "garden", "served_on": "2026-03-02", "claim": name} | data
    said.setdefault("confirmed_by", "rule" if by.kind == "rule" else "receiver")
    time = said.pop("time", town.now)
    postings = said.pop("postings", [("bryn", -minutes), ("alys", minutes)])
    return town.write(e.TransferPosted, e.Posted(**said), by=by, postings=postings, time=time)


def later(town: PaperTown, days: int) -> str:
    return show_time(parse_time(town.now) + timedelta(days=days))


def refused(town: PaperTown, kind: type[e.Entry], data: Any, **rest: Any) -> str:
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        town.write(kind, data, **rest)
    assert town.book == before
    return caught.value.code


def test_a_claim_moves_no_minutes_and_its_confirmation_is_the_transfer(town: PaperTown) -> None:
    """PROTOCOL.md D2, D3."""
    name = claim(town)
    assert (town.book.accounts["alys"].balance, town.book.accounts["alys"].open_claims) == (0, 1)
    confirm(town, name)
    assert (town.book.accounts["alys"].balance, town.book.accounts["bryn"].balance) == (60, -60)
    assert (town.book.claims, town.book.accounts["bryn"].open_claims) == ({}, 0)
    with pytest.raises(Refusal, match="claim_unknown"):
        confirm(town, name)
    for kind in (e.ClaimWithdrawn, e.ClaimExpired, e.ClaimUpheld):
        by = RULE if kind is e.ClaimExpired else BROKER
        assert refused(town, kind, e.ClaimNamed(claim=name), by=by) == "claim_unknown"


def test_a_confirmation_repeats_what_was_claimed(town: PaperTown) -> None:
    """PROTOCOL.md D2."""
    name = claim(town, given_minutes=90)
    shares = [("alys", 90)]
    for data in (
        {"activity": "arts"},
        {"served_on": "2026-03-01"},
        {"postings": [("alys", -60), ("bryn", 60)], "given": UNSET},
        {"given": [("alys", 60)]},
        {"given": UNSET},
        {"postings": [("bryn", -60), ("alys", 50), ("pot", 10)]},
    ):
        with pytest.raises(Refusal, match="claim_mismatch"):
            confirm(town, name, **({"given": shares} | data))
    confirm(town, name, given=shares)


def test_a_claim_is_confirmed_lower_or_up_to_the_towns_tolerance() -> None:
    """PROTOCOL.md D2."""
    town = make_town(claim_tolerance_percent=25)
    with pytest.raises(Refusal, match="claim_tolerance"):
        confirm(town, claim(town, 61), 77)
    confirm(town, claim(town, 61), 76)
    confirm(town, claim(town, 61), 1)
    town = make_town()
    with pytest.raises(Refusal, match="claim_tolerance"):
        confirm(town, claim(town, 60), 61)


def test_a_confirmation_past_the_floor_leaves_the_claim_open(town: PaperTown) -> None:
    """PROTOCOL.md D2."""
    name = claim(town, 601)
    with pytest.raises(Refusal, match="floor"):
        confirm(town, name, 601)
    assert name in town.book.claims
    confirm(town, name, 600)


def test_a_disputed_claim_is_a_brokers(town: PaperTown) -> None:
    """PROTOCOL.md D5, D4."""
    name = claim(town)
    assert refused(town, e.ClaimUpheld, e.ClaimNamed(claim=name), by=BROKER) == "claim_not_disputed"
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=name, reason="not_given"), by=MEMBER)
    with pytest.raises(Refusal, match="claim_disputed"):
        confirm(town, name)
    again = e.ClaimDisputed(claim=name, reason="other")
    assert refused(town, e.ClaimDisputedEntry, again, by=MEMBER) == "claim_disputed"
    assert refused(town, e.ClaimUpheld, e.ClaimNamed(claim=name), by=MEMBER) == "purpose_invalid"
    expired = {"by": RULE, "time": later(town, 90)}
    assert refused(town, e.ClaimExpired, e.ClaimNamed(claim=name), **expired) == "claim_not_due"
    town.write(e.ClaimUpheld, e.ClaimNamed(claim=name), by=BROKER)
    confirm(town, name)
    other = claim(town)
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=other, reason="other_minutes"), by=MEMBER)
    confirm(town, other, 30, by=BROKER, confirmed_by="broker")


def test_a_claim_expires_when_its_time_is_over_and_only_by_the_rule() -> None:
    """PROTOCOL.md D4."""
    town = make_town(claim_expires_after_days=7)
    name = e.ClaimNamed(claim=claim(town))
    assert refused(town, e.ClaimExpired, name, by=RULE) == "claim_not_due"
    assert refused(town, e.ClaimExpired, name, by=BROKER, time=later(town, 8)) == "claim_not_due"
    town.write(e.ClaimExpired, name, by=RULE, time=later(town, 7))
    assert town.book.claims == {}


def test_the_rule_confirms_an_agreed_booking_only_when_the_town_wants_it_and_in_time() -> None:
    """PROTOCOL.md D6."""
    town = make_town(auto_confirm_after_days=3)
    plain = claim(town)
    agreed = claim(town, by=BROKER, agreed_minutes=60)
    more = claim(town, by=BROKER, agreed_minutes=59)
    for name in (plain, more):
        with pytest.raises(Refusal, match="claim_not_due"):
            confirm(town, name, by=RULE, time=later(town, 4))
    for minutes, days in ((60, 2), (59, 4)):
        with pytest.raises(Refusal, match="claim_not_due"):
            confirm(town, agreed, minutes, by=RULE, time=later(town, days))
    with pytest.raises(Refusal, match="purpose_invalid"):
        confirm(town, agreed, confirmed_by="rule")
    confirm(town, agreed, by=RULE, time=later(town, 3))
    never = make_town()
    with pytest.raises(Refusal, match="claim_not_due"):
        confirm(never, claim(never, by=BROKER, agreed_minutes=60), by=RULE, time=later(never, 59))


def test_what_the_rule_confirmed_is_disputed_for_30_days_and_a_broker_decides() -> None:
    """PROTOCOL.md D6, D7."""
    town = make_town(auto_confirm_after_days=1)
    first, second, third = (claim(town, by=BROKER, agreed_minutes=60) for _ in range(3))
    posted = [confirm(town, name, by=RULE, time=later(town, 1)) for name in (first, second, third)]
    dispute: dict[str, Any] = {"by": MEMBER, "time": later(town, 20)}
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=first, reason="not_given"), **dispute)
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=second, reason="other"), **dispute)
    town.write(e.ClaimUpheld, e.ClaimNamed(claim=first), by=BROKER, time=town.book.time)
    town.write(
        e.TransferReversed,
        e.Reversed(transfer=f"aberdare.g1.{posted[1].n}", reason="not_given"),
        postings=[("bryn", 60), ("alys", -60)],
        time=town.book.time,
    )
    assert list(town.book.claims) == [second]
    assert town.book.claims[second].reopened
    late = {"by": MEMBER, "time": later(town, 60)}
    assert refused(town, e.ClaimDisputedEntry, e.ClaimDisputed(claim=third, reason="other"), **late) == "claim_unknown"
    with pytest.raises(Refusal, match="claim_not_due"):
        confirm(town, second, by=RULE, time=later(town, 61))


def test_a_claim_opens_again_when_all_of_its_transfer_came_back(town: PaperTown) -> None:
    """PROTOCOL.md D7."""
    name = claim(town)
    posted = confirm(town, name)
    town.reverse(posted.n, 20)
    assert town.book.claims == {}
    town.reverse(posted.n)
    assert list(town.book.claims) == [name]
    confirm(town, name, 45)
    gone = make_town()
    name = claim(gone)
    posted = confirm(gone, name)
    gone.write(e.AccountClosing, e.AccountNamed(account="bryn"), by=MEMBER)
    gone.reverse(posted.n)
    assert gone.book.claims == {}


def test_a_claim_is_between_two_holders_who_stay(town: PaperTown) -> None:
    """PROTOCOL.md D1, D4."""
    good: dict[str, Any] = {
        "giver": "alys",
        "receiver": "bryn",
        "minutes": 60,
        "activity": "garden",
        "served_on": town.now[:10],
    }
    for data, by, code in (
        ({"giver": "bryn"}, MEMBER, "self_transfer"),
        ({"giver": "nobody"}, MEMBER, "account_unknown"),
        ({"receiver": "pot"}, MEMBER, "account_kind"),
        ({"served_on": "2026-03-04"}, MEMBER, "served_on_invalid"),
        ({"programme": "bryn"}, MEMBER, "programme_unknown"),
        ({"agreed_minutes": 60}, MEMBER, "purpose_invalid"),
        ({}, RULE, "purpose_invalid"),
    ):
        assert refused(town, e.ClaimMadeEntry, e.ClaimMade(**(good | data)), by=by) == code
    name = claim(town)
    town.write(e.AccountClosing, e.AccountNamed(account="bryn"), by=MEMBER)
    assert refused(town, e.ClaimMadeEntry, e.ClaimMade(**good), by=MEMBER) == "account_closing"
    with pytest.raises(Refusal, match="account_closing"):
        confirm(town, name)
    town.write(e.ClaimExpired, e.ClaimNamed(claim=name), by=RULE)


def test_a_claim_of_last_year_is_still_confirmed_after_months() -> None:
    """PROTOCOL.md D2. E-5."""
    town = make_town(claim_expires_after_days=366)
    name = claim(town, served_on="2025-03-02")
    confirm(town, name, served_on="2025-03-02", time=later(town, 200))
    with pytest.raises(Refusal, match="served_on_invalid"):
        claim(make_town(), served_on="2025-02-28")


def test_an_account_has_a_bounded_number_of_open_claims(town: PaperTown) -> None:
    """PROTOCOL.md D1."""
    names = [claim(town) for _ in range(rules_claims.OPEN_CLAIMS_MAX)]
    with pytest.raises(Refusal, match="claim_limit"):
        claim(town)
    town.write(e.ClaimWithdrawn, e.ClaimNamed(claim=names[0]), by=MEMBER)
    claim(town)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_open_claims_are_counted_and_every_claim_ends_once(data: st.DataObject) -> None:
    """PROTOCOL.md D3, I1."""
    town = make_town(auto_confirm_after_days=1)
    names, ended, posted = list[str](), set[str](), dict[str, e.Entry]()
    for _ in range(data.draw(st.integers(1, 25))):
        act = data.draw(st.sampled_from(["make", "confirm", "withdraw", "dispute", "uphold", "expire", "reverse"]))
        name = data.draw(st.sampled_from(names)) if names else ""
        try:
            match act:
                case "make":
                    names.append(claim(town, by=BROKER, agreed_minutes=60))
                case "confirm":
                    posted[name] = confirm(town, name, by=BROKER, confirmed_by="broker")
                    ended.add(name)
                case "withdraw":
                    town.write(e.ClaimWithdrawn, e.ClaimNamed(claim=name), by=MEMBER)
                    ended.add(name)
                case "dispute":
                    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=name, reason="other"), by=MEMBER)
                case "uphold":
                    town.write(e.ClaimUpheld, e.ClaimNamed(claim=name), by=BROKER)
                case "expire":
                    town.write(e.ClaimExpired, e.ClaimNamed(claim=name), by=RULE)
                    ended.add(name)
                case "reverse" if name in posted:
                    town.reverse(posted.pop(name).n)
                    ended.discard(name)
        except (Refusal, ValueError):
            continue
        assert set(town.book.claims) == set(names) - ended
        assert town.book.accounts["alys"].open_claims == len(town.book.claims)
        assert broken_invariants(town.book) == []
