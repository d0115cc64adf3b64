"""Tags of payers: this town finds whose they are, nobody else learns anything, not even that two are of one payer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timebank_ledger.payer_tags import payer_of, payer_tag

KEY, OTHER_KEY = b"a" * 32, b"b" * 32
ACCOUNTS = [f"m-{number:020d}" for number in range(50)]
accounts = st.sampled_from(ACCOUNTS)
keys = st.text("0123456789abcdef", min_size=1, max_size=64)


@given(account=accounts, key=keys)
def test_a_tag_names_its_payer_among_all_accounts_and_no_other(account: str, key: str) -> None:
    """PROTOCOL.md X9."""
    tag = payer_tag(KEY, key=key, account=account)
    assert len(tag) == 30
    assert set(tag) <= set("0123456789abcdef")
    assert payer_of(KEY, tag, ACCOUNTS) == account
    assert payer_of(KEY, tag, [other for other in ACCOUNTS if other != account]) is None


@given(account=accounts, key=keys)
def test_under_another_key_a_tag_names_nobody(account: str, key: str) -> None:
    assert payer_of(OTHER_KEY, payer_tag(KEY, key=key, account=account), ACCOUNTS) is None


@given(account=accounts, one=keys, other=keys)
def test_two_transfers_of_one_payer_share_no_part_of_their_tags(account: str, one: str, other: str) -> None:
    first, second = payer_tag(KEY, key=one, account=account), payer_tag(KEY, key=other, account=account)
    assert (first == second) == (one == other)
    assert (first[:14] == second[:14]) == (first[14:] == second[14:]) == (one == other)


@given(tag=st.text("0123456789abcdef", min_size=30, max_size=30))
def test_a_tag_that_was_not_made_here_names_nobody(tag: str) -> None:
    assert payer_of(KEY, tag, ACCOUNTS) is None


def test_of_no_accounts_there_is_no_payer() -> None:
    assert payer_of(KEY, "0" * 30, []) is None
