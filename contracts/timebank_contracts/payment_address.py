"""Payment addresses: a receiving address as one text, to be scanned or sent: whom to pay, and nothing about them.

    timebank:timebank.wales/barry/5d41402abc4b2a76b9719d911017c592
             network        node  alias that is for anybody

Rule: one alias has one text, character by character, and a text that is not exactly of this form is none.
Source: design page 2, "Payee address"; PROTOCOL.md N7.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from timebank_contracts.errors import Malformed
from timebank_contracts.names import ALIAS_PATTERN, NETWORK_PATTERN, NODE_PATTERN

SCHEME: Final = "timebank"
CHARACTERS_MAX: Final = 264
"""The scheme and its colon, a network of 190, a node of 31, an alias of 32, and what stands between them."""
ADDRESS_PATTERN: Final = r"^timebank:[a-z0-9.-]{4,190}/[a-z][a-z0-9-]{1,30}/[0-9a-f]{32}$"
"""For schemas: it bounds the characters; `read_payment_address` also knows what a DNS name is."""

_NETWORK: Final = re.compile(NETWORK_PATTERN)
_NODE: Final = re.compile(NODE_PATTERN)
_ALIAS: Final = re.compile(ALIAS_PATTERN)


class PaymentAddress(NamedTuple):
    """Whom to pay: a network, a node of it, and an alias there."""

    network: str
    node: str
    alias: str


def show_payment_address(address: PaymentAddress) -> str:
    """The text of an address whose parts have their forms."""
    return f"{SCHEME}:{address.network}/{address.node}/{address.alias}"


def read_payment_address(text: str) -> PaymentAddress:
    """The parts of a scanned text.

    Args:
        text: as it was scanned, without a character more or less.

    Raises:
        Malformed: it is no payment address.
    """
    scheme, _, rest = text.partition(":")
    parts = rest.split("/")
    if scheme != SCHEME or len(parts) != 3:
        raise Malformed("A payment address is timebank:<network>/<node>/<alias>.")
    address = PaymentAddress(*parts)
    formed = _NETWORK.fullmatch(address.network) and _NODE.fullmatch(address.node) and _ALIAS.fullmatch(address.alias)
    if not formed:
        raise Malformed("A payment address is timebank:<network>/<node>/<alias>, in lower case.")
    return address
