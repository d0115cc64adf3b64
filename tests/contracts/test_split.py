"""Splitting minutes: nothing is lost, and a session shows what each pays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Refusal
from timebank_contracts.split import session_postings, split_minutes

WEIGHTS = st.lists(st.integers(1, 60_000), min_size=1, max_size=256)


@pytest.mark.parametrize(
    ("minutes", "people", "shares"),
    [
        (60, 7, [9, 9, 9, 9, 8, 8, 8]),
        (50, 4, [13, 13, 12, 12]),
        (100, 3, [34, 33, 33]),
        (1, 2, [1, 0]),
        (60, 3, [20, 20, 20]),
    ],
)
def test_equal_shares_differ_by_at_most_one_minute(minutes: int, people: int, shares: list[int]) -> None:
    """PROTOCOL.md A4. C-5, C-6."""
    assert split_minutes(minutes, [1] * people) == shares


@given(WEIGHTS, st.data())
def test_shares_sum_to_what_is_split_and_none_is_above_its_weight(weights: list[int], data: st.DataObject) -> None:
    """PROTOCOL.md A4."""
    minutes = data.draw(st.integers(0, sum(weights)))
    shares = split_minutes(minutes, weights)
    assert sum(shares) == minutes
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))
    assert all(
        abs(share * sum(weights) - minutes * weight) < sum(weights)
        for share, weight in zip(shares, weights, strict=True)
    )


def test_a_session_is_balanced_by_the_pot_and_shows_each_share() -> None:
    """PROTOCOL.md A4, T4."""
    seven = dict.fromkeys(f"m{number}" for number in range(7))
    postings = session_postings(attendees=seven, leaders={"library": 90}, shared_minutes=60)
    assert postings == [
        ("m0", -9),
        ("m1", -9),
        ("m2", -9),
        ("m3", -9),
        ("m4", -8),
        ("m5", -8),
        ("m6", -8),
        ("library", 90),
        ("pot", -30),
    ]
    assert session_postings(attendees={"alys": 60, "bryn": 30}, leaders={"cai": 60}, shared_minutes=None) == [
        ("alys", -60),
        ("bryn", -30),
        ("cai", 60),
        ("pot", 30),
    ]
    mixed = session_postings(attendees={"alys": 60, "bryn": None}, leaders={"cai": 90}, shared_minutes=30)
    assert mixed == [("alys", -60), ("bryn", -30), ("cai", 90)]


@pytest.mark.parametrize(
    ("attendees", "leaders", "shared_minutes"),
    [
        ({"alys": None, "bryn": None}, {"cai": 60}, 1),
        ({"alys": None}, {"cai": 60}, None),
        ({"alys": 60}, {"cai": 60}, 60),
        ({"alys": 60}, {"alys": 60}, None),
        ({"pot": 60}, {"alys": 60}, None),
        ({"alys": 60}, {}, None),
        ({}, {"cai": 60}, None),
        ({"alys": 0}, {"cai": 60}, None),
        ({"alys": -5}, {"cai": 60}, None),
        ({"alys": 60}, {"cai": -5}, None),
    ],
)
def test_a_session_that_nobody_could_confirm_is_refused(
    attendees: dict[str, int | None], leaders: dict[str, int], shared_minutes: int | None
) -> None:
    """D-1, C-6."""
    with pytest.raises(Refusal, match="session_invalid"):
        session_postings(attendees=attendees, leaders=leaders, shared_minutes=shared_minutes)
    with pytest.raises(Refusal, match="amount_out_of_range"):
        session_postings(attendees={"alys": 60}, leaders={"cai": 60_001}, shared_minutes=None)
