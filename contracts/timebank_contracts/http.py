"""HTTP models: what the ledger's API takes. Strict: no field more, no value of another type.

Minutes are whole numbers, hashes hex, times `2026-01-31T10:00:00.123Z`. Imported by services only.
Reading order: the fields, what is asked for (New…), then `http_answers.py`.
Source: design page 3, "HTTP API"; the served document is `contracts/openapi/ledger.json`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from timebank_contracts import names
from timebank_contracts.amounts import LIMIT_MAX, MINUTES_MAX
from timebank_contracts.entries import POSTINGS_MAX
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Activity, ConfirmedBy, OpenedKind, Purpose, ReversalReason, SupportReason
from timebank_contracts.moments import DATE_PATTERN, TIME_PATTERN, parse_date
from timebank_contracts.payment_address import ADDRESS_PATTERN, read_payment_address

BATCH_MAX = 1_000
EXPIRES_SECONDS_MAX = 30 * 86_400


class Model(BaseModel):
    """Strict, closed and frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


def _possible_date(text: str) -> str:
    try:
        parse_date(text)
    except Malformed as error:
        raise ValueError(str(error)) from error
    return text


def _possible_address(text: str) -> str:
    try:
        read_payment_address(text)
    except Malformed as error:
        raise ValueError(str(error)) from error
    return text


AccountId = Annotated[
    str, Field(pattern=names.ACCOUNT_PATTERN, description="An account of this town.", examples=["alys"])
]
ProgrammeId = Annotated[
    str,
    Field(
        pattern=names.ACCOUNT_PATTERN,
        description="The programme that it belongs to: an account of this town.",
        examples=["garden-days"],
    ),
]
PeerId = Annotated[str, Field(pattern=names.NODE_PATTERN, description="Another town.", examples=["barry"])]
AliasId = Annotated[
    str,
    Field(
        pattern=names.ALIAS_PATTERN,
        description="A receiving address: 32 hex digits, given by the payee.",
        examples=["5d41402abc4b2a76b9719d911017c592"],
    ),
]
PaymentAddress = Annotated[
    str,
    Field(
        pattern=ADDRESS_PATTERN,
        description="What a payee's QR code says.",
        examples=["timebank:timebank.wales/barry/5d41402abc4b2a76b9719d911017c592"],
    ),
    AfterValidator(_possible_address),
]
TransferId = Annotated[
    str,
    Field(
        pattern=names.TRANSFER_PATTERN,
        description="Where the transfer was born.",
        examples=["aberdare.g1.10423", "aberdare.g1.barry.17"],
    ),
]
Minutes = Annotated[int, Field(ge=1, le=MINUTES_MAX, description="Minutes of time.", examples=[90])]
PostedMinutes = Annotated[
    int,
    Field(ge=-MINUTES_MAX, le=MINUTES_MAX, description="Minutes: below 0 paid, above 0 credited.", examples=[-90]),
]
FloorMinutes = Annotated[
    int, Field(ge=-LIMIT_MAX, le=0, description="The lowest balance that a payment may leave.", examples=[-600])
]
CeilingMinutes = Annotated[
    int, Field(ge=0, le=LIMIT_MAX, description="The highest balance that a credit may reach.", examples=[6000])
]
LimitMinutes = Annotated[int, Field(ge=0, le=LIMIT_MAX, description="A limit, in minutes.", examples=[60000])]
BalanceMinutes = Annotated[int, Field(description="A balance: above 0, the town owes the holder.", examples=[150])]
Position = Annotated[int, Field(ge=0, le=2**53 - 1, description="A position in the journal.", examples=[10423])]
Count = Annotated[int, Field(ge=0, description="A number of things.", examples=[3])]
Hash = Annotated[str, Field(pattern=names.HASH_PATTERN, description="SHA-256, hex.", examples=["e3b0c442" + "0" * 56])]
Moment = Annotated[str, Field(pattern=TIME_PATTERN, description="UTC.", examples=["2026-01-31T10:00:00.123Z"])]
ServedOn = Annotated[
    str,
    Field(pattern=DATE_PATTERN, description="The day of the service.", examples=["2026-01-30"]),
    AfterValidator(_possible_date),
]
Generation = Annotated[str, Field(pattern=names.GENERATION_PATTERN, description="A generation.", examples=["g1"])]


class PayeeHere(Model):
    """A payee of this town."""

    account: AccountId


class PayeeThere(Model):
    """A payee who gave a receiving address, in another town or this one."""

    node: PeerId
    alias: AliasId


class PayeeScanned(Model):
    """A payee whose code was scanned, in another town or this one."""

    address: PaymentAddress


def _payee_tag(value: Any) -> str:
    if isinstance(value, dict):
        return "here" if "account" in value else "scanned" if "address" in value else "there"
    return "here" if isinstance(value, PayeeHere) else "scanned" if isinstance(value, PayeeScanned) else "there"


Payee = Annotated[
    Annotated[PayeeHere, Tag("here")] | Annotated[PayeeThere, Tag("there")] | Annotated[PayeeScanned, Tag("scanned")],
    Discriminator(_payee_tag),
]


