"""HTTP models of claims and of money beside hours: what the ledger's API takes and answers there.

Minutes are whole numbers; money is whole minor units of its currency. Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from timebank_contracts import names
from timebank_contracts.fields import Activity, ConfirmedBy, DisputeReason, MoneyKind, SettledBy, ThanksSide
from timebank_contracts.http import (
    AccountId,
    Minutes,
    Model,
    Moment,
    PayeeThere,
    PeerId,
    Position,
    ProgrammeId,
    ServedOn,
    TransferId,
)

CLAIMS_MAX = 500
RECORDS_MAX = 500
ClaimState = Literal["open", "disputed", "confirmed", "withdrawn", "expired", "refused", "reversed"]

ClaimId = Annotated[
    str,
    Field(pattern=names.TRANSFER_PATTERN, description="Where the claim was made.", examples=["aberdare.g1.10423"]),
]

MinorUnits = Annotated[
    int,
    Field(
        ge=-1_000_000_000_000,
        le=1_000_000_000_000,
        description="In the smallest coin: 1250 is £12.50. Below 0 only to take a record back.",
        examples=[1250],
    ),
]


class _Claimed(Model):
    """What a claim says."""

    minutes: Minutes
    activity: Activity = Field(description="What was done.", examples=["garden"])
    served_on: ServedOn
    given_minutes: Minutes | None = Field(default=None, description="Time given, where it differs.", examples=[60])
    programme: ProgrammeId | None = None
    agreed_minutes: Minutes | None = Field(
        default=None,
        description="Agreed before, in a booking: what the town's rule may confirm by itself. A broker's word.",
        examples=[90],
    )


class NewClaim(_Claimed):
    """I gave you so many minutes."""

    giver: AccountId
    """Who gave the help, and is to be credited."""
    receiver: AccountId | PayeeThere = Field(
        description="Who received the help, and is to pay: an account here, or an address in another town.",
        examples=["bryn"],
    )


class NewConfirmation(Model):
    minutes: Minutes | None = Field(
        default=None, description="Fewer, or more within the town's tolerance; by default as claimed.", examples=[60]
    )
    confirmed_by: ConfirmedBy | None = Field(
        default=None,
        description="By default the receiver for a member, the broker for a broker, the delegate for a delegate.",
        examples=["receiver"],
    )


class NewRefund(Model):
    minutes: Minutes | None = Field(
        default=None, description="How many of the minutes received; by default all that are left.", examples=[30]
    )
    from_pot: bool = Field(default=False, description="The pot gives them back: a broker's word.", examples=[False])


class NewThanks(Model):
    side: ThanksSide | None = Field(
        default=None, description="For whom, when the caller may speak for both sides.", examples=["payer"]
    )


class Thanks(Model):
    """Thanks for a transfer; they move no minutes."""

    transfer: TransferId
    side: ThanksSide = Field(description="Who thanks.", examples=["payer"])
    time: Moment
    position: Position


class NewDispute(Model):
    reason: DisputeReason = Field(description="What is wrong with the claim.", examples=["other_minutes"])


class Claim(_Claimed):
    """A claim as it stands now."""

    id: ClaimId
    giver: AccountId | None = None
    """Who gave the help; none: somebody in the other town."""
    receiver: AccountId | None = Field(
        default=None, description="Who received the help; none: somebody in the other town.", examples=["bryn"]
    )
    peer: PeerId | None = None
    """The other town, of a claim across towns."""
    state: ClaimState
    disputed: bool = Field(description="A broker is asked to decide; true for a confirmed one, too.")
    made_at: Moment
    expires_at: Moment | None = None
    """While it is open: when the rule ends it."""
    transfer: TransferId | None = None
    """What confirmed it."""
    position: Position
    """Journal position of the entry that made it."""


class Claims(Model):
    """Open and disputed claims, oldest first."""

    claims: list[Claim] = Field(max_length=CLAIMS_MAX)
    next: str | None = Field(default=None, description="Cursor of the following page, if there is one.")


class _Recorded(Model):
    """What is said of money that was settled elsewhere."""

    minor_units: MinorUnits
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["GBP"])
    kind: MoneyKind = Field(description="What it was for.", examples=["materials"])
    settled_by: SettledBy = Field(description="How it was settled, outside the timebank.", examples=["bank"])
    paid_on: ServedOn = Field(description="The day on which it was settled.", examples=["2026-01-30"])
    transfer: TransferId | None = None
    """The transfer that it belongs to; or name a programme."""
    programme: ProgrammeId | None = None
    corrects: TransferId | None = Field(
        default=None, description="The record that this one takes back.", examples=["aberdare.g1.10424"]
    )


class NewMoney(_Recorded):
    """Money beside hours: recorded, never posted."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.transfer is None) == (self.programme is None):
            raise ValueError("name a transfer or a programme")
        if self.minor_units == 0 or (self.minor_units < 0) != (self.corrects is not None):
            raise ValueError("minor units are above 0; below 0 to take a record back, which is named")
        return self


class Money(_Recorded):
    """A record of money."""

    id: TransferId
    time: Moment
    position: Position


class MoneySum(Model):
    """What all records of a page come to, by currency and kind; never added to hours."""

    currency: str = Field(examples=["GBP"])
    kind: MoneyKind = Field(examples=["materials"])
    minor_units: int = Field(examples=[1250])


class MoneyRecords(Model):
    """Records, oldest first."""

    records: list[Money] = Field(max_length=RECORDS_MAX)
    sums: list[MoneySum]
    next: str | None = Field(default=None, description="Cursor of the following page, if there is one.")
