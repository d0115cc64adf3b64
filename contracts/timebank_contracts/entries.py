"""Entries: the facts of a journal. One class per type, decoded strictly, encoded canonically.

An entry says `n` (position from 0), `time`, `type`, `by` (who acted), `data`, and where they apply `postings`
([[account, minutes]…], sum 0), `key` and `command` (the client's idempotency key and what it asked, both hashed),
`in` (the peer's message that caused it, verbatim) and `out` (the message it sends, verbatim).
Source: design page 3, "Entries"; PROTOCOL.md E1 to E4.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from timebank_contracts import canonical
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import (
    AccountId,
    Activity,
    ActorId,
    ActorKind,
    Alias,
    Ceiling,
    CommandKey,
    ConfirmedBy,
    Day,
    Digest,
    Floor,
    Generation,
    Hash,
    JournalPosition,
    Minutes,
    Network,
    Node,
    OpenedKind,
    PeerState,
    PostedMinutes,
    Purpose,
    RawKey,
    RejectionReason,
    ReversalReason,
    StreamPosition,
    Time,
    TransferId,
    Version,
)

POSTINGS_MAX: Final = 256
Postings = Annotated[list[tuple[AccountId, PostedMinutes]], Meta(min_length=2, max_length=POSTINGS_MAX)]
Shares = Annotated[list[tuple[AccountId, Minutes]], Meta(min_length=1, max_length=POSTINGS_MAX)]


class _Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of every `data` object."""


class Actor(_Data, frozen=True):
    """Who acted: a kind, an opaque id, and the mandate under which they acted for somebody else."""

    kind: ActorKind
    id: ActorId | UnsetType = UNSET
    mandate: ActorId | UnsetType = UNSET


class Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    gc=False,
):
    """What every entry carries."""

    n: JournalPosition
    time: Time
    by: Actor
    postings: Postings | UnsetType = UNSET
    key: CommandKey | UnsetType = UNSET
    command: Digest | UnsetType = UNSET
    in_: Raw | UnsetType = msgspec.field(name="in", default=UNSET)
    out: Raw | UnsetType = UNSET


class Opened(_Data, frozen=True):
    network: Network
    node: Node
    generation: Generation
    rules: Version
    """Version of the rules by which `apply` judges this journal."""


class Policy(_Data, frozen=True):
    default_floor: Floor
    default_ceiling: Ceiling
    debt_limit: Ceiling
    """Minutes that the town may owe all its peers together."""


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


class SegmentAccepted(_Data, frozen=True):
    envelope: Raw
    """The DSSE envelope, verbatim; the messages follow as the `in` of the next entries."""


class AccountOpened(_Data, frozen=True):
    account: AccountId
    kind: OpenedKind
    floor: Floor
    ceiling: Ceiling


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


class SentTo(_Data, frozen=True):
    peer: Node


class Settled(_Data, frozen=True):
    transfer: TransferId


class Returned(_Data, frozen=True):
    transfer: TransferId
    reason: RejectionReason


class Reversed(_Data, frozen=True):
    transfer: TransferId
    reason: ReversalReason


class NodeOpened(Entry, frozen=True, kw_only=True, tag="node.opened"):
    data: Opened


class PolicyChanged(Entry, frozen=True, kw_only=True, tag="policy.changed"):
    data: Policy


class RegistryAcceptedEntry(Entry, frozen=True, kw_only=True, tag="registry.accepted"):
    data: RegistryAccepted


class PeerChanged(Entry, frozen=True, kw_only=True, tag="peer.changed"):
    data: Peer


class PeerFrozen(Entry, frozen=True, kw_only=True, tag="peer.frozen"):
    data: Frozen


class PeerThawed(Entry, frozen=True, kw_only=True, tag="peer.thawed"):
    data: Thawed


class SegmentAcceptedEntry(Entry, frozen=True, kw_only=True, tag="segment.accepted"):
    data: SegmentAccepted


class AccountOpenedEntry(Entry, frozen=True, kw_only=True, tag="account.opened"):
    data: AccountOpened


