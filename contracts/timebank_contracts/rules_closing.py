"""Rules of leaving: an account closes at 0, or its remainder goes with it, visibly, in the same entry.

    open ── account.closing ──▶ closing (credits still come) ── account.closed ──▶ closed

Source: design page 3, "Closing an account"; PROTOCOL.md L5, L9, L10.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import parse_time, show_time
from timebank_contracts.rules_accounts import SINGLE_KINDS, check_broker, live_account, no_postings
from timebank_contracts.rules_transfers import check_credit
from timebank_contracts.state import PAYABLE_KINDS, Account, Book


def account_closing(book: Book, entry: e.AccountClosing) -> None:
    no_postings(entry)
    account = _leaver(book, entry.data.account)
    if entry.by.kind in ("peer", "rule"):
        raise Refusal("purpose_invalid", "Somebody of the town, never a rule, says that an account is to close.")
    if account.state == "closing":
        raise Refusal("account_closing", "The account is closing already.")
    account.state = "closing"
    account.closing_since = entry.time


def account_closed(book: Book, entry: e.AccountClosed) -> None:
    check_broker(entry)
    if entry.out is not UNSET:
        raise Refusal("posting_invalid", "Closing an account sends no message.")
    account = _leaver(book, entry.data.account)
    if account.in_transit or account.open_claims:
        raise Refusal("account_not_empty")
    by_rule = entry.by.kind == "rule"
    if by_rule and account.state != "closing":
        raise Refusal("purpose_invalid", "The rule closes the accounts of leavers, and no other.")
    if entry.postings is UNSET:
        if account.balance:
            raise Refusal("account_not_empty")
    else:
        if by_rule and not is_due(book, account, entry.time):
            raise Refusal("account_not_empty", "The rule moves a leaver's remainder when its time has come.")
        other = _taker(book, entry, account)
        if by_rule and other.kind != "pot":
            raise Refusal("purpose_invalid", "By the rule a remainder goes to the pot; a broker may name somebody.")
        other.balance += account.balance
        account.balance = 0
    account.state = "closed"
    account.closing_since = ""


def is_due(book: Book, account: Account, time: str) -> bool:
    """Whether the rule closes this account now: at 0 at once, with a remainder after the policy's days."""
    if account.state != "closing" or account.in_transit or account.open_claims:
        return False
    return account.balance == 0 or time >= show_time(
        parse_time(account.closing_since) + timedelta(days=book.leaver_after_days)
    )


def closing_postings(account: Account, taker: str) -> list[tuple[str, int]]:
    """What moves when an account closes: its remainder, to the taker (or, below 0, from the pot)."""
    return [(account.account, -account.balance), (taker, account.balance)] if account.balance else []


def _taker(book: Book, entry: e.AccountClosed, account: Account) -> Account:
    """The account that takes or bears the remainder; raises unless the postings are exactly that."""
    postings = entry.postings
    assert postings is not UNSET
    taker = postings[-1][0]
    if not account.balance or len(postings) != 2 or postings != closing_postings(account, taker):
        raise Refusal("posting_invalid", "Closing moves the whole remainder, and nothing else.")
    if abs(account.balance) > MINUTES_MAX:
        raise Refusal("amount_out_of_range", "More than one posting may move is left; bring it nearer to 0 first.")
    other = book.accounts.get(taker)
    if other is None or other is account:
        raise Refusal("account_unknown", "Name who takes the remainder; the town may have no pot yet.")
    if account.balance > 0:
        check_credit(other, account.balance, PAYABLE_KINDS | {"pot"})
    elif other.kind != "pot":
        raise Refusal("purpose_invalid", "Only the pot bears what a leaver owes.")
    elif other.balance + account.balance < other.floor:
        raise Refusal("floor", "The pot cannot bear what the account owes.")
    return other


def _leaver(book: Book, account_id: str) -> Account:
    account = live_account(book, account_id)
    if account.kind in SINGLE_KINDS:
        raise Refusal("account_kind", "The town's own accounts stay open.")
    return account
