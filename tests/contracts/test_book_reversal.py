"""A transfer taken back in parts: never more than it moved, every account of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.vectors.paper_town import PaperTown
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.invariants import broken_invariants
from timebank_contracts.rules_reversal import WHOLE, shares_of


def make_town() -> PaperTown:
    town = PaperTown("aberdare")
    for account in ("alys", "bryn", "cai", "dai", "pot"):
        kind = "pot" if account == "pot" else "member"
        town.account(account, kind, floor=-6000, ceiling=60_000)
    return town


def test_a_part_is_taken_back_and_then_what_is_left() -> None:
    """PROTOCOL.md T12, T13. A-1."""
    town = make_town()
    posted = town.post(("alys", -60), ("bryn", 60))
    town.reverse(posted.n, 20)
    assert (town.book.accounts["alys"].balance, town.book.reversed[posted.n]) == (-40, (-20, 20))
    with pytest.raises(Refusal, match="not_reversible"):
        town.reverse(posted.n, 41)
    town.reverse(posted.n)
    assert (town.book.accounts["alys"].balance, town.book.reversed[posted.n]) == (0, WHOLE)
    with pytest.raises(Refusal, match="already_reversed"):
        town.reverse(posted.n, 1)


def test_a_part_of_a_group_is_split_over_every_account_of_it() -> None:
    """PROTOCOL.md T13, A4."""
    town = make_town()
    posted = town.post(("alys", -30), ("bryn", -30), ("cai", -30), ("dai", 80), ("pot", 10), purpose="service")
    assert shares_of(town.book, posted, 10) == [-4, -3, -3, 9, 1]
    town.reverse(posted.n, 10)
    assert shares_of(town.book, posted, None) == [-26, -27, -27, 71, 9]


def test_the_pot_bears_a_part_that_the_payee_has_spent() -> None:
    """PROTOCOL.md T12. A-3."""
    town = PaperTown("aberdare")
    for account in ("alys", "bryn", "pot"):
        town.account(account, "pot" if account == "pot" else "member", floor=-120 if account != "bryn" else 0)
    posted = town.post(("alys", -120), ("bryn", 120))
    town.post(("bryn", -120), ("alys", 120))
    town.reverse(posted.n, 50)
    assert [town.book.accounts[account].balance for account in ("alys", "bryn", "pot")] == [50, 0, -50]
    entry = town.entries[-1]
    assert isinstance(entry, e.TransferReversed)
    assert (entry.data.minutes, entry.postings) == (50, [("alys", 50), ("pot", -50)])


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_parts_together_are_the_whole_and_never_more_of_any_posting(data: st.DataObject) -> None:
    """PROTOCOL.md T13."""
    town = make_town()
    paid = data.draw(st.lists(st.integers(1, 200), min_size=1, max_size=3))
    postings = [(account, -minutes) for account, minutes in zip(("alys", "bryn", "cai"), paid, strict=False)]
    posted = town.post(*postings, ("dai", sum(paid)), purpose="service" if len(paid) > 1 else "gift")
    left = sum(paid)
    while left:
        part = data.draw(st.integers(1, left))
        shares = shares_of(town.book, posted, part)
        before = town.book.reversed.get(posted.n) or (0,) * len(shares)
        assert sum(shares) == 0
        assert sum(share for share in shares if share > 0) == part
        assert posted.postings is not UNSET
        for (_, moved), share, taken in zip(posted.postings, shares, before, strict=True):
            assert abs(share + taken) <= abs(moved)
        town.reverse(posted.n, part)
        assert broken_invariants(town.book) == []
        left -= part
    assert town.book.reversed[posted.n] == WHOLE
    assert all(account.balance == 0 for account in town.book.accounts.values())
