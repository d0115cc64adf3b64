"""The text of a payment address: one for each alias, and nothing that is nearly one is read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Malformed
from timebank_contracts.names import ALIAS_PATTERN, NODE_PATTERN
from timebank_contracts.payment_address import (
    ADDRESS_PATTERN,
    CHARACTERS_MAX,
    PaymentAddress,
    read_payment_address,
    show_payment_address,
)

ALIAS = "5d41402abc4b2a76b9719d911017c592"
BRYN = f"timebank:timebank.wales/barry/{ALIAS}"
ADDRESSES = st.builds(
    PaymentAddress,
    st.sampled_from(["timebank.wales", "a.bc", "x" * 63 + ".wales", "hours.coop"]),
    st.from_regex(NODE_PATTERN, fullmatch=True),
    st.from_regex(ALIAS_PATTERN, fullmatch=True),
)


@given(ADDRESSES)
def test_an_address_is_shown_and_read_back(address: PaymentAddress) -> None:
    """PROTOCOL.md N7."""
    text = show_payment_address(address)
    assert read_payment_address(text) == address
    assert re.fullmatch(ADDRESS_PATTERN, text)
    assert len(text) <= CHARACTERS_MAX


def test_the_longest_address_is_as_long_as_is_said() -> None:
    network = ".".join(["x" * 63, "y" * 63, "z" * 62])
    text = show_payment_address(PaymentAddress(network, "b" * 31, ALIAS))
    assert (len(network), len(text)) == (190, CHARACTERS_MAX)
    assert read_payment_address(text).network == network


@pytest.mark.parametrize(
    "text",
    [
        "",
        "timebank:",
        BRYN.upper(),
        BRYN + "\n",
        " " + BRYN,
        BRYN + "?minutes=90",
        BRYN + "/",
        BRYN.replace("timebank:", "timebank://"),
        BRYN.replace("timebank:", "https:"),
        BRYN.replace("timebank:", ""),
        BRYN.replace("timebank.wales", "...."),
        BRYN.replace("timebank.wales", "wales"),
        BRYN.replace("barry", "Barry"),
        BRYN.replace("barry", "b\u0430rry"),
        BRYN[:-1],
        BRYN + "0",
    ],
)
def test_what_is_nearly_an_address_is_none(text: str) -> None:
    """PROTOCOL.md N7."""
    with pytest.raises(Malformed):
        read_payment_address(text)
