"""What entries say: one class per kind of `data`, and who acted.

Source: design page 3, "Entries"; PROTOCOL.md E1 to E3.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from timebank_contracts.fields import (
    AccountId,
    Activity,
    ActorId,
    ActorKind,
    Alias,
    Ceiling,
    ClaimDays,
    ClaimRefusal,
    ConfirmedBy,
    Currency,
    Day,
    DaysOrNever,
    DisputeReason,
    Floor,
    Generation,
    Hash,
    JournalPosition,
    MinorUnits,
    Minutes,
    MoneyKind,
    Network,
    Node,
    OpenedKind,
    PeerState,
    Percent,
    PostedMinutes,
    Purpose,
    RawKey,
    ReturnReason,
    ReversalReason,
    SettledBy,
    StreamPosition,
    SupportReason,
    ThanksSide,
    TransferId,
    Version,
)

POSTINGS_MAX: Final = 256
Postings = Annotated[list[tuple[AccountId, PostedMinutes]], Meta(min_length=2, max_length=POSTINGS_MAX)]
Shares = Annotated[list[tuple[AccountId, Minutes]], Meta(min_length=1, max_length=POSTINGS_MAX)]


ProtocolVersion = Annotated[int, Meta(ge=1, le=1000)]


class _Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of every `data` object."""


class Actor(_Data, frozen=True):
    """Who acted: a kind, an opaque id, and the mandate under which they acted for somebody else."""

    kind: ActorKind
    id: ActorId | UnsetType = UNSET
    mandate: ActorId | UnsetType = UNSET


class Previous(_Data, frozen=True):
    """The generation that a returning node goes on from."""

    generation: Generation
    size: JournalPosition
    """Entries of its journal that were restored; 0: none."""
    root: Hash
    """Of the tree over them."""
    registry: Version
    """The version that closed it and names the new one."""
    event_keys: Annotated[list[RawKey], Meta(max_length=16)]
    """All that the registry ever gave it: what its lost segments are signed with."""


class Opened(_Data, frozen=True):
    network: Network
    node: Node
    generation: Generation
    rules: Version
    """Version of the rules by which `apply` judges this journal."""
    previous: Previous | UnsetType = UNSET
    """Where state was lost: what the journal goes on from."""


class Policy(_Data, frozen=True):
    default_floor: Floor
    default_ceiling: Ceiling
    debt_limit: Ceiling
    """Minutes that the town may owe all its peers together."""
    claim_tolerance_percent: Percent = 0
    """By how much a claim may be confirmed above what was claimed."""
    claim_expires_after_days: ClaimDays = 60
    auto_confirm_after_days: DaysOrNever = 0
    """After how many days the rule confirms a claim from an agreed booking; 0: never."""
    leaver_after_days: ClaimDays = 30
    """After how many days a closing account's remainder goes to the pot, or is borne by it."""


class RegistryAccepted(_Data, frozen=True):
    version: Version
    sha256: Hash


class Peer(_Data, frozen=True):
    """A peer as the registry in force says and this node limits it; limits in minutes."""

    peer: Node
    generation: Generation
    state: PeerState
    owe_limit: Ceiling
    """Minutes that we may owe the peer."""
    owed_limit: Ceiling
    """Minutes that the peer may owe us."""
    event_keys: Annotated[list[RawKey], Meta(max_length=4)]
    own_limit: Ceiling | UnsetType = UNSET
    """The limit that this node sets or agreed itself; absent: the network's."""
    suspended_here: bool = False
    """This node's own operator suspended the peer."""
    protocols: Annotated[list[ProtocolVersion], Meta(min_length=1, max_length=8)] | UnsetType = UNSET
    """Protocol versions that the peer speaks, as the registry lists them; absent: 1 alone."""


class Frozen(_Data, frozen=True):
    """The stream from `peer` stops at `position`: a validly signed message there breaks the contract."""

    peer: Node
    generation: Generation
    position: StreamPosition
    code: str
    segment_sha256: Hash


class Thawed(_Data, frozen=True):
    peer: Node
    reason: Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")]


class GenerationClosed(_Data, frozen=True):
    """Messages of this generation of `peer` up to `last_in` happened; above it none ever will."""

    peer: Node
    generation: Generation
    last_in: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    chain: Hash


class SegmentAccepted(_Data, frozen=True):
    envelope: Raw
    """The DSSE envelope, verbatim; the messages follow as the `in` of the next entries."""


class SegmentRecovered(_Data, frozen=True):
    """A segment of this node's previous generation, which a peer kept; its lost messages follow as `in`."""

    peer: Node
    envelope: Raw


