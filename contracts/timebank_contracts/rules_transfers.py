"""Rules of transfers within the town. (Between towns: `rules_between.py`; taken back: `rules_reversal.py`.)

Each rule checks first and changes the book last. Signs: a balance is what the town owes the holder.
Source: design page 3, "What a transfer says"; PROTOCOL.md T1 to T4, T14.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import served_on_is_possible
from timebank_contracts.rules_accounts import BROKERS, check_programme
from timebank_contracts.rules_claims import check_confirmation, note_confirmation
from timebank_contracts.state import PAYABLE_KINDS, Account, Book


class Side(NamedTuple):
    """Which kinds a purpose takes from and gives to, and whether only a broker may do it."""

    debits: frozenset[str]
    credits: frozenset[str]
    by_broker: bool


_POT: Final = frozenset({"pot"})
_ANY: Final = PAYABLE_KINDS | _POT
PURPOSES: Final[dict[str, Side]] = {
    "service": Side(PAYABLE_KINDS, PAYABLE_KINDS, by_broker=False),
    "gift": Side(PAYABLE_KINDS, PAYABLE_KINDS, by_broker=False),
    "pot": Side(PAYABLE_KINDS, _POT, by_broker=False),
    "support": Side(_POT, PAYABLE_KINDS, by_broker=True),
    "grant": Side(frozenset({"grant"}), _ANY, by_broker=True),
    "correction": Side(_ANY | {"lost"}, _ANY | {"lost"}, by_broker=True),
    "opening": Side(_ANY | {"opening"}, _ANY | {"opening"}, by_broker=True),
}
_GROUP: Final = Side(_ANY, _ANY, by_broker=False)
"""A service of three postings or more is a group session: the pot takes or gives the difference."""


def posted(book: Book, entry: e.TransferPosted) -> None:
    postings, data = entry.postings, entry.data
    if postings is UNSET or entry.out is not UNSET:
        raise Refusal("posting_invalid")
    is_service = data.purpose == "service"
    debits, credits, by_broker = _GROUP if is_service and len(postings) > 2 else PURPOSES[data.purpose]
    if by_broker and entry.by.kind not in BROKERS:
        raise Refusal("purpose_invalid", f"A transfer of purpose {data.purpose} is made by a broker or operator.")
    accounts = book.accounts
    total = 0
    legs = []
    for account_id, minutes in postings:
        account = accounts.get(account_id)
        if account is None:
            raise Refusal("account_unknown")
        if not -MINUTES_MAX <= minutes <= MINUTES_MAX:
            raise Refusal("amount_out_of_range")
        total += minutes
        legs.append((account, minutes))
        # This is the hot path of every replay: the plain case is seen here, what is not plain is named by the check.
        if minutes < 0:
            if account.state != "open" or account.kind not in debits or account.balance + minutes < account.floor:
                check_debit(account, -minutes, debits)
        elif minutes == 0:
            raise Refusal("posting_invalid")
        elif (
            account.state == "closed"
            or account.kind not in credits
            or account.balance + account.in_transit + minutes > account.ceiling
        ):
            check_credit(account, minutes, credits)
    if total or (postings[0][0] == postings[1][0] if len(postings) == 2 else len(dict(postings)) != len(postings)):
        raise Refusal("posting_invalid")
    if is_service:
        if data.activity is UNSET or data.served_on is UNSET:
            raise Refusal("service_incomplete")
        # The day of a claim was judged when it was made: a confirmation may come months later.
        if data.claim is UNSET and not served_on_is_possible(data.served_on, entry.time[:10]):
            raise Refusal("served_on_invalid")
    elif data.activity is not UNSET or data.given is not UNSET:
        raise Refusal("purpose_invalid", "Only a service has an activity and given minutes.")
    if data.given is not UNSET:
        _check_given(data.given, postings)
    if data.reason is not UNSET or data.purpose == "support":
        _check_reason(data)
    if data.programme is not UNSET:
        check_programme(book, data.programme)
    confirmed = None if data.claim is UNSET else check_confirmation(book, entry, data.claim)
    for account, minutes in legs:
        account.balance += minutes
    if confirmed is not None:
        note_confirmation(book, entry, confirmed)


_REASONED: Final = frozenset({"support", "grant", "correction"})


def _check_reason(data: e.Posted) -> None:
    if data.purpose not in _REASONED or (data.purpose == "support" and data.reason is UNSET):
        raise Refusal("reason_needed")


def check_debit(account: Account, minutes: int, kinds: frozenset[str]) -> None:
    """Raise unless `minutes` may leave the account; `kinds` are those that the purpose allows."""
    if account.state != "open":
        raise Refusal(f"account_{account.state}")
    if account.kind not in kinds:
        raise Refusal("purpose_invalid", f"This purpose takes nothing from an account of kind {account.kind}.")
    if account.balance - minutes < account.floor:
        raise Refusal("floor")


def check_credit(account: Account, minutes: int, kinds: frozenset[str]) -> None:
    """Raise unless `minutes` may come to the account; `kinds` are those that the purpose allows."""
    if account.state == "closed":
        raise Refusal("account_closed")
    if account.kind not in kinds:
        raise Refusal("purpose_invalid", f"This purpose gives nothing to an account of kind {account.kind}.")
    if account.balance + account.in_transit + minutes > account.ceiling:
        raise Refusal("ceiling_exceeded")


def _check_given(given: e.Shares, postings: e.Postings) -> None:
    credited = {account for account, minutes in postings if minutes > 0}
    givers = [account for account, _ in given]
    if len(set(givers)) != len(givers) or not credited.issuperset(givers):
        raise Refusal("posting_invalid", "Given minutes belong to accounts that are credited, each named once.")
    if any(not 1 <= minutes <= MINUTES_MAX for _, minutes in given):
        raise Refusal("amount_out_of_range")
