"""Tags of payers: what a transfer to another town says of who paid it, which only this town can read. Pure.

A tag is 14 hex that differ for each transfer, and 16 hex of an HMAC over these and the account. A peer learns nothing,
not even that two transfers have one payer; this town, having lost the entry, tries its accounts.
Source: design page 2, "Transfer between towns"; decision 0010; PROTOCOL.md X9.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final

_FIRST_DIGITS: Final = 14
_MARK_DIGITS: Final = 16


def payer_tag(tag_key: bytes, *, key: str, account: str) -> str:
    """The tag, 30 hex, of the account that pays.

    Args:
        tag_key: the town's secret.
        key: of the command: another one for each transfer.
        account: the payer.
    """
    first = _digest(tag_key, f"payer\n{key}\n{account}")[:_FIRST_DIGITS]
    return first + _mark(tag_key, first, account)


def payer_of(tag_key: bytes, tag: str, accounts: Iterable[str]) -> str | None:
    """Which of these accounts a tag is of; None: of none."""
    first, mark = tag[:_FIRST_DIGITS], tag[_FIRST_DIGITS:]
    return next((account for account in accounts if hmac.compare_digest(_mark(tag_key, first, account), mark)), None)


def _mark(tag_key: bytes, first: str, account: str) -> str:
    return _digest(tag_key, f"mark\n{first}\n{account}")[:_MARK_DIGITS]


def _digest(tag_key: bytes, text: str) -> str:
    return hmac.digest(tag_key, text.encode("ascii"), "sha256").hex()
