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
from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import parse_time, served_on_is_possible, show_time
from timebank_contracts.names import local_transfer, parse_transfer
from timebank_contracts.rules_accounts import check_programme, no_postings, open_account
from timebank_contracts.state import PAYABLE_KINDS, Account, Book, Claim, RuleConfirmed

OPEN_CLAIMS_MAX: Final = 1_000
"""Claims that may name one account at the same time."""
DISPUTE_DAYS: Final = 30
"""How long a claim that the rule confirmed may be disputed."""
_NOBODY: Final = frozenset({"peer", "rule"})
_DECIDERS: Final = frozenset({"broker", "operator"})


def claim_made(book: Book, entry: e.ClaimMadeEntry) -> None:
    no_postings(entry)
    data = entry.data
    _person(entry)
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
    if data.agreed_minutes is not UNSET and entry.by.kind not in _DECIDERS:
        raise Refusal("purpose_invalid", "A broker, or the directory with a booking, says what was agreed.")
    _open(book, local_transfer(book.me, entry.n), _claim(book, entry, entry.time))


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
        expires_at=_days_after(since, book.claim_expires_after_days),
    )


def claim_withdrawn(book: Book, entry: e.ClaimWithdrawn) -> None:
    no_postings(entry)
    _person(entry)
    _end(book, entry.data.claim, open_claim(book, entry.data.claim))


def claim_disputed(book: Book, entry: e.ClaimDisputedEntry) -> None:
    no_postings(entry)
    _person(entry)
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
    if entry.by.kind not in _DECIDERS:
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
    _end(book, entry.data.claim, claim)


def is_expired(book: Book, claim: Claim, time: str) -> bool:
    """Whether the rule ends this claim now: its time is over, or one of the two is leaving."""
    leaving = any(book.accounts[account].state in ("closing", "closed") for account in (claim.giver, claim.receiver))
    return leaving or (time >= claim.expires_at and not claim.disputed)


def rule_confirms(book: Book, claim: Claim, time: str) -> bool:
    """Whether the rule confirms this claim now: a booking's, undisputed, never taken back, when the town wants it."""
    days = book.auto_confirm_after_days
    wanted = days > 0 and claim.agreed_minutes >= claim.minutes and not claim.disputed and not claim.reopened
    return wanted and time >= _days_after(claim.made_at, days)


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
    if claim.disputed and entry.by.kind not in _DECIDERS:
        raise Refusal("claim_disputed")
    minutes = postings[1][1]
    if (entry.by.kind == "rule") != (data.confirmed_by == "rule"):
        raise Refusal("purpose_invalid", "What the rule confirms, and nothing else, says so.")
    if entry.by.kind == "rule" and (minutes != claim.minutes or not rule_confirms(book, claim, entry.time)):
        raise Refusal("claim_not_due")
    if minutes > claim.minutes + claim.minutes * book.claim_tolerance_percent // 100:
        raise Refusal("claim_tolerance")
    return Confirmed(name, claim)


def note_confirmation(book: Book, entry: e.TransferPosted, confirmed: Confirmed) -> None:
    """The claim is ended; one that the rule confirmed is remembered while it may be disputed."""
    _end(book, confirmed.name, confirmed.claim)
    if entry.by.kind == "rule":
        _forget_old(book, entry.time)
        until = _days_after(entry.time, DISPUTE_DAYS)
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
        _open(book, name, claim)


def open_claim(book: Book, name: str) -> Claim:
    """The claim of this id, when it is not ended; raises `claim_unknown`."""
    found = book.claims.get(name)
    if found is None:
        raise Refusal("claim_unknown")
    return found


def _open(book: Book, name: str, claim: Claim) -> None:
    book.claims[name] = claim
    for account in _named(book, claim):
        account.open_claims += 1


def _end(book: Book, name: str, claim: Claim) -> None:
    del book.claims[name]
    for account in _named(book, claim):
        account.open_claims -= 1


def _named(book: Book, claim: Claim) -> tuple[Account, Account]:
    return book.accounts[claim.giver], book.accounts[claim.receiver]


def _person(entry: e.Entry) -> None:
    if entry.by.kind in _NOBODY:
        raise Refusal("purpose_invalid", "A person of the town does this, or somebody for them.")


def _days_after(time: str, days: int) -> str:
    return show_time(parse_time(time) + timedelta(days=days))