class AccountChangedEntry(Entry, frozen=True, kw_only=True, tag="account.changed"):
    data: AccountChanged


class AccountFrozen(Entry, frozen=True, kw_only=True, tag="account.frozen"):
    data: AccountNamed


class AccountUnfrozen(Entry, frozen=True, kw_only=True, tag="account.unfrozen"):
    data: AccountNamed


class AccountClosed(Entry, frozen=True, kw_only=True, tag="account.closed"):
    data: AccountNamed


class AliasIssuedEntry(Entry, frozen=True, kw_only=True, tag="account.alias_issued"):
    data: AliasIssued


class AliasRevokedEntry(Entry, frozen=True, kw_only=True, tag="account.alias_revoked"):
    data: AliasRevoked


class TransferPosted(Entry, frozen=True, kw_only=True, tag="transfer.posted"):
    data: Posted


class TransferSent(Entry, frozen=True, kw_only=True, tag="transfer.sent"):
    data: SentTo


class TransferSettled(Entry, frozen=True, kw_only=True, tag="transfer.settled"):
    data: Settled


class TransferReturned(Entry, frozen=True, kw_only=True, tag="transfer.returned"):
    data: Returned


class TransferReceived(Entry, frozen=True, kw_only=True, tag="transfer.received"):
    data: Settled


class TransferRejected(Entry, frozen=True, kw_only=True, tag="transfer.rejected"):
    data: Returned


class TransferReversed(Entry, frozen=True, kw_only=True, tag="transfer.reversed"):
    data: Reversed


AnyEntry = (
    NodeOpened
    | PolicyChanged
    | RegistryAcceptedEntry
    | PeerChanged
    | PeerFrozen
    | PeerThawed
    | SegmentAcceptedEntry
    | AccountOpenedEntry
    | AccountChangedEntry
    | AccountFrozen
    | AccountUnfrozen
    | AccountClosed
    | AliasIssuedEntry
    | AliasRevokedEntry
    | TransferPosted
    | TransferSent
    | TransferSettled
    | TransferReturned
    | TransferReceived
    | TransferRejected
    | TransferReversed
)

_decoder: Final[msgspec.json.Decoder[AnyEntry]] = msgspec.json.Decoder(AnyEntry)
_TAG: Final[dict[type, str]] = {kind: str(kind.__struct_config__.tag) for kind in AnyEntry.__args__}
ENTRY_TYPES: Final = frozenset(_TAG.values())


class UnknownEntryType(Malformed):
    """A type that this version of the rules does not know; nothing can be said of the entry (audit: A06)."""


class _TypeOnly(msgspec.Struct):
    type: str


_type_decoder: Final = msgspec.json.Decoder(_TypeOnly)


def entry_type(entry: Entry) -> str:
    """`transfer.posted`, …: the type under which the entry is stored and sent."""
    return _TAG[type(entry)]


def encode_entry(entry: Entry) -> bytes:
    """Canonical bytes of an entry.

    Raises:
        Malformed: more than 65,535 bytes, or a string that needs an escape.
    """
    raw = canonical.encode(entry)
    if b"\\" in raw:
        raise Malformed("No string of an entry has a quotation mark, backslash or control character.")
    if len(raw) > canonical.ENTRY_BYTES_MAX:
        raise Malformed(f"An entry has at most {canonical.ENTRY_BYTES_MAX} bytes, this one {len(raw)}.")
    return raw


def decode_entry(raw: bytes) -> AnyEntry:
    """The entry in canonical bytes.

    Raises:
        UnknownEntryType: JSON of a type that this version does not know.
        Malformed: anything else that is not an entry in canonical form.
    """
    try:
        return canonical.decode(raw, _decoder)
    except Malformed as error:
        try:
            found = _type_decoder.decode(raw).type
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise error from None
        if found in ENTRY_TYPES:
            raise
        raise UnknownEntryType(f"Entry type {found[:60]!r} is not known to these rules.") from error