class _Said(Model):
    """What is said of a transfer."""

    purpose: Purpose = Field(description="Why the minutes move.", examples=["service"])
    activity: Activity | None = Field(
        default=None, description="What was done; a service names it.", examples=["garden"]
    )
    served_on: ServedOn | None = None
    confirmed_by: ConfirmedBy | None = Field(
        default=None,
        description="Who confirmed it; kept in the payer's town. By default the receiver for a member's own payment, "
        "the broker for a broker's.",
        examples=["receiver"],
    )
    programme: ProgrammeId | None = None
    reason: SupportReason | None = Field(
        default=None,
        description="Why the pot gives support; a grant or correction may say it.",
        examples=["welcome"],
    )


class NewTransfer(_Said):
    """One payer, one payee."""

    payer: AccountId
    payee: Payee
    minutes: Minutes
    given_minutes: Minutes | None = Field(default=None, description="Time given, where it differs.", examples=[60])
    expires_in_seconds: int | None = Field(
        default=None,
        ge=60,
        le=EXPIRES_SECONDS_MAX,
        description="Until when the payee's town may take it; only between towns.",
        examples=[604800],
    )


class NewGroup(_Said):
    """One act of several accounts: the minutes sum to 0."""

    postings: list[Annotated[tuple[AccountId, PostedMinutes], Field(strict=False)]] = Field(
        min_length=2, max_length=POSTINGS_MAX, description="[account, minutes] of each account."
    )
    given: list[Annotated[tuple[AccountId, Minutes], Field(strict=False)]] | None = Field(
        default=None, min_length=1, max_length=POSTINGS_MAX, description="[account, minutes] of time given."
    )


class Session(Model):
    """Who attends and pays, who leads and earns; the pot takes or bears the difference."""

    attendees: list[Annotated[tuple[AccountId, Minutes], Field(strict=False)]] = Field(
        default=[], max_length=POSTINGS_MAX, description="[account, minutes] of those who pay for their own time."
    )
    sharing: list[AccountId] = Field(
        default=[],
        max_length=POSTINGS_MAX,
        description="Accounts that share a cost: split to the minute, in order of id.",
    )
    shared_minutes: Minutes | None = Field(default=None, description="What they share.", examples=[60])
    leaders: list[Annotated[tuple[AccountId, Minutes], Field(strict=False)]] = Field(
        min_length=1, max_length=POSTINGS_MAX, description="[account, minutes] of time given."
    )


class NewSession(_Said):
    """A group session: ask with `dry_run=true` first, and the answer shows the split."""

    session: Session


def _transfer_tag(value: Any) -> str:
    if isinstance(value, dict):
        return "group" if "postings" in value else "session" if "session" in value else "single"
    return "group" if isinstance(value, NewGroup) else "session" if isinstance(value, NewSession) else "single"


AnyNewTransfer = Annotated[
    Annotated[NewTransfer, Tag("single")] | Annotated[NewGroup, Tag("group")] | Annotated[NewSession, Tag("session")],
    Discriminator(_transfer_tag),
]
TAGS = frozenset({"here", "there", "scanned", "single", "group", "session"})
"""Names of alternatives: they are no part of a field's name."""


class NewReversal(Model):
    reason: ReversalReason = Field(description="Why it is taken back.", examples=["mistake"])
    minutes: Minutes | None = Field(
        default=None, description="How many of the minutes credited; by default all that is left.", examples=[30]
    )


class NewAccount(Model):
    account: AccountId
    kind: OpenedKind = Field(
        description="What it is; a town has one pot, grant, opening and lost.", examples=["member"]
    )
    floor: FloorMinutes | None = None
    """By default the town's."""
    ceiling: CeilingMinutes | None = None
    """By default the town's."""
    owner: AccountId | None = Field(
        default=None, description="The organisation that runs a programme.", examples=["library"]
    )


class NewLimits(Model):
    floor: FloorMinutes
    ceiling: CeilingMinutes


class NewState(Model):
    state: Literal["open", "frozen", "closed"] = Field(
        description="frozen: nothing leaves it; closed: for good, at balance 0 or with a taker.", examples=["frozen"]
    )
    taker: AccountId | None = Field(
        default=None,
        description="closed: who gets what is left, the pot or an account; the pot bears what a leaver owes.",
        examples=["pot"],
    )


class NewAlias(Model):
    audience: PeerId | None = None
    """The one town that may use it; none: anybody who has it."""


class NewThaw(Model):
    reason: str = Field(
        pattern=r"^[a-z_]{1,40}$",
        description="Why the stream goes on, in the operator's code.",
        examples=["node_mended"],
    )


class NewPeerPolicy(Model):
    """The whole of this town's own policy about a peer."""

    suspended: bool = Field(
        description="Nothing new is sent to it, and what it sends is rejected; its decisions count.", examples=[False]
    )
    own_limit: CeilingMinutes | None = Field(
        default=None, description="What both may owe each other, where lower than the network's; none: the network's."
    )


class NewPolicy(Model):
    default_floor: FloorMinutes
    default_ceiling: CeilingMinutes
    debt_limit: LimitMinutes
    """What the town may owe all its peers together."""
    claim_tolerance_percent: int = Field(
        default=0, ge=0, le=100, description="How far above a claim it may be confirmed.", examples=[10]
    )
    claim_expires_after_days: int = Field(
        default=60, ge=1, le=366, description="Until when a claim may be confirmed.", examples=[60]
    )
    auto_confirm_after_days: int = Field(
        default=0, ge=0, le=366, description="When the rule confirms a claim from an agreed booking; 0: never."
    )
    leaver_after_days: int = Field(
        default=30, ge=1, le=366, description="When a leaver's remainder goes to the pot, or is borne by it."
    )
