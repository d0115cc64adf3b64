"""Rules of claims: "I gave you m minutes", made by the giver, ended once.

    made ─┬─ confirmed: the transfer that names it ── taken back, whole ──▶ made again (reopened)
          ├─ withdrawn · expired (by rule)
          └─ disputed ─┬─ upheld (by a broker) ──▶ made        a broker confirms it too
                       └─ withdrawn

What the rule confirmed may still be disputed for 30 days, and goes to a broker. Source: design page 3, "Claim";
PROTOCOL.md D1 to D7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple, get_args

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.fields import DisputeReason
from timebank_contracts.moments import parse_time, served_on_is_possible, show_time
from timebank_contracts.names import local_transfer, parse_transfer
from timebank_contracts.rules_accounts import check_programme, no_postings, open_account
from timebank_contracts.state import PAYABLE_KINDS, Account, Book, Claim, RuleConfirmed

OPEN_CLAIMS_MAX: Final = 1_000
"""Claims that may name one account at the same time."""
DISPUTE_DAYS: Final = 30
"""How long a claim that the rule confirmed may be disputed."""
_REASONS: Final = frozenset(get_args(DisputeReason))
_NOBODY: Final = frozenset({"peer", "rule"})
DECIDERS: Final = frozenset({"broker", "operator"})
"""Who decides a dispute."""


def claim_made(book: Book, entry: e.ClaimMadeEntry) -> None:
    no_postings(entry)
    data = entry.data
    check_person(entry)
    giver, receiver = open_account(book, data.giver), open_account(book, data.receiver)
    if giver is receiver:
        raise Refusal("self_transfer")
    if not {giver.kind, receiver.kind} <= PAYABLE_KINDS:
        raise Refusal("account_kind", "Members, organisations and programmes give and receive.")
    for account in (giver, receiver):
        if account.state == "closing":
            raise Refusal("account_closing")
        if account.open_claims >= OPEN_CLAIMS_MAX:
            raise Refusal("claim_limit")
    if not served_on_is_possible(data.served_on, entry.time[:10]):
        raise Refusal("served_on_invalid")
    if data.programme is not UNSET:
        check_programme(book, data.programme)
    if data.agreed_minutes is not UNSET and entry.by.kind not in DECIDERS:
        raise Refusal("purpose_invalid", "A broker, or the directory with a booking, says what was agreed.")
    put_claim(book, local_transfer(book.me, entry.n), _claim(book, entry, entry.time))


def _claim(book: Book, made: e.ClaimMadeEntry, since: str) -> Claim:
    data = made.data
    return Claim(
        giver=data.giver,
        receiver=data.receiver,
        minutes=data.minutes,
        activity=data.activity,
        served_on=data.served_on,
        given_minutes=0 if data.given_minutes is UNSET else data.given_minutes,
        programme="" if data.programme is UNSET else data.programme,
        agreed_minutes=0 if data.agreed_minutes is UNSET else data.agreed_minutes,
        made_at=made.time,
        expires_at=days_after(since, book.claim_expires_after_days),
        position=made.n,
    )


def claim_withdrawn(book: Book, entry: e.ClaimWithdrawn) -> None:
    """Of a claim within the town."""
    no_postings(entry)
    check_person(entry)
    claim = open_claim(book, entry.data.claim)
    if claim.peer:
        raise Refusal("purpose_invalid", "The giver's town withdraws the claim; here it is disputed or confirmed.")
    end_claim(book, entry.data.claim, claim)


def claim_disputed(book: Book, entry: e.ClaimDisputedEntry, *, told: bool = False) -> None:
    """Of a claim that is open here, or that the rule confirmed.

    Args:
        book: changed.
        entry: who disputes, and why.
        told: the entry tells the giver's town, as was seen before.
    """
    if not told:
        no_postings(entry)
    check_person(entry)
    if entry.data.reason not in _REASONS:
        raise Refusal("purpose_invalid", "A person disputes a claim for what is wrong with it.")
    claim_id = entry.data.claim
    confirmed = book.rule_confirmed.get(claim_id)
    if confirmed is not None:
        if confirmed.disputed:
            raise Refusal("claim_disputed")
        if entry.time > confirmed.until:
            raise Refusal("claim_unknown", "The rule confirmed it, and the time to dispute that is over.")
        book.rule_confirmed[claim_id] = replace(confirmed, disputed=True)
        return
    claim = open_claim(book, claim_id)
    if claim.disputed:
        raise Refusal("claim_disputed")
    book.claims[claim_id] = replace(claim, disputed=True)


def claim_upheld(book: Book, entry: e.ClaimUpheld) -> None:
    no_postings(entry)
    if entry.by.kind not in DECIDERS:
        raise Refusal("purpose_invalid", "A broker or operator decides a dispute.")
    claim_id = entry.data.claim
    confirmed = book.rule_confirmed.get(claim_id)
    if confirmed is not None:
        if not confirmed.disputed:
            raise Refusal("claim_not_disputed")
        del book.rule_confirmed[claim_id]
        return
    claim = open_claim(book, claim_id)
    if not claim.disputed:
        raise Refusal("claim_not_disputed")
    book.claims[claim_id] = replace(claim, disputed=False, reopened=True)


def claim_expired(book: Book, entry: e.ClaimExpired) -> None:
    no_postings(entry)
    claim = open_claim(book, entry.data.claim)
    if entry.by.kind != "rule" or not is_expired(book, claim, entry.time):
        raise Refusal("claim_not_due")
    end_claim(book, entry.data.claim, claim)


def is_expired(book: Book, claim: Claim, time: str) -> bool:
    """Whether the rule ends this claim now: its time is over, or one of the two is leaving."""
    leaving = any(account.state in ("closing", "closed") for account in _named(book, claim))
    return leaving or (time >= claim.expires_at and not claim.disputed)


def rule_confirms(book: Book, claim: Claim, time: str) -> bool:
    """Whether the rule confirms this claim now: a booking's, undisputed, never taken back, when the town wants it."""
    days = book.auto_confirm_after_days
    wanted = days > 0 and claim.agreed_minutes >= claim.minutes and not claim.disputed and not claim.reopened
    return wanted and time >= days_after(claim.made_at, days)


