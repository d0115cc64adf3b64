"""Rules of the node, its policy, its accounts and their receiving addresses.

Each rule checks first and changes the book last, so that a refusal leaves it as it was.
Source: design page 3, "Accounts"; PROTOCOL.md L1 to L8, L11.
Leaving is told in `rules_closing.py`.
"""

from __future__ import annotations

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.names import Identity
from timebank_contracts.state import Account, Alias, Book

RULES_VERSION = 1
BROKERS = frozenset({"broker", "operator", "rule"})
"""Who keeps the town's accounts, and may do what a member may not."""
SINGLE_KINDS = frozenset({"pot", "grant", "opening", "lost"})
"""Kinds of which a town has one account, with the kind as its id."""
ALIASES_MAX = 1_000
"""Receiving addresses in force of one account."""


def node_opened(book: Book, entry: e.NodeOpened) -> None:
    """The journal begins. (It goes on under a later generation: `rules_returning.py`.)"""
    check_broker(entry)
    no_postings(entry)
    if entry.data.rules != RULES_VERSION:
        raise Refusal("node_not_opened", f"These are rules {RULES_VERSION}; the journal asks for {entry.data.rules}.")
    book.identity = Identity(entry.data.network, entry.data.node, entry.data.generation)
    book.began[entry.data.generation] = entry.n
    book.rules = entry.data.rules


def policy_changed(book: Book, entry: e.PolicyChanged) -> None:
    check_broker(entry)
    no_postings(entry)
    book.default_floor = entry.data.default_floor
    book.default_ceiling = entry.data.default_ceiling
    book.debt_limit = entry.data.debt_limit
    book.claim_tolerance_percent = entry.data.claim_tolerance_percent
    book.claim_expires_after_days = entry.data.claim_expires_after_days
    book.auto_confirm_after_days = entry.data.auto_confirm_after_days
    book.leaver_after_days = entry.data.leaver_after_days


def account_opened(book: Book, entry: e.AccountOpenedEntry) -> None:
    data = entry.data
    check_broker(entry)
    no_postings(entry)
    if data.account in book.accounts:
        raise Refusal("account_exists")
    if ":" in data.account or (data.kind in SINGLE_KINDS) != (data.account in SINGLE_KINDS):
        raise Refusal("account_kind")
    if data.kind in SINGLE_KINDS and data.account != data.kind:
        raise Refusal("account_kind")
    account = Account(data.account, data.kind, data.floor, data.ceiling)
    if data.owner is not UNSET:
        if data.kind != "programme" or open_account(book, data.owner).kind != "organisation":
            raise Refusal("account_kind", "A programme, and nothing else, has an owner: an organisation of this town.")
        account.owner = data.owner
    book.accounts[data.account] = account


def account_changed(book: Book, entry: e.AccountChangedEntry) -> None:
    check_broker(entry)
    account = _live(book, entry)
    account.floor = entry.data.floor
    account.ceiling = entry.data.ceiling


def account_frozen(book: Book, entry: e.AccountFrozen) -> None:
    check_broker(entry)
    _live(book, entry).state = "frozen"


def account_unfrozen(book: Book, entry: e.AccountUnfrozen) -> None:
    check_broker(entry)
    account = _live(book, entry)
    account.state = "open"
    account.closing_since = ""


def alias_issued(book: Book, entry: e.AliasIssuedEntry) -> None:
    data = entry.data
    account = _live(book, entry)
    if account.aliases >= ALIASES_MAX:
        raise Refusal("alias_limit")
    if data.alias in book.aliases or data.alias in book.revoked_aliases:
        raise Refusal("alias_exists")
    if data.audience is not UNSET and data.audience not in book.peers:
        raise Refusal("peer_unknown")
    book.aliases[data.alias] = Alias(data.account, None if data.audience is UNSET else data.audience)
    account.aliases += 1


def alias_revoked(book: Book, entry: e.AliasRevokedEntry) -> None:
    no_postings(entry)
    if entry.data.alias not in book.aliases:
        raise Refusal("alias_unknown")
    book.accounts[book.aliases.pop(entry.data.alias).account].aliases -= 1
    book.revoked_aliases.add(entry.data.alias)


def open_account(book: Book, account: str) -> Account:
    """The account, when it exists and is not closed; raises `account_unknown` or `account_closed`."""
    found = book.accounts.get(account)
    if found is None:
        raise Refusal("account_unknown")
    if found.state == "closed":
        raise Refusal("account_closed")
    return found


def check_programme(book: Book, programme: str) -> None:
    """Raise `programme_unknown` unless this is a programme of the town that is not closed."""
    found = book.accounts.get(programme)
    if found is None or found.kind != "programme" or found.state == "closed":
        raise Refusal("programme_unknown")


def live_account(book: Book, account: str) -> Account:
    """An account that the town keeps itself and that is not closed."""
    found = open_account(book, account)
    if found.kind in ("clearing", "transit"):
        raise Refusal("account_kind")
    return found


def _live(
    book: Book, entry: e.AccountChangedEntry | e.AccountFrozen | e.AccountUnfrozen | e.AliasIssuedEntry
) -> Account:
    no_postings(entry)
    return live_account(book, entry.data.account)


def no_postings(entry: e.Entry) -> None:
    """Raise `posting_invalid` when an entry that moves no minutes has postings, or a message."""
    if entry.postings is not UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid", "An entry of this type moves no minutes and sends no message.")


def check_broker(entry: e.Entry) -> None:
    """Raise `purpose_invalid` unless a broker, an operator or a rule acts."""
    if entry.by.kind not in BROKERS:
        raise Refusal("purpose_invalid", "A broker or operator does this.")
