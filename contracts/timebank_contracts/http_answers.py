"""HTTP models: what the ledger's API answers. The fields are those of `http.py`.

Source: design page 3, "HTTP API"; RFC 9457 for `Problem`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from timebank_contracts.fields import AccountKind
from timebank_contracts.http import (
    BATCH_MAX,
    AccountId,
    AliasId,
    BalanceMinutes,
    Count,
    Generation,
    Hash,
    LimitMinutes,
    Minutes,
    Model,
    Moment,
    NewPolicy,
    PaymentAddress,
    PeerId,
    Position,
    PostedMinutes,
    TransferId,
)
from timebank_contracts.rules_accounts import ALIASES_MAX

Cursor = Annotated[
    str, Field(max_length=200, description="Where the page ended; opaque.", examples=["bGlzdEFjY291bnRzIGJyeW4"])
]
AccountState = Literal["open", "frozen", "closing", "closed"]
TransferState = Literal["posted", "sent", "settled", "returned", "received", "rejected", "reversed"]


class Transfer(Model):
    """A transfer as the town's journal knows it."""

    id: TransferId
    state: TransferState = Field(description="posted, settled, returned, rejected and reversed are final here.")
    minutes: Minutes
    position: Position
    """Journal position of the entry that began it here."""
    time: Moment
    reason: str | None = Field(default=None, description="Why it came back or was rejected.", examples=["expired"])
    postings: list[Annotated[tuple[AccountId, PostedMinutes], Field(strict=False)]] | None = Field(
        default=None,
        description="Of a group, and of a reversal: [account, minutes] as it was split, of accounts that you may see.",
    )
    claim: TransferId | None = None
    """The claim that it confirmed."""
    refunds: TransferId | None = None
    """The transfer that it gives back."""
    refunded_minutes: int | None = Field(
        default=None, ge=1, description="Given back to the town that it came from, or on their way.", examples=[30]
    )
    thanked_by: list[Literal["payer", "payee"]] | None = Field(
        default=None, description="Which sides thanked for it.", examples=[["payer"]]
    )
    reversed_minutes: int | None = Field(
        default=None, ge=1, description="How many of the minutes were taken back.", examples=[30]
    )


class FieldError(Model):
    field: str = Field(description="The field's path.", examples=["payee.alias"])
    code: str = Field(description="A stable code.", examples=["amount_out_of_range"])
    detail: str = Field(description="What was expected.", examples=["Input should be a valid integer"])


class Problem(Model):
    """RFC 9457."""

    type: str = Field(examples=["urn:timebank:problem:floor"])
    title: str = Field(description="What the code means and what to do.")
    status: int = Field(ge=400, le=599, examples=[409])
    detail: str = Field(description="What it means in this case.")
    code: str = Field(description="A stable code: decide by this, not by a text.", examples=["floor"])
    errors: list[FieldError] | None = None


class BatchAnswer(Model):
    """The answer to one command of a batch: a transfer or a problem."""

    status: int = Field(ge=200, le=599, examples=[201])
    transfer: Transfer | None = None
    problem: Problem | None = None


class BatchAnswers(Model):
    """In the order of the commands."""

    answers: list[BatchAnswer] = Field(max_length=BATCH_MAX)


class Account(Model):
    """All quantities in minutes."""

    account: AccountId
    kind: AccountKind
    state: AccountState
    balance: BalanceMinutes
    in_transit: Count
    """Minutes sent to other towns and not yet decided."""
    floor: int = Field(description="The lowest balance that a payment may leave, in minutes.", examples=[-600])
    ceiling: int = Field(description="The highest balance that a credit may reach, in minutes.", examples=[6000])
    available: int = Field(
        ge=0,
        description="Minutes that it may pay out now. Of a programme this is the two-way rule: it may pay out so many "
        "more, or as much as it takes in.",
        examples=[720],
    )
    owner: AccountId | None = Field(
        default=None, description="The organisation that runs a programme.", examples=["library"]
    )


class Accounts(Model):
    """A page, in order of account id; `next` is the cursor of the following page, if there is one."""

    accounts: list[Account]
    next: Cursor | None = None


class Alias(Model):
    alias: AliasId
    account: AccountId
    audience: PeerId | None = None
    address: PaymentAddress | None = None
    """The same for anybody, as one text: what its QR code says."""


class Aliases(Model):
    """Receiving addresses of one account, in order."""

    aliases: list[Alias] = Field(max_length=ALIASES_MAX)


