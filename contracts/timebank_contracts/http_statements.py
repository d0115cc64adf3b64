"""HTTP models: what the ledger's API answers about what the journal adds up to.

Source: design page 3, "What people do with it"; the served document is `contracts/openapi/ledger.json`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from timebank_contracts.days import ZONE_DEFAULT
from timebank_contracts.fields import AccountKind, Activity, Purpose
from timebank_contracts.http import AccountId, BalanceMinutes, Count, Model, Moment, Position, ServedOn, TransferId

TimeZone = Annotated[
    str, Field(description="The town's time zone: it says on which day an entry was written.", examples=[ZONE_DEFAULT])
]


class StatementLine(Model):
    """What one entry did to the account, and what it says of its transfer."""

    position: Position
    time: Moment
    date: ServedOn = Field(description="The day of `time` in the town's time zone.", examples=["2026-01-31"])
    type: str = Field(description="The entry's type.", examples=["transfer.posted"])
    minutes: int = Field(description="Credited (above 0) or paid (below 0).", examples=[-90])
    balance: BalanceMinutes
    """After this entry."""
    transfer: TransferId | None = None
    reverses: TransferId | None = None
    """The transfer that this entry takes back."""
    reason: str | None = Field(
        default=None, description="Why it was given, taken back or came back.", examples=["mistake"]
    )
    purpose: Purpose | None = Field(default=None, description="Why the minutes moved.", examples=["service"])
    activity: Activity | None = Field(default=None, description="What was done.", examples=["garden"])
    served_on: ServedOn | None = None
    programme: AccountId | None = None
    """The programme that it belongs to."""
    claim: TransferId | None = None
    """The claim that it confirms."""


class Statement(Model):
    """Opening + lines = closing, over the journal positions from `from_position` to before `to_position`."""

    account: AccountId
    kind: AccountKind
    from_position: Position
    to_position: Position
    from_date: ServedOn | None = Field(default=None, description="The first day, where days were asked for.")
    to_date: ServedOn | None = Field(default=None, description="The last day, included, where days were asked for.")
    time_zone: TimeZone
    opening: BalanceMinutes
    lines: list[StatementLine]
    closing: BalanceMinutes
    more: bool = Field(description="Whether the period has further lines; `next` gives them.")
    next: str | None = Field(
        default=None, description="Cursor of the following page, if there is one.", examples=["Ny4yMC4u"]
    )


class BalanceThen(Model):
    """A balance as the first `position` entries of the journal leave it."""

    account: AccountId
    kind: AccountKind
    balance: BalanceMinutes
    position: Position
    date: ServedOn | None = Field(
        default=None, description="The day at whose end it was so, where a day was asked for."
    )
    time_zone: TimeZone


class KindRow(Model):
    kind: AccountKind
    accounts: Count
    credit: int = Field(description="Sum of the balances above 0, in minutes.", examples=[4500])
    debit: int = Field(
        description="Sum of the balances below 0, as a number of 0 or more, in minutes.", examples=[4500]
    )


class TrialBalance(Model):
    """Every account of the town by kind; `total` is 0."""

    entries: Count
    time: str = Field(description="Time of the last entry; empty before the first.")
    rows: list[KindRow]
    credit: int = Field(examples=[9000])
    debit: int = Field(examples=[9000])
    total: int = Field(examples=[0])
