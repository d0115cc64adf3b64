"""What the town answers, as small immutable objects. Quantities in minutes; unknown fields are ignored.

The names are those of the API's document, so a field is looked up there.
"""

from __future__ import annotations

from datetime import date as Day
from datetime import datetime

from msgspec import Struct


class Account(Struct, frozen=True, kw_only=True):
    """An account of the town. `balance` above 0: the town owes the holder."""

    account: str
    kind: str
    state: str
    balance: int
    floor: int
    ceiling: int
    available: int | None = None
    """Minutes that it may pay out now."""
    in_transit: int = 0
    """Minutes sent to other towns that are not decided yet."""
    owner: str | None = None
    """The organisation that runs a programme."""


class Balance(Struct, frozen=True, kw_only=True):
    """A balance as the first `position` entries leave it."""

    account: str
    kind: str
    balance: int
    position: int
    date: Day | None = None
    time_zone: str = ""


class Transfer(Struct, frozen=True, kw_only=True):
    """A transfer. States posted, settled, returned, rejected and reversed are final."""

    id: str
    state: str
    minutes: int
    time: datetime
    position: int
    reason: str | None = None
    """Why it came back or was rejected."""
    postings: list[tuple[str, int]] | None = None
    """Of a group or reversal: [account, minutes] as it was split, of accounts that the client may see."""
    reversed_minutes: int | None = None
    claim: str | None = None
    """The claim that it confirmed."""
    refunds: str | None = None
    """The transfer that it gives back."""
    refunded_minutes: int | None = None
    """Given back to the town that it came from, or on their way."""
    thanked_by: list[str] | None = None
    """Which sides thanked: payer, payee."""

    @property
    def is_final(self) -> bool:
        """Whether nothing can change it any more, but a reversal."""
        return self.state not in ("sent", "received")


class Claim(Struct, frozen=True, kw_only=True):
    """A claim as it stands now: open, disputed, confirmed, withdrawn, expired, refused or reversed."""

    id: str
    state: str
    minutes: int
    activity: str
    served_on: Day
    made_at: datetime
    position: int
    giver: str | None = None
    """None: somebody in the other town."""
    receiver: str | None = None
    """None: somebody in the other town."""
    peer: str | None = None
    """The other town, of a claim across towns."""
    disputed: bool = False
    """A broker is asked to decide."""
    given_minutes: int | None = None
    agreed_minutes: int | None = None
    programme: str | None = None
    expires_at: datetime | None = None
    transfer: str | None = None
    """What confirmed it."""


class Thanks(Struct, frozen=True, kw_only=True):
    """Thanks of one side for a transfer; they move no minutes."""

    transfer: str
    side: str
    time: datetime
    position: int


class Money(Struct, frozen=True, kw_only=True):
    """A record of money that was settled elsewhere; 1250 minor units of GBP are £12.50."""

    id: str
    minor_units: int
    currency: str
    kind: str
    settled_by: str
    paid_on: Day
    time: datetime
    position: int
    transfer: str | None = None
    programme: str | None = None
    corrects: str | None = None


class StatementLine(Struct, frozen=True, kw_only=True):
    """What one entry did to an account."""

    position: int
    time: datetime
    type: str
    minutes: int
    """Credited (above 0) or paid (below 0)."""
    balance: int | None = None
    """After this entry."""
    date: Day | None = None
    """The day in the town's time zone."""
    transfer: str | None = None
    reverses: str | None = None
    reason: str | None = None
    purpose: str | None = None
    activity: str | None = None
    served_on: Day | None = None


class StatementPage(Struct, frozen=True, kw_only=True):
    """A part of a statement that adds up by itself: opening + lines = closing."""

    account: str
    from_position: int
    to_position: int
    opening: int
    lines: list[StatementLine]
    closing: int
    more: bool = False
    next: str | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened. `position` is the cursor with which reading goes on behind it."""

    id: str
    position: int
    time: datetime
    type: str
    transfer: str | None = None
    claim: str | None = None
    accounts: list[EventAccount] = []


class EventAccount(Struct, frozen=True, kw_only=True):
    """What an event did to an account that the reader may see; 0: no minutes moved."""

    account: str
    minutes: int = 0


class EventPage(Struct, frozen=True, kw_only=True):
    """Events in order. A page may be empty and yet have `more`: go on from `after`."""

    events: list[Event]
    after: int
    more: bool = False


class Webhook(Struct, frozen=True, kw_only=True):
    """A subscription. States: active; failing and gone (410), in which nothing is sent until it is enabled."""

    id: str
    url: str
    state: str
    position: int
    """Events from this position on are still to be sent."""
    failures: int
    made_at: datetime
    accounts: list[str] | None = None
    types: list[str] | None = None
    failure: str | None = None
    """Why the last attempt was in vain."""
    next_attempt_at: datetime | None = None
    old_secret_until: datetime | None = None
    secret: str | None = None
    """For `verify_webhook`; said once, where it is made."""

    def __repr__(self) -> str:
        return f"Webhook(id={self.id!r}, url={self.url!r}, state={self.state!r}, …)"


class WebhookDelivery(Struct, frozen=True, kw_only=True):
    """One attempt to send a hint."""

    delivery: int
    event: str
    type: str
    position: int
    at: datetime
    outcome: str
    """delivered, failed or waiting."""
    attempt: int
    by_hand: bool = False
    status: int | None = None
    failure: str | None = None


class KindRow(Struct, frozen=True, kw_only=True):
    """The accounts of one kind."""

    kind: str
    accounts: int
    credit: int
    debit: int


class TrialBalance(Struct, frozen=True, kw_only=True):
    """Every account of the town by kind; `total` is 0."""

    entries: int
    time: str
    rows: list[KindRow]
    credit: int
    debit: int
    total: int


class Policy(Struct, frozen=True, kw_only=True):
    """The town's rules, as they are in force."""

    default_floor: int
    default_ceiling: int
    debt_limit: int
    """What the town may owe all others together."""
    claim_tolerance_percent: int = 0
    """How far above a claim it may be confirmed."""
    claim_expires_after_days: int = 0
    auto_confirm_after_days: int = 0
    """0: never."""
    leaver_after_days: int = 0


class Payee(Struct, frozen=True, kw_only=True):
    """Somebody who can be paid: an account of this town, or a receiving address in another."""

    node: str
    account: str | None = None
    alias: str | None = None


class Alias(Struct, frozen=True, kw_only=True):
    """A receiving address: who has it can pay the account without knowing whose it is."""

    alias: str
    account: str
    audience: str | None = None
    address: str | None = None
    """The same for anybody, as one text: what its QR code says."""
