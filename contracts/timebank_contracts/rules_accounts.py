"""Rules of the node, its policy, its accounts and their receiving addresses.

Each rule checks first and changes the book last, so that a refusal leaves it as it was.
Source: design page 3, "Accounts"; PROTOCOL.md L1 to L8.
"""

from __future__ import annotations

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.names import Identity
from timebank_contracts.state import Account, Alias, Book

RULES_VERSION = 1
SINGLE_KINDS = frozenset({"pot", "grant", "opening", "lost"})
"""Kinds of which a town has one account, with the kind as its id."""


def node_opened(book: Book, entry: e.NodeOpened) -> None:
    if book.identity is not None:
        raise Refusal("node_opened")
    _operator(entry)
    _no_postings(entry)
    if entry.data.rules != RULES_VERSION:
        raise Refusal("node_not_opened", f"These are rules {RULES_VERSION}; the journal asks for {entry.data.rules}.")
    book.identity = Identity(entry.data.network, entry.data.node, entry.data.generation)
    book.rules = entry.data.rules


def policy_changed(book: Book, entry: e.PolicyChanged) -> None:
    _operator(entry)
    _no_postings(entry)
    book.default_floor = entry.data.default_floor
    book.default_ceiling = entry.data.default_ceiling
    book.debt_limit = entry.data.debt_limit


def account_opened(book: Book, entry: e.AccountOpenedEntry) -> None:
    data = entry.data
    _operator(entry)
    _no_postings(entry)
    if data.account in book.accounts:
        raise Refusal("account_exists")
    if ":" in data.account or (data.kind in SINGLE_KINDS) != (data.account in SINGLE_KINDS):
        raise Refusal("account_kind")
    if data.kind in SINGLE_KINDS and data.account != data.kind:
        raise Refusal("account_kind")
    book.accounts[data.account] = Account(data.account, data.kind, data.floor, data.ceiling)


def account_changed(book: Book, entry: e.AccountChangedEntry) -> None:
    _operator(entry)
    account = _live(book, entry)
    account.floor = entry.data.floor
    account.ceiling = entry.data.ceiling


def account_frozen(book: Book, entry: e.AccountFrozen) -> None:
    _operator(entry)
    _live(book, entry).state = "frozen"


def account_unfrozen(book: Book, entry: e.AccountUnfrozen) -> None:
    _operator(entry)
    _live(book, entry).state = "open"


def account_closed(book: Book, entry: e.AccountClosed) -> None:
    _operator(entry)
    account = _live(book, entry)
    if account.balance or account.in_transit:
        raise Refusal("account_not_empty")
    if account.kind in SINGLE_KINDS:
        raise Refusal("account_kind", "The town's own accounts stay open.")
    account.state = "closed"


def alias_issued(book: Book, entry: e.AliasIssuedEntry) -> None:
    data = entry.data
    _live(book, entry)
    if data.alias in book.aliases or data.alias in book.revoked_aliases:
        raise Refusal("alias_exists")
    if data.audience is not UNSET and data.audience not in book.peers:
        raise Refusal("peer_unknown")
    book.aliases[data.alias] = Alias(data.account, None if data.audience is UNSET else data.audience)


def alias_revoked(book: Book, entry: e.AliasRevokedEntry) -> None:
    _no_postings(entry)
    if entry.data.alias not in book.aliases:
        raise Refusal("alias_unknown")
    del book.aliases[entry.data.alias]
    book.revoked_aliases.add(entry.data.alias)


def open_account(book: Book, account: str) -> Account:
    """The account, when it exists and is not closed; raises `account_unknown` or `account_closed`."""
    found = book.accounts.get(account)
    if found is None:
        raise Refusal("account_unknown")
    if found.state == "closed":
        raise Refusal("account_closed")
    return found


def _live(
    book: Book,
    entry: e.AccountChangedEntry | e.AccountFrozen | e.AccountUnfrozen | e.AccountClosed | e.AliasIssuedEntry,
) -> Account:
    _no_postings(entry)
    account = open_account(book, entry.data.account)
    if account.kind in ("clearing", "transit"):
        raise Refusal("account_kind")
    return account


def _no_postings(entry: e.Entry) -> None:
    if entry.postings is not UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid", "An entry of this type moves no minutes and sends no message.")


def _operator(entry: e.Entry) -> None:
    if entry.by.kind not in ("broker", "operator", "rule"):
        raise Refusal("purpose_invalid", "A broker or operator does this.")