class PositionRow(Model):
    """Where the town stands with one peer; quantities in minutes."""

    peer: PeerId
    generation: Generation
    state: Literal["open", "suspended", "closed"]
    frozen: bool
    clearing: int = Field(description="Above 0: we owe the peer.", examples=[120])
    transit: Count
    """Sent and not yet decided."""
    debt: int = Field(description="Clearing and transit together.", examples=[210])
    owe_limit: LimitMinutes
    owed_limit: LimitMinutes
    open_transfers: Count
    oldest_age_seconds: int | None = Field(description="Age of the oldest open transfer.", examples=[3])
    own_limit: int | None = Field(description="This town's own limit; none: the network's.", examples=[3000])
    suspended_here: bool = Field(description="By this town's own operator.")
    warning: bool = Field(description="Four fifths of a limit with this peer are used.")


class Positions(Model):
    node: PeerId
    rows: list[PositionRow]
    debt: Count = Field(description="What this town owes all peers, transfers under way included.")
    debt_limit: LimitMinutes
    warning: bool = Field(description="Four fifths of some limit are used, the total's or one with a peer.")


class PeerPolicy(Model):
    """What counts about a peer from now on; quantities in minutes."""

    peer: PeerId
    state: Literal["open", "suspended", "closed"]
    owe_limit: LimitMinutes
    owed_limit: LimitMinutes
    own_limit: int | None = Field(description="This town's own limit; none: the network's.", examples=[3000])
    suspended: bool = Field(description="By this town's own operator.")


class Limits(Model):
    """Of an account, in minutes; edited as one."""

    account: AccountId
    floor: int = Field(description="The lowest balance that a payment may leave.", examples=[-600])
    ceiling: int = Field(description="The highest balance that a credit may reach.", examples=[6000])


class State(Model):
    """Of an account; edited as one."""

    account: AccountId
    state: AccountState


class Policy(NewPolicy):
    """In force; edited as one."""


class RegistryHeld(Model):
    version: int = Field(ge=0, description="0: none yet.", examples=[3])
    sha256: str = Field(description="Of its payload, hex; empty for none.")


class SegmentAnswer(Model):
    """What became of a segment."""

    outcome: Literal["fresh", "duplicate", "gap", "stops", "frozen", "unsigned", "refused", "recovered"]
    high: Count
    """The sender's stream is applied up to this position; recovered: our own old stream is known so far."""
    position: int | None = Field(default=None, description="stops, frozen: the first message that was not taken.")
    code: str | None = Field(default=None, description="frozen, unsigned, refused: a stable code.")
    detail: str | None = None
    heard: Count
    """How far the sender says that it applied our stream."""


class IdentityHeld(Model):
    network: str = Field(examples=["timebank.wales"])
    node: PeerId
    generation: Generation


class Mark(Model):
    n: Count
    """Stream position."""
    chain: Hash


class Ending(Model):
    """What was applied of a peer's stream when its generation was closed."""

    generation: Generation
    n: Count
    chain: str = Field(examples=["ab" * 32])


class Returning(Model):
    """What this node, having lost state, still puts back with a peer (PROTOCOL.md X8 to X12)."""

    generation: Generation
    """The previous one."""
    said: Count
    """Its last message to the peer that is known here."""
    stage: Literal["recovers", "repeats", "takes"]
    """What comes next: what is lost; what the peer never applied; the peer's stream, up to what was decided before."""


class Stream(Model):
    """Both streams with one peer; limits and debt in minutes."""

    peer: PeerId
    generation: Generation
    state: Literal["open", "suspended", "closed"]
    frozen: bool
    incoming: Mark
    outgoing: Mark
    heard: Count
    debt: int = Field(examples=[210])
    owe_limit: LimitMinutes
    owed_limit: LimitMinutes
    open_transfers: Count
    """Transfers sent to the peer that it has not decided."""
    endings: list[Ending] = Field(default=[])
    """Closed generations of the peer, and what was applied of their streams."""
    returning: Returning | None = None
    """What is still to be put back with the peer after this node lost state."""


class Thawed(Model):
    """The stream from a peer is applied again."""

    peer: PeerId
    frozen: Literal[False]


class Streams(Model):
    """As of one journal length: whoever follows the journal from `position` on misses nothing."""

    identity: IdentityHeld
    position: Position
    """Length of the journal that this was read at."""
    registry: RegistryHeld
    streams: list[Stream]


class Readiness(Model):
    state: Literal["ready", "stopped"]
    reason: str | None = Field(default=None, description="Why no command is taken, and what to do.")
    entries: Count
    trouble: list[str] = Field(
        default=[], description="What does not work although commands are taken, and what to do.", examples=[[]]
    )
