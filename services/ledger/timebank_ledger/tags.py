"""Tags of what is edited (RFC 9110, ETag): the same content has the same tag, so a lost update is noticed. Pure.

A tag is a hash of what the resource shows. The writer compares it when the command's turn comes, never the edge.
Source: design page 3, "HTTP API"; issue 4, "ETag where something is edited".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from timebank_contracts import canonical
from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.state import Book
from timebank_ledger import commands as c

_STRONG: Final = re.compile(r'(?<![/!#-~])"([!#-~]{1,64})"')
POLICY_FIELDS: Final = e.Policy.__struct_fields__


def tag_of(content: Mapping[str, Any]) -> str:
    """The tag of what a resource shows, without the quotation marks that a header has round it."""
    return sha256(canonical.encode(dict(content))).hexdigest()[:16]


def read_expected(if_match: str | None) -> tuple[str, ...] | None:
    """The tags in an `If-Match` header; None when anything will do. A weak tag never matches (RFC 9110, 13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return None
    return tuple(_STRONG.findall(if_match))


def limits_content(account: str, *, floor: int, ceiling: int) -> dict[str, Any]:
    """What the resource of an account's limits shows."""
    return {"account": account, "floor": floor, "ceiling": ceiling}


def state_content(account: str, state: str) -> dict[str, Any]:
    """What the resource of an account's state shows."""
    return {"account": account, "state": state}


def policy_content(policy: Book | e.Policy) -> dict[str, Any]:
    """What the resource of the town's policy shows."""
    return {name: getattr(policy, name) for name in POLICY_FIELDS}


def check_expected(book: Book, command: c.Edit) -> None:
    """Raise `precondition_failed` when the command edits another content than the caller saw."""
    if command.expected is not None:
        found = _content_now(book, command)
        if found is not None and tag_of(found) not in command.expected:
            raise Refusal("precondition_failed")


def _content_now(book: Book, command: c.Edit) -> dict[str, Any] | None:
    if isinstance(command, c.ChangePolicy):
        return policy_content(book)
    assert isinstance(command, c.ChangeAccount | c.SetAccountState | c.CloseAccount)
    account = book.accounts.get(command.account)
    if account is None:
        return None  # The rules say that it is unknown.
    if isinstance(command, c.ChangeAccount):
        return limits_content(account.account, floor=account.floor, ceiling=account.ceiling)
    return state_content(account.account, account.state)
