"""Leaving: an account closes at 0, or with its remainder in the same entry."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET, Raw

from contracts.vectors.paper_town import PaperTown
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.moments import parse_time, show_time

MEMBER = e.Actor(kind="member", id="alys")
BROKER = e.Actor(kind="broker", id="broker")
RULE = e.Actor(kind="rule")


@pytest.fixture
def town() -> PaperTown:
    town = PaperTown("aberdare")
    for account in ("alys", "bryn", "pot"):
        town.account(account, "pot" if account == "pot" else "member")
    town.post(("bryn", -75), ("alys", 75))
    return town


def close(town: PaperTown, account: str, *postings: tuple[str, int], by: e.Actor = BROKER, **rest: Any) -> e.Entry:
    moved = {"postings": list(postings)} if postings else {}
    return town.write(e.AccountClosed, e.AccountNamed(account=account), by=by, **moved, **rest)


def code(town: PaperTown, account: str, *postings: tuple[str, int], **rest: Any) -> str:
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        close(town, account, *postings, **rest)
    assert town.book == before
    return caught.value.code


def test_a_closing_account_takes_credits_and_pays_nothing(town: PaperTown) -> None:
    """PROTOCOL.md L9. G-4."""
    named = e.AccountNamed(account="alys")
    with pytest.raises(Refusal, match="purpose_invalid"):
        town.write(e.AccountClosing, named, by=RULE)
    town.write(e.AccountClosing, named, by=MEMBER)
    with pytest.raises(Refusal, match="account_closing"):
        town.write(e.AccountClosing, named, by=MEMBER)
    with pytest.raises(Refusal, match="account_closing"):
        town.post(("alys", -10), ("bryn", 10))
    town.post(("bryn", -10), ("alys", 10))
    town.write(e.AccountUnfrozen, named, by=BROKER)
    town.post(("alys", -10), ("bryn", 10))
    assert town.book.accounts["alys"].closing_since == ""


def test_who_is_frozen_is_not_leaving_any_more(town: PaperTown) -> None:
    """PROTOCOL.md L9."""
    town.account("cai")
    named = e.AccountNamed(account="cai")
    town.write(e.AccountClosing, named, by=MEMBER)
    town.write(e.AccountFrozen, named, by=BROKER)
    assert code(town, "cai", by=RULE) == "purpose_invalid"
    town.write(e.AccountClosing, named, by=MEMBER)
    close(town, "cai", by=RULE)


def test_a_leavers_plus_goes_to_the_pot_or_to_somebody_and_a_minus_is_borne_by_the_pot(town: PaperTown) -> None:
    """PROTOCOL.md L5. G-1, G-3."""
    assert code(town, "alys") == "account_not_empty"
    assert code(town, "alys", ("alys", -70), ("pot", 70)) == "posting_invalid"
    assert code(town, "alys", ("pot", -75), ("alys", 75)) == "posting_invalid"
    assert code(town, "alys", ("alys", -75), ("nobody", 75)) == "account_unknown"
    assert code(town, "bryn", ("bryn", 75), ("alys", -75)) == "purpose_invalid"
    town.post(("bryn", -500), ("pot", 500), purpose="pot")
    close(town, "alys", ("alys", -75), ("pot", 75))
    close(town, "bryn", ("bryn", 575), ("pot", -575))
    assert [town.book.accounts[account].balance for account in ("alys", "bryn", "pot")] == [0, 0, 0]
    assert {town.book.accounts[account].state for account in ("alys", "bryn")} == {"closed"}
    assert broken_invariants(town.book) == []
    assert code(town, "alys") == "account_closed"


def test_the_pots_floor_holds_when_it_bears_what_a_leaver_owes(town: PaperTown) -> None:
    """PROTOCOL.md L5."""
    town.write(e.AccountChangedEntry, e.AccountChanged(account="pot", floor=-74, ceiling=100))
    assert code(town, "bryn", ("bryn", 75), ("pot", -75)) == "floor"
    town.write(e.AccountChangedEntry, e.AccountChanged(account="pot", floor=0, ceiling=74))
    assert code(town, "alys", ("alys", -75), ("pot", 75)) == "ceiling_exceeded"


def test_the_rule_closes_at_0_at_once_and_a_remainder_after_the_policys_days(town: PaperTown) -> None:
    """PROTOCOL.md L10. G-3."""
    town.account("cai")
    for account in ("alys", "cai"):
        town.write(e.AccountClosing, e.AccountNamed(account=account), by=MEMBER)
    close(town, "cai", by=RULE)
    remainder = (("alys", -75), ("pot", 75))
    assert code(town, "alys", *remainder, by=RULE) == "account_not_empty"
    later = show_time(parse_time(town.now) + timedelta(days=30))
    assert code(town, "alys", ("alys", -75), ("bryn", 75), by=RULE, time=later) == "purpose_invalid"
    close(town, "alys", *remainder, by=RULE, time=later)
    assert town.book.accounts["alys"].state == "closed"


def test_the_rule_closes_no_account_whose_holder_is_not_leaving(town: PaperTown) -> None:
    """PROTOCOL.md L10."""
    town.account("cai")
    assert code(town, "cai", by=RULE) == "purpose_invalid"
    town.write(e.AccountFrozen, e.AccountNamed(account="cai"))
    assert code(town, "cai", by=RULE) == "purpose_invalid"


def test_an_account_with_an_open_claim_does_not_close(town: PaperTown) -> None:
    """PROTOCOL.md L5. A-4."""
    town.account("cai")
    made = e.ClaimMade(giver="alys", receiver="cai", minutes=5, activity="arts", served_on=town.now[:10])
    entry = town.write(e.ClaimMadeEntry, made, by=MEMBER)
    assert code(town, "cai") == "account_not_empty"
    town.write(e.ClaimWithdrawn, e.ClaimNamed(claim=f"aberdare.g1.{entry.n}"), by=MEMBER)
    close(town, "cai")


def test_only_a_programme_has_an_owner_and_it_is_an_organisation(town: PaperTown) -> None:
    """PROTOCOL.md L11, T14."""
    town.account("library", "organisation")
    for wrong in (
        e.AccountOpened(account="m1", kind="member", floor=0, ceiling=0, owner="library"),
        e.AccountOpened(account="p1", kind="programme", floor=0, ceiling=0, owner="alys"),
    ):
        with pytest.raises(Refusal, match="account_kind"):
            town.write(e.AccountOpenedEntry, wrong)
    data = e.AccountOpened(account="p1", kind="programme", floor=-720, ceiling=6000, owner="library")
    town.write(e.AccountOpenedEntry, data)
    assert town.book.accounts["p1"].owner == "library"
    town.post(("alys", -10), ("bryn", 10), programme="p1")
    for programme in ("library", "nothing"):
        with pytest.raises(Refusal, match="programme_unknown"):
            town.post(("alys", -10), ("bryn", 10), programme=programme)


def test_a_programmes_floor_is_its_allowance_plus_what_it_took_in(town: PaperTown) -> None:
    """PROTOCOL.md T2."""
    town.account("p1", "programme", floor=-720)
    town.post(("p1", -720), ("alys", 720))
    with pytest.raises(Refusal, match="floor"):
        town.post(("p1", -1), ("alys", 1))
    town.post(("alys", -30), ("p1", 30))
    town.post(("p1", -30), ("bryn", 30))


def test_support_says_why_and_other_purposes_do_not(town: PaperTown) -> None:
    """PROTOCOL.md T14."""
    town.post(("alys", -60), ("pot", 60), purpose="pot")
    with pytest.raises(Refusal, match="reason_needed"):
        town.post(("pot", -10), ("bryn", 10), purpose="support", by=BROKER, reason=UNSET)
    with pytest.raises(Refusal, match="reason_needed"):
        town.post(("alys", -10), ("bryn", 10), reason="welcome")
    town.post(("pot", -10), ("bryn", 10), purpose="support", by=BROKER, reason="hardship")


def test_a_remainder_that_is_refused_for_a_message_stays_where_it_was(town: PaperTown) -> None:
    """PROTOCOL.md B1, L5."""
    assert code(town, "alys", ("alys", -75), ("pot", 75), out=Raw(b"{}")) == "posting_invalid"