class Confirmed(NamedTuple):
    """A claim that this transfer confirms."""

    name: str
    claim: Claim


def check_confirmation(book: Book, entry: e.TransferPosted, name: str) -> Confirmed:
    """The claim that a transfer confirms.

    Raises:
        Refusal: `claim_unknown`, `claim_mismatch`, `claim_tolerance`, `claim_disputed`, `claim_not_due`,
            `purpose_invalid`.
    """
    claim, data, postings = open_claim(book, name), entry.data, entry.postings
    if postings is UNSET or len(postings) != 2 or postings[0][0] != claim.receiver or postings[1][0] != claim.giver:
        raise Refusal("claim_mismatch", "The receiver of the service pays its giver, and nobody else.")
    said = (data.purpose, data.activity, data.served_on, data.given, data.programme)
    given = [(claim.giver, claim.given_minutes)] if claim.given_minutes else UNSET
    if said != ("service", claim.activity, claim.served_on, given, claim.programme or UNSET):
        raise Refusal("claim_mismatch")
    if claim.disputed and entry.by.kind not in DECIDERS:
        raise Refusal("claim_disputed")
    minutes = postings[1][1]
    if (entry.by.kind == "rule") != (data.confirmed_by == "rule"):
        raise Refusal("purpose_invalid", "What the rule confirms, and nothing else, says so.")
    if entry.by.kind == "rule" and (minutes != claim.minutes or not rule_confirms(book, claim, entry.time)):
        raise Refusal("claim_not_due")
    check_tolerance(book, claim, minutes)
    return Confirmed(name, claim)


def check_tolerance(book: Book, claim: Claim, minutes: int) -> None:
    """Raise `claim_tolerance` for more minutes than the claim's and the town's tolerance."""
    if minutes > claim.minutes + claim.minutes * book.claim_tolerance_percent // 100:
        raise Refusal("claim_tolerance")


def note_confirmation(book: Book, entry: e.TransferPosted, confirmed: Confirmed) -> None:
    """The claim is ended; one that the rule confirmed is remembered while it may be disputed."""
    end_claim(book, confirmed.name, confirmed.claim)
    if entry.by.kind == "rule":
        _forget_old(book, entry.time)
        until = days_after(entry.time, DISPUTE_DAYS)
        book.rule_confirmed[confirmed.name] = RuleConfirmed(confirmed.claim.receiver, entry.n, until)


def _forget_old(book: Book, time: str) -> None:
    old = []
    for name, confirmed in book.rule_confirmed.items():
        if confirmed.until >= time:
            break
        if not confirmed.disputed:
            old.append(name)
    for name in old:
        del book.rule_confirmed[name]


def reopened(book: Book, name: str, *, time: str, read: Callable[[int], e.Entry | None]) -> Claim | None:
    """The claim as it opens again when the whole transfer that confirmed it comes back; None when somebody left."""
    made = read(parse_transfer(name).position)
    if not isinstance(made, e.ClaimMadeEntry) or name in book.claims:
        raise Refusal("claim_unknown", "The transfer confirmed no claim that can be read.")
    if any(book.accounts[account].state in ("closing", "closed") for account in (made.data.giver, made.data.receiver)):
        return None
    return replace(_claim(book, made, time), reopened=True)


def note_reopened(book: Book, name: str, claim: Claim | None) -> None:
    """The confirmation is undone; the claim, if there is one again, is never the rule's any more."""
    book.rule_confirmed.pop(name, None)
    if claim is not None:
        put_claim(book, name, claim)


def open_again(book: Book, name: str, claim: Claim, *, time: str) -> None:
    """A claim whose transfer came back is open again, with a new time; not when its receiver is leaving."""
    if all(account.state not in ("closing", "closed") for account in _named(book, claim)):
        again = replace(claim, expires_at=days_after(time, book.claim_expires_after_days), reopened=True)
        put_claim(book, name, again)


def open_claim(book: Book, name: str) -> Claim:
    """The claim of this id, when it is not ended; raises `claim_unknown`."""
    found = book.claims.get(name)
    if found is None:
        raise Refusal("claim_unknown")
    return found


def put_claim(book: Book, name: str, claim: Claim) -> None:
    """The claim is open from now on."""
    book.claims[name] = claim
    for account in _named(book, claim):
        account.open_claims += 1


def end_claim(book: Book, name: str, claim: Claim) -> None:
    """The claim is not open any more."""
    del book.claims[name]
    for account in _named(book, claim):
        account.open_claims -= 1


def _named(book: Book, claim: Claim) -> list[Account]:
    """The accounts of this town that a claim names."""
    return [book.accounts[account] for account in (claim.giver, claim.receiver) if account]


def check_person(entry: e.Entry) -> None:
    """Raise `purpose_invalid` when a rule or a peer acts where a person must."""
    if entry.by.kind in _NOBODY:
        raise Refusal("purpose_invalid", "A person of the town does this, or somebody for them.")


def days_after(time: str, days: int) -> str:
    """The time so many days later, in wire form."""
    return show_time(parse_time(time) + timedelta(days=days))
