"""The bounded field types that entries, messages and statements are made of.

msgspec checks them while decoding, at the speed of C; the JSON Schemas in `contracts/schemas/` are generated from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from timebank_contracts import moments, names
from timebank_contracts.amounts import LIMIT_MAX, MINUTES_MAX
from timebank_contracts.canonical import INTEGER_MAX
from timebank_contracts.payment_address import ADDRESS_PATTERN

Minutes = Annotated[int, Meta(ge=1, le=MINUTES_MAX)]
PostedMinutes = Annotated[int, Meta(ge=-MINUTES_MAX, le=MINUTES_MAX)]
Floor = Annotated[int, Meta(ge=-LIMIT_MAX, le=0)]
Ceiling = Annotated[int, Meta(ge=0, le=LIMIT_MAX)]
JournalPosition = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
StreamPosition = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Version = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]

Network = Annotated[str, Meta(pattern=names.NETWORK_PATTERN)]
Node = Annotated[str, Meta(pattern=names.NODE_PATTERN)]
Generation = Annotated[str, Meta(pattern=names.GENERATION_PATTERN)]
AccountId = Annotated[str, Meta(pattern=names.ACCOUNT_PATTERN)]
Alias = Annotated[str, Meta(pattern=names.ALIAS_PATTERN)]
PaymentAddress = Annotated[str, Meta(pattern=ADDRESS_PATTERN)]
Hash = Annotated[str, Meta(pattern=names.HASH_PATTERN)]
PayerTag = Annotated[str, Meta(pattern=names.TAG_PATTERN)]
CommandKey = Annotated[str, Meta(pattern=names.KEY_PATTERN)]
TransferId = Annotated[str, Meta(pattern=names.TRANSFER_PATTERN)]
RawKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Time = Annotated[str, Meta(pattern=moments.TIME_PATTERN)]
Day = Annotated[str, Meta(pattern=moments.DATE_PATTERN)]
ActorId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]

Purpose = Literal["service", "gift", "pot", "support", "grant", "correction", "opening"]
CrossPurpose = Literal["service", "gift", "refund"]
Activity = Literal[
    "transport",
    "garden",
    "household",
    "repair",
    "shopping",
    "cooking",
    "companionship",
    "teaching",
    "language",
    "digital",
    "arts",
    "sport",
    "events",
    "admin",
    "design",
    "environment",
    "other",
]
"""Coarse on purpose: reveals no health, belief or orientation."""

ConfirmedBy = Literal["receiver", "broker", "delegate", "rule", "none"]
AccountKind = Literal["member", "organisation", "programme", "pot", "clearing", "transit", "grant", "opening", "lost"]
OpenedKind = Literal["member", "organisation", "programme", "pot", "grant", "opening", "lost"]
ActorKind = Literal["member", "broker", "delegate", "partner", "operator", "peer", "rule"]
PeerState = Literal["open", "suspended", "closed"]
ReversalReason = Literal["mistake", "not_given", "duplicate", "other"]
SupportReason = Literal["welcome", "hardship", "cover", "event", "other"]
"""Why the pot, the issuer or a correction gives; coarse on purpose."""
DisputeReason = Literal["not_given", "other_minutes", "other_day", "duplicate", "other"]
ClaimRefusal = Literal["alias_unknown", "account_closed", "claim_limit", "expired"]
"""Why a claim from another town cannot be put to its receiver."""
ThanksSide = Literal["payer", "payee"]
MoneyKind = Literal["grant", "fee", "donation", "materials", "travel", "pay", "other"]
SettledBy = Literal["cash", "bank", "card", "voucher", "other"]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""
MinorUnits = Annotated[int, Meta(ge=-1_000_000_000_000, le=1_000_000_000_000)]
"""Pence, cents: the smallest coin of the currency."""
Percent = Annotated[int, Meta(ge=0, le=100)]
ClaimDays = Annotated[int, Meta(ge=1, le=366)]
DaysOrNever = Annotated[int, Meta(ge=0, le=366)]
RejectionReason = Literal[
    "alias_unknown",
    "account_closed",
    "ceiling_exceeded",
    "expired",
    "pair_limit_exceeded",
    "peer_suspended",
    "claim_withdrawn",
]
ReturnReason = Literal[
    "alias_unknown",
    "account_closed",
    "ceiling_exceeded",
    "expired",
    "pair_limit_exceeded",
    "peer_suspended",
    "claim_withdrawn",
    "peer_closed",
]
"""Why a transfer came back: the other town rejected it, or was closed for ever."""
