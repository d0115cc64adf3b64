"""The book: transfers within a town, and transfers taken back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import MEMBER, OPERATOR, PaperTown
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.entries import decode_entry
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.rules_reversal import reversal_postings
from timebank_contracts.rules_transfers import PURPOSES

HOLDERS = ["alys", "aled", "library", "garden"]
ACCOUNTS = [*HOLDERS, "pot", "grant", "opening"]
POSTINGS = st.lists(st.tuples(st.sampled_from([*ACCOUNTS, "nobody"]), st.integers(-700, 700)), max_size=5)


def make_town() -> PaperTown:
    town = PaperTown("aberdare")
    for account, kind, floor in (
        ("alys", "member", -600),
        ("aled", "member", -600),
        ("library", "organisation", -6000),
        ("garden", "programme", 0),
        ("pot", "pot", 0),
        ("grant", "grant", -1200),
        ("opening", "opening", -6000),
    ):
        town.account(account, kind, floor=floor, ceiling=1200 if kind == "member" else 6000)
    return town


@pytest.fixture
def town() -> PaperTown:
    return make_town()


def refused(town: PaperTown, *postings: tuple[str, int], purpose: Any = "gift", **rest: Any) -> str:
    """The code with which the town refuses a transfer; the book is unchanged."""
    before = deepcopy(town.book)
    with pytest.raises(Refusal) as caught:
        town.post(*postings, purpose=purpose, **rest)
    assert town.book == before
    return caught.value.code


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(POSTINGS, st.sampled_from(sorted(PURPOSES)), st.booleans()), max_size=8))
def test_the_sum_is_0_and_a_refusal_changes_nothing_and_the_bytes_give_the_book(attempts: list[Any]) -> None:
    """PROTOCOL.md I1, B2, B4."""
    town = make_town()
    for postings, purpose, by_operator in attempts:
        before = deepcopy(town.book)
        balanced = [*postings, ("alys", -sum(minutes for _, minutes in postings))]
        try:
            town.post(*balanced, purpose=purpose, by=OPERATOR if by_operator else MEMBER)
        except (Refusal, Malformed):
            assert town.book == before
        assert broken_invariants(town.book) == []
        for account in town.book.accounts.values():
            assert account.floor <= account.balance <= account.ceiling
    book = Book()
    for raw in town.journal:
        apply(book, decode_entry(raw))
    assert book == town.book


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
@pytest.mark.parametrize("payer", ACCOUNTS)
@pytest.mark.parametrize("payee", ACCOUNTS)
def test_a_purpose_fixes_whom_it_takes_from_and_gives_to(town: PaperTown, purpose: str, payer: str, payee: str) -> None:
    """PROTOCOL.md T1."""
    holders, pot = set(HOLDERS), {"pot"}
    table: dict[str, tuple[set[str], set[str], bool]] = {
        "service": (holders, holders, False),
        "gift": (holders, holders, False),
        "pot": (holders, pot, False),
        "support": (pot, holders, True),
        "grant": ({"grant"}, holders | pot, True),
        "correction": (holders | pot, holders | pot, True),
        "opening": (holders | pot | {"opening"}, holders | pot | {"opening"}, True),
    }
    takes, gives, by_broker = table[purpose]
    town.write(e.AccountChangedEntry, e.AccountChanged(account=payer, floor=-600, ceiling=6000))
    if payer == payee:
        return
    legs = ((payer, -1), (payee, 1))
    if payer in takes and payee in gives:
        if by_broker:
            assert refused(town, *legs, purpose=purpose, by=MEMBER) == "purpose_invalid"
        town.post(*legs, purpose=purpose, by=OPERATOR)
    else:
        assert refused(town, *legs, purpose=purpose, by=OPERATOR) == "purpose_invalid"


def test_postings_name_each_account_once_none_of_them_0_and_sum_to_0(town: PaperTown) -> None:
    """PROTOCOL.md T2."""
    assert refused(town, ("alys", -2), ("aled", 1)) == "posting_invalid"
    assert refused(town, ("alys", 1), ("aled", 1)) == "posting_invalid"
    assert refused(town, ("alys", 0), ("aled", 0)) == "posting_invalid"
    assert refused(town, ("alys", -1), ("alys", 1)) == "posting_invalid"
    assert refused(town, ("alys", -1), ("aled", 1), ("library", 0)) == "posting_invalid"
    before = deepcopy(town.book)
    with pytest.raises(Refusal, match="posting_invalid"):
        town.write(e.TransferPosted, e.Posted(purpose="gift", confirmed_by="none"))
    assert town.book == before


def test_a_debit_stops_at_the_floor_and_a_credit_at_the_ceiling(town: PaperTown) -> None:
    """PROTOCOL.md T2."""
    assert refused(town, ("alys", -601), ("aled", 601)) == "floor"
    assert refused(town, ("library", -1201), ("aled", 1201)) == "ceiling_exceeded"
    town.post(("alys", -600), ("aled", 600))
    town.post(("library", -600), ("aled", 600))
    assert refused(town, ("alys", -1), ("library", 1)) == "floor"
    assert refused(town, ("library", -1), ("aled", 1)) == "ceiling_exceeded"


def test_a_service_names_its_activity_and_day_and_nothing_else_does(town: PaperTown) -> None:
    """PROTOCOL.md T3, M2."""
    legs = (("alys", -60), ("aled", 60))
    town.post(*legs, purpose="service")
    for absent in ("activity", "served_on"):
        assert refused(town, *legs, purpose="service", **{absent: UNSET}) == "service_incomplete"
    for day in ("2026-03-04", "2025-02-28"):
        assert refused(town, *legs, purpose="service", served_on=day) == "served_on_invalid"
    assert refused(town, *legs, activity="garden") == "purpose_invalid"
    assert refused(town, *legs, given=[("aled", 60)]) == "purpose_invalid"
    with pytest.raises(Malformed):
        town.post(*legs, purpose="service", served_on="2026-02-30")


def test_a_group_session_may_take_the_difference_from_the_pot_and_a_pair_may_not(town: PaperTown) -> None:
    """PROTOCOL.md T4, T1."""
    town.post(("alys", -30), ("aled", -30), ("library", 50), ("pot", 10), purpose="service")
    town.post(("alys", -30), ("pot", -10), ("library", 40), purpose="service", given=[("library", 120)])
    assert refused(town, ("alys", -30), ("pot", 30), purpose="service") == "purpose_invalid"
    legs = (("alys", -60), ("aled", 30), ("library", 30))
    for given_minutes in ([("alys", 60)], [("aled", 60), ("aled", 60)], [("nobody", 60)]):
        assert refused(town, *legs, purpose="service", given=given_minutes) == "posting_invalid"


def test_a_reversal_takes_a_transfer_back_once_and_as_a_whole(town: PaperTown) -> None:
    """PROTOCOL.md T12."""
    first = town.post(("alys", -60), ("aled", 60), purpose="service")
    before = deepcopy(town.book)
    with pytest.raises(Refusal, match="posting_invalid"):
        town.write(
            e.TransferReversed,
            e.Reversed(transfer=f"aberdare.g1.{first.n}", reason="mistake"),
            postings=[("alys", 30), ("aled", -30)],
        )
    assert town.book == before
    town.reverse(first.n)
    assert (town.book.accounts["alys"].balance, town.book.accounts["aled"].balance) == (0, 0)
    with pytest.raises(Refusal, match="already_reversed"):
        town.reverse(first.n)


def test_only_a_brokers_hand_and_only_a_posted_transfer_of_this_journal_is_reversed(town: PaperTown) -> None:
    """PROTOCOL.md T12, B1."""
    first = town.post(("alys", -60), ("aled", 60))
    postings = [("alys", 60), ("aled", -60)]

    def code(transfer: str, *, by: e.Actor = OPERATOR) -> str:
        before = deepcopy(town.book)
        with pytest.raises(Refusal) as caught:
            town.write(e.TransferReversed, e.Reversed(transfer=transfer, reason="other"), by=by, postings=postings)
        assert town.book == before
        return caught.value.code

    assert code(f"aberdare.g1.{first.n}", by=MEMBER) == "purpose_invalid"
    assert code(f"barry.g1.{first.n}") == "transfer_unknown"
    assert code(f"aberdare.g2.{first.n}") == "transfer_unknown"
    assert code(f"aberdare.g1.{first.n + 1}") == "transfer_unknown"
    assert code("aberdare.g1.barry.1") == "not_reversible"
    assert code("aberdare.g1.2") == "not_reversible"
    reversal = town.reverse(first.n)
    assert code(f"aberdare.g1.{reversal.n}") == "not_reversible"


def test_nobody_passes_a_floor_by_a_reversal_and_the_pot_bears_what_is_missing(town: PaperTown) -> None:
    """PROTOCOL.md T12."""
    first = town.post(("alys", -600), ("garden", 600))
    town.post(("garden", -500), ("aled", 500))
    with pytest.raises(Refusal, match="floor"):
        town.reverse(first.n)
    town.post(("aled", -500), ("pot", 500), purpose="pot")
    town.reverse(first.n)
    assert {name: minutes for name, minutes in town.book.balances() if minutes} == {}


def test_a_closed_account_takes_no_part_in_a_reversal(town: PaperTown) -> None:
    """PROTOCOL.md T12, L4."""
    first = town.post(("alys", -60), ("aled", 60))
    town.post(("library", -60), ("alys", 60))
    town.write(e.AccountClosed, e.AccountNamed(account="alys"))
    town.reverse(first.n)
    assert dict(town.book.balances()) == dict.fromkeys(ACCOUNTS, 0) | {"library": -60, "pot": 60}


def test_a_reversal_that_needs_a_pot_is_refused_in_a_town_without_one() -> None:
    """PROTOCOL.md T12, B2."""
    town = PaperTown("aberdare")
    for account in ("alys", "aled"):
        town.account(account)
    first = town.post(("alys", -60), ("aled", 60))
    town.post(("aled", -60), ("alys", 60))
    town.write(e.AccountClosed, e.AccountNamed(account="alys"))
    before = deepcopy(town.book)
    with pytest.raises(Refusal, match="account_unknown"):
        town.reverse(first.n)
    assert town.book == before


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(HOLDERS), st.sampled_from(HOLDERS), st.integers(1, 600)), max_size=6), st.data()
)
def test_a_reversal_sums_to_0_and_stays_within_floors(gifts: list[tuple[str, str, int]], data: st.DataObject) -> None:
    """PROTOCOL.md T12, I1."""
    town = make_town()
    town.write(e.AccountChangedEntry, e.AccountChanged(account="pot", floor=-6000, ceiling=6000))
    written = []
    for payer, payee, minutes in gifts:
        try:
            written.append(town.post((payer, -minutes), (payee, minutes)))
        except Refusal:
            continue
    for entry in data.draw(st.permutations(written)):
        postings = reversal_postings(town.book, entry)
        assert sum(minutes for _, minutes in postings) == 0
        if len(postings) > 1:
            town.reverse(entry.n)
        assert broken_invariants(town.book) == []
        assert all(account.balance >= account.floor for account in town.book.accounts.values())
