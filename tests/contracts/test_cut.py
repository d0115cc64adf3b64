"""The greatest consistent cut and its identities, on hand-made towns."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.cut import (
    StreamName,
    TownAtCut,
    TownMarks,
    UnderWay,
    broken_identities,
    greatest_cut,
    network_identity,
    pair_identity,
    transit_identity,
    under_way,
)


def town(node: str, *, others: int, clearing: int = 0, transit: int = 0) -> TownAtCut:
    peer = "barry" if node == "aberdare" else "aberdare"
    return TownAtCut(node, others, {peer: clearing}, {peer: transit}, {}, {})


def test_a_town_that_heard_too_much_is_shortened_to_before_that_message() -> None:
    sender = TownMarks("aberdare", size=10, out={StreamName("g1", "barry"): [4, 8]})
    receiver = TownMarks("barry", size=20, taken={StreamName("g1", "aberdare"): [5, 9, 15]})
    assert greatest_cut([sender, receiver]) == {"aberdare": 10, "barry": 15}


def test_shortening_one_town_shortens_those_that_heard_it() -> None:
    first = TownMarks("aberdare", size=1)
    second = TownMarks(
        "barry", size=9, taken={StreamName("g1", "aberdare"): [3]}, out={StreamName("g1", "cardiff"): [2, 5]}
    )
    third = TownMarks("cardiff", size=9, taken={StreamName("g1", "barry"): [6, 7]})
    assert greatest_cut([first, second, third]) == {"aberdare": 1, "barry": 3, "cardiff": 7}


def test_what_a_peer_handed_back_is_not_in_a_cut_before_the_peer_applied_it() -> None:
    """PROTOCOL.md X9: message 2 was lost and recovered from Barry, which applied it with its entry 8."""
    stream = StreamName("g1", "barry")
    returned = TownMarks("aberdare", size=12, out={stream: [4, 11]}, restored={stream: 1})
    peer = TownMarks("barry", size=9, taken={StreamName("g1", "aberdare"): [3, 8]})
    assert greatest_cut([returned, peer]) == {"aberdare": 12, "barry": 9}
    assert greatest_cut([returned, peer], at_most={"barry": 8}) == {"aberdare": 11, "barry": 8}
    assert greatest_cut([returned, peer], at_most={"barry": 2}) == {"aberdare": 11, "barry": 2}


def test_an_unknown_peer_bounds_nothing() -> None:
    assert greatest_cut([TownMarks("barry", size=9, taken={StreamName("g1", "elsewhere"): [3]})]) == {"barry": 9}


def test_a_transfer_nobody_decided_is_in_the_network_sum_and_not_in_the_pair() -> None:
    payer, payee = town("aberdare", others=-90, transit=90), town("barry", others=0)
    payer.open["aberdare.g1.barry.1"] = ("barry", 90)
    assert under_way(payer, payee) == UnderWay(90, 0, 0)
    assert (transit_identity(payer, payee), pair_identity(payer, payee), network_identity([payer, payee])) == (0, 0, 0)


def test_a_transfer_received_and_not_settled_is_in_the_pair_and_not_in_the_network_sum() -> None:
    payer, payee = town("aberdare", others=-90, transit=90), town("barry", others=90, clearing=-90)
    payer.open["aberdare.g1.barry.1"] = ("barry", 90)
    payee.decisions = {"aberdare.g1.barry.1": True}
    assert broken_identities([payer, payee]) == []


def test_a_rejected_transfer_on_its_way_back_is_in_the_network_sum() -> None:
    payer, payee = town("aberdare", others=-90, transit=90), town("barry", others=0)
    payer.open["aberdare.g1.barry.1"] = ("barry", 90)
    payee.decisions = {"aberdare.g1.barry.1": False}
    assert broken_identities([payer, payee]) == []


def test_minutes_credited_twice_break_the_pair_and_the_network() -> None:
    payer, payee = town("aberdare", others=-90, clearing=90), town("barry", others=180, clearing=-180)
    assert broken_identities([payer, payee]) == [
        "The clearing accounts of aberdare and barry are -90 minutes apart.",
        "The network's balances and transfers under way sum to 90 minutes, not to 0.",
    ]


positions = st.lists(st.integers(0, 30), max_size=8, unique=True).map(sorted)


@given(positions, positions, positions, positions, st.integers(0, 31), st.integers(0, 31))
def test_the_greatest_cut_is_consistent_and_no_entry_can_be_added(
    a_out: list[int], a_in: list[int], b_out: list[int], b_in: list[int], a_size: int, b_size: int
) -> None:
    a = TownMarks("aa", size=a_size, out={StreamName("g1", "bb"): a_out}, taken={StreamName("g1", "bb"): a_in})
    b = TownMarks("bb", size=b_size, out={StreamName("g1", "aa"): b_out}, taken={StreamName("g1", "aa"): b_in})

    def consistent(one: int, other: int) -> bool:
        heard = bisect_left(a_in, one) <= b.written_to("aa", "g1", other)
        return heard and bisect_left(b_in, other) <= a.written_to("bb", "g1", one)

    found = greatest_cut([a, b])
    cuts = [(one, other) for one in range(a_size + 1) for other in range(b_size + 1) if consistent(one, other)]
    assert (found["aa"], found["bb"]) in cuts
    assert all(one <= found["aa"] and other <= found["bb"] for one, other in cuts)
