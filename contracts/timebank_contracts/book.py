"""The one meaning of the log: `apply(book, entry)` checks every rule, raises a refusal or changes the book.

No I/O, no clock, no chance. The ledger, the simulation, the auditor and the reports run this same function, so an entry
that the auditor refuses could not have been written by an honest ledger.
Source: design page 1, sentence 4; PROTOCOL.md B1 to B5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import (
    rules_accounts,
    rules_between,
    rules_claims,
    rules_claims_between,
    rules_closing,
    rules_generations,
    rules_money,
    rules_returning,
    rules_reversal,
    rules_streams,
    rules_thanks,
    rules_transfers,
)
from timebank_contracts.errors import Refusal
from timebank_contracts.rules_refunds import Read
from timebank_contracts.state import Book

__all__ = ["READING", "RULES", "Book", "Read", "apply"]

Rule = Callable[[Book, Any], None]

RULES: Final[dict[type[e.Entry], Rule]] = {
    e.NodeOpened: rules_returning.node_opened,
    e.PolicyChanged: rules_accounts.policy_changed,
    e.AccountOpenedEntry: rules_accounts.account_opened,
    e.AccountChangedEntry: rules_accounts.account_changed,
    e.AccountFrozen: rules_accounts.account_frozen,
    e.AccountUnfrozen: rules_accounts.account_unfrozen,
    e.AccountClosing: rules_closing.account_closing,
    e.AccountClosed: rules_closing.account_closed,
    e.AliasIssuedEntry: rules_accounts.alias_issued,
    e.AliasRevokedEntry: rules_accounts.alias_revoked,
    e.RegistryAcceptedEntry: rules_streams.registry_accepted,
    e.PeerChanged: rules_streams.peer_changed,
    e.PeerFrozen: rules_streams.peer_frozen,
    e.PeerThawed: rules_streams.peer_thawed,
    e.PeerGenerationClosed: rules_generations.generation_closed,
    e.SegmentAcceptedEntry: rules_streams.segment_accepted,
    e.SegmentRecoveredEntry: rules_returning.segment_recovered,
    e.MessageRecoveredEntry: rules_returning.message_recovered,
    e.StreamRecoveredEntry: rules_returning.stream_recovered,
    e.TransferPosted: rules_transfers.posted,
    e.TransferSettled: rules_between.settled,
    e.TransferReturned: rules_between.returned,
    e.ClaimMadeEntry: rules_claims.claim_made,
    e.ClaimSentEntry: rules_claims_between.claim_sent,
    e.ClaimReceived: rules_claims_between.claim_received,
    e.ClaimRefusedEntry: rules_claims_between.claim_refused,
    e.ClaimWithdrawn: rules_claims_between.claim_withdrawn,
    e.ClaimDisputedEntry: rules_claims_between.claim_disputed,
    e.ClaimUpheld: rules_claims.claim_upheld,
    e.ClaimExpired: rules_claims_between.claim_expired,
}
READING: Final[dict[type[e.Entry], Callable[[Book, Any, Read], None]]] = {
    e.TransferSent: rules_between.sent,
    e.TransferReceived: rules_between.received,
    e.TransferRejected: rules_between.rejected,
    e.TransferReversed: rules_reversal.reversed_,
    e.MessageRepeatedEntry: rules_returning.message_repeated,
    e.ThanksGivenEntry: rules_thanks.thanks_given,
    e.MoneyRecordedEntry: rules_money.money_recorded,
}
"""Rules of entries that name an earlier entry of the journal, and read it."""

CAUSED: Final = frozenset(
    {
        e.TransferReceived,
        e.TransferRejected,
        e.TransferSettled,
        e.ClaimReceived,
        e.ClaimRefusedEntry,
        e.MessageRecoveredEntry,
    }
)
"""Entries that follow from a peer's message: they have `in`, and stand between a segment's messages."""
EITHER: Final = frozenset({e.TransferReturned, e.ClaimWithdrawn, e.ClaimDisputedEntry, e.ThanksGivenEntry})
"""Entries that a person or the rule here may cause, or a peer's message."""


def _nothing(position: int) -> None:
    """For a journal none of whose entries names another."""


def apply(book: Book, entry: e.Entry, *, read: Read = _nothing) -> None:
    """Judge the next entry and change the book by it.

    Args:
        book: the state after entries 0 to `entry.n` − 1.
        entry: the candidate.
        read: gives the entry at an earlier position, for those that name one (`READING`).

    Raises:
        Refusal: the rules say no; the book is unchanged.
        Malformed: a message or envelope inside the entry is not one; the book is unchanged.
        Breach: the peer's message inside the entry breaks the contract; the book is unchanged.
    """
    if entry.n != book.n:
        raise Refusal("wrong_position", f"The next entry is {book.n}, not {entry.n}.")
    if entry.time < book.time:
        raise Refusal("time_order")
    if book.identity is None and entry.n == 0 and type(entry) is not e.NodeOpened:
        raise Refusal("node_not_opened")
    caused = entry.in_ is not UNSET
    if caused != (book.pending is not None) or (caused != (type(entry) in CAUSED) and type(entry) not in EITHER):
        raise Refusal("segment_pending")
    rule = RULES.get(type(entry))
    if rule is not None:
        rule(book, entry)
    else:
        READING[type(entry)](book, entry, lambda position: read(position) if position < book.n else None)
    book.n += 1
    book.time = entry.time
