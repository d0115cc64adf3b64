"""HTTP models of webhooks: what the ledger's API takes and answers there, and the hint that a receiver gets.

Source: design page 3, "HTTP API"; standardwebhooks.com.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from timebank_contracts.entries import ENTRY_TYPES
from timebank_contracts.http import AccountId, Count, Model, Moment, Position
from timebank_contracts.http_feed import EventId, EventType

ACCOUNTS_MAX = 1_000
TYPES_MAX = 64
URL_CHARACTERS_MAX = 1_000
OVERLAP_SECONDS_MAX = 7 * 86_400


def _known_type(name: str) -> str:
    if name not in ENTRY_TYPES:
        raise ValueError("no event is of this type")
    return name


WebhookId = Annotated[str, Field(pattern="^wh-[0-9a-f]{32}$", examples=["wh-5d41402abc4b2a76b9719d911017c592"])]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URL_CHARACTERS_MAX,
        description="Where hints are sent: https, a public name or address, port 443 or one from 1024.",
        examples=["https://hooks.example.org/timebank"],
    ),
]
Secret = Annotated[
    str,
    Field(
        description="The signing secret. It is said once: when it is made.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    ),
]


class NewWebhook(Model):
    """A subscription."""

    url: Url
    accounts: list[AccountId] | None = Field(
        default=None,
        min_length=1,
        max_length=ACCOUNTS_MAX,
        description="Whose events; by default those of all accounts that the client was granted when it asked.",
    )
    types: list[Annotated[EventType, AfterValidator(_known_type)]] | None = Field(
        default=None, min_length=1, max_length=TYPES_MAX, description="Which types of events; by default all."
    )


class NewSecret(Model):
    """A change of secret."""

    overlap_seconds: int = Field(
        default=86_400,
        ge=0,
        le=OVERLAP_SECONDS_MAX,
        description="For how long both secrets sign, so that the receiver can change in its own time.",
    )


class Webhook(Model):
    """A subscription as it stands."""

    id: WebhookId
    url: Url
    accounts: list[AccountId] | None = Field(description="None: the whole town.")
    types: list[EventType] | None = Field(description="None: all.")
    state: Literal["active", "failing", "gone"] = Field(
        description="failing: the last attempt was in vain; gone: the receiver answered 410. Nothing is sent until it "
        "is enabled again, from where it stopped."
    )
    failure: str | None = Field(description="Why the last attempt was in vain.", examples=["status_500", "timeout"])
    position: Position
    """Events from this position of the journal on are still to be sent."""
    failures: Count
    """Attempts in vain for the event that is sent now."""
    next_attempt_at: Moment | None = Field(default=None, description="When it is tried again, after a failure.")
    old_secret_until: Moment | None = Field(default=None, description="Until when the secret before signs too.")
    made_at: Moment


class WebhookMade(Webhook):
    """A subscription with its secret; the secret is missing in a dry run and where the answer is repeated."""

    secret: Secret | None = None


class Webhooks(Model):
    """A page, in order of id."""

    webhooks: list[Webhook]
    next: WebhookId | None = None


class WebhookDelivery(Model):
    """One attempt to send a hint."""

    delivery: int = Field(ge=1, description="Its number in the log of this webhook.", examples=[17])
    event: EventId
    type: EventType
    position: Position
    at: Moment
    outcome: Literal["delivered", "failed", "waiting"]
    attempt: Count
    """How many attempts there were for this event, with this one."""
    by_hand: bool = Field(description="It was sent again because somebody asked for it.")
    status: int | None = Field(default=None, description="What the receiver answered.", examples=[500])
    failure: str | None = Field(default=None, description="Why it was in vain.", examples=["status_500", "timeout"])


class WebhookDeliveries(Model):
    """A page of the log, the newest first; the log keeps the last 500."""

    deliveries: list[WebhookDelivery]
    before: int | None = Field(description="Hand it in as `before` to go on; none: there are no older ones.")


class HintData(Model):
    event: EventId
    position: Position


class Hint(Model):
    """What a receiver gets. It says that something happened, and where to read it: `GET /v1/events`."""

    type: EventType
    timestamp: Moment
    data: HintData