class MessageRecovered(_Data, frozen=True):
    """A message that this node once sent to `peer`, and lost."""

    peer: Node
    account: AccountId | UnsetType = UNSET
    """The giver of a claim, where the address that it named is still known."""


class StreamRecovered(_Data, frozen=True):
    """The peer's word how far it applied the stream of this node's previous generation, for ever."""

    peer: Node
    envelope: Raw


class MessageRepeated(_Data, frozen=True):
    """What was restored and `peer` never applied is said again, in this generation's stream."""

    peer: Node
    position: JournalPosition
    """Of the entry that said it first."""


class AccountOpened(_Data, frozen=True):
    account: AccountId
    kind: OpenedKind
    floor: Floor
    ceiling: Ceiling
    owner: AccountId | UnsetType = UNSET
    """The organisation that runs a programme."""


class AccountChanged(_Data, frozen=True):
    account: AccountId
    floor: Floor
    ceiling: Ceiling


class AccountNamed(_Data, frozen=True):
    account: AccountId


class AliasIssued(_Data, frozen=True):
    account: AccountId
    alias: Alias
    audience: Node | UnsetType = UNSET
    """The one peer that may use it; absent: public (a QR code)."""


class AliasRevoked(_Data, frozen=True):
    alias: Alias


class Posted(_Data, frozen=True):
    purpose: Purpose
    confirmed_by: ConfirmedBy
    activity: Activity | UnsetType = UNSET
    served_on: Day | UnsetType = UNSET
    given: Shares | UnsetType = UNSET
    """Minutes of time given, per giver, where they differ from the minutes credited (a group session)."""
    programme: AccountId | UnsetType = UNSET
    """The programme that it belongs to, whoever pays."""
    claim: TransferId | UnsetType = UNSET
    """The claim that it confirms."""
    reason: SupportReason | UnsetType = UNSET


class SentTo(_Data, frozen=True):
    peer: Node
    confirmed_by: ConfirmedBy | UnsetType = UNSET
    programme: AccountId | UnsetType = UNSET
    """Kept here: neither leaves the town."""
    claim: TransferId | UnsetType = UNSET
    """The claim from the peer that it confirms."""
    original: JournalPosition | UnsetType = UNSET
    """A refund's: of the entry that received what is given back."""


class Settled(_Data, frozen=True):
    transfer: TransferId


class Returned(_Data, frozen=True):
    transfer: TransferId
    reason: ReturnReason
    registry: Version | UnsetType = UNSET
    """The version that closed the other town; absent: that town rejected the transfer."""


class Reversed(_Data, frozen=True):
    transfer: TransferId
    reason: ReversalReason
    minutes: Minutes | UnsetType = UNSET
    """What is taken back of the minutes that were credited; absent: all that is left."""


class ClaimMade(_Data, frozen=True):
    """I gave you m minutes. Both accounts are of this town."""

    giver: AccountId
    receiver: AccountId
    minutes: Minutes
    activity: Activity
    served_on: Day
    given_minutes: Minutes | UnsetType = UNSET
    programme: AccountId | UnsetType = UNSET
    agreed_minutes: Minutes | UnsetType = UNSET
    """What both had agreed in a booking: the most that the rule may confirm by itself."""


class ClaimSent(_Data, frozen=True):
    """A claim on somebody in another town; its message says the rest."""

    giver: AccountId
    peer: Node
    programme: AccountId | UnsetType = UNSET


class ClaimPut(_Data, frozen=True):
    """A peer's claim, put to the account of the address that it names."""

    claim: TransferId
    account: AccountId


class ClaimNamed(_Data, frozen=True):
    claim: TransferId


class ClaimRefused(_Data, frozen=True):
    claim: TransferId
    reason: ClaimRefusal


class ClaimDisputed(_Data, frozen=True):
    claim: TransferId
    reason: DisputeReason | ClaimRefusal


class ThanksGiven(_Data, frozen=True):
    """Thanks for a transfer: by one side of it here, or from the peer."""

    transfer: TransferId
    side: ThanksSide
    position: JournalPosition | UnsetType = UNSET
    """Of the entry that began the transfer here; absent for a peer's thanks."""


class MoneyRecorded(_Data, frozen=True):
    """Money that was settled elsewhere, about a transfer or a programme: seen beside the hours, never posted."""

    minor_units: MinorUnits
    currency: Currency
    kind: MoneyKind
    settled_by: SettledBy
    paid_on: Day
    transfer: TransferId | UnsetType = UNSET
    position: JournalPosition | UnsetType = UNSET
    """Of the entry that began the transfer here."""
    programme: AccountId | UnsetType = UNSET
    corrects: TransferId | UnsetType = UNSET
    """The record that this one, of the opposite sign, takes back."""
