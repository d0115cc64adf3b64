"""What a client asks: the commands on transfers, with the names of the API's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Required, TypedDict

from timebank_client.answers import Payee

Shares = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a payee's QR code says, as it was scanned: whom to pay, in whichever town they are."""

    address: str


class _Said(TypedDict, total=False):
    purpose: Required[str]
    """service, gift, pot, support, grant or correction."""
    activity: str
    """What was done; a service names it."""
    served_on: date | str
    """The day of the service; a service names it."""
    confirmed_by: str
    programme: str
    reason: str


class NewTransfer(_Said, total=False):
    """Minutes from one account to another. Fields as in the API's document."""

    payer: Required[str]
    payee: Required[str | Payee | Scanned]
    """An account of this town, what `payees.resolve` answered, or what a QR code says."""
    minutes: Required[int]
    given_minutes: int
    """Time given, where it differs from the minutes paid."""
    expires_in_seconds: int
    """Only to another town: until when it may take the transfer."""


class NewGroup(_Said, total=False):
    """One act of several accounts: the minutes sum to 0."""

    postings: Required[Shares]
    """[account, minutes]: below 0 paid, above 0 credited."""
    given: Shares
    """[account, minutes] of time given."""


class NewSession(_Said, total=False):
    """A group session: attendees pay for their own time, leaders earn theirs, the pot takes or bears the difference."""

    leaders: Required[Shares]
    """[account, minutes] of time given."""
    attendees: Shares
    """[account, minutes] of those who pay for their own time."""
    sharing: Sequence[str]
    """Accounts that share a cost, split to the minute in order of id."""
    shared_minutes: int
    """What they share."""


SESSION_FIELDS: Final = ("leaders", "attendees", "sharing", "shared_minutes")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A command of a batch with a key of the caller's own."""

    key: str
    transfer: NewTransfer | NewGroup


def body_of(said: NewTransfer | NewGroup) -> dict[str, Any]:
    """What is sent: dates as text, a payee in the API's form."""
    body = as_text(said)
    if "payee" in body:
        body["payee"] = payee_body(body["payee"])
    return body


def as_text(said: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a command: days as text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in said.items()}


def dry(dry_run: bool) -> dict[str, Any]:
    """The query of a command."""
    return {"dry_run": "true"} if dry_run else {}


def payee_body(payee: str | Payee | Scanned) -> dict[str, Any]:
    """A payee as the API takes it."""
    if isinstance(payee, str):
        return {"account": payee}
    if isinstance(payee, Scanned):
        return {"address": payee.address}
    if payee.account is not None:
        return {"account": payee.account}
    return {"node": payee.node, "alias": payee.alias}
