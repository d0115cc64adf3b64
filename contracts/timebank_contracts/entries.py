"""Entries: the facts of a journal. One class per type, decoded strictly, encoded canonically.

An entry says `n` (position from 0), `time`, `type`, `by` (who acted), `data`, and where they apply `postings`
([[account, minutes]…], sum 0), `key` and `command` (the client's idempotency key and what it asked, both hashed),
`in` (the peer's message that caused it, verbatim) and `out` (the message it sends, verbatim).
Source: design page 3, "Entries"; PROTOCOL.md E1 to E4.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from timebank_contracts import canonical
from timebank_contracts.entry_data import (
    POSTINGS_MAX,
    AccountChanged,
    AccountNamed,
    AccountOpened,
    Actor,
    AliasIssued,
    AliasRevoked,
    ClaimDisputed,
    ClaimMade,
    ClaimNamed,
    ClaimPut,
    ClaimRefused,
    ClaimSent,
    Frozen,
    GenerationClosed,
    MessageRecovered,
    MessageRepeated,
    MoneyRecorded,
    Opened,
    Peer,
    Policy,
    Posted,
    Postings,
    Previous,
    RegistryAccepted,
    Returned,
    Reversed,
    SegmentAccepted,
    SegmentRecovered,
    SentTo,
    Settled,
    Shares,
    StreamRecovered,
    ThanksGiven,
    Thawed,
)
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import (
    CommandKey,
    Digest,
    JournalPosition,
    Time,
)

__all__ = [
    "POSTINGS_MAX",
    "AccountChanged",
    "AccountNamed",
    "AccountOpened",
    "Actor",
    "AliasIssued",
    "AliasRevoked",
    "ClaimDisputed",
    "ClaimMade",
    "ClaimNamed",
    "ClaimPut",
    "ClaimRefused",
    "ClaimSent",
    "Frozen",
    "GenerationClosed",
    "MessageRecovered",
    "MessageRepeated",
    "MoneyRecorded",
    "Opened",
    "Peer",
    "Policy",
    "Posted",
    "Postings",
    "Previous",
    "RegistryAccepted",
    "Returned",
    "Reversed",
    "SegmentAccepted",
    "SegmentRecovered",
    "SentTo",
    "Settled",
    "Shares",
    "StreamRecovered",
    "ThanksGiven",
    "Thawed",
]
"""What entries say is imported from here together with them."""


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


class PeerGenerationClosed(Entry, frozen=True, kw_only=True, tag="peer.generation_closed"):
    data: GenerationClosed


class SegmentAcceptedEntry(Entry, frozen=True, kw_only=True, tag="segment.accepted"):
    data: SegmentAccepted


class SegmentRecoveredEntry(Entry, frozen=True, kw_only=True, tag="segment.recovered"):
    data: SegmentRecovered


class MessageRecoveredEntry(Entry, frozen=True, kw_only=True, tag="message.recovered"):
    data: MessageRecovered


class StreamRecoveredEntry(Entry, frozen=True, kw_only=True, tag="stream.recovered"):
    data: StreamRecovered


class MessageRepeatedEntry(Entry, frozen=True, kw_only=True, tag="message.repeated"):
    data: MessageRepeated


class AccountOpenedEntry(Entry, frozen=True, kw_only=True, tag="account.opened"):
    data: AccountOpened


class AccountChangedEntry(Entry, frozen=True, kw_only=True, tag="account.changed"):
    data: AccountChanged


class AccountFrozen(Entry, frozen=True, kw_only=True, tag="account.frozen"):
    data: AccountNamed


class AccountUnfrozen(Entry, frozen=True, kw_only=True, tag="account.unfrozen"):
    data: AccountNamed


class AccountClosing(Entry, frozen=True, kw_only=True, tag="account.closing"):
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


class ClaimMadeEntry(Entry, frozen=True, kw_only=True, tag="claim.made"):
    data: ClaimMade


class ClaimSentEntry(Entry, frozen=True, kw_only=True, tag="claim.sent"):
    data: ClaimSent


class ClaimReceived(Entry, frozen=True, kw_only=True, tag="claim.received"):
    data: ClaimPut


class ClaimRefusedEntry(Entry, frozen=True, kw_only=True, tag="claim.refused"):
    data: ClaimRefused


class ClaimWithdrawn(Entry, frozen=True, kw_only=True, tag="claim.withdrawn"):
    data: ClaimNamed


class ClaimDisputedEntry(Entry, frozen=True, kw_only=True, tag="claim.disputed"):
    data: ClaimDisputed


class ClaimUpheld(Entry, frozen=True, kw_only=True, tag="claim.upheld"):
    data: ClaimNamed


class ClaimExpired(Entry, frozen=True, kw_only=True, tag="claim.expired"):
    data: ClaimNamed


class ThanksGivenEntry(Entry, frozen=True, kw_only=True, tag="thanks.given"):
    data: ThanksGiven


class MoneyRecordedEntry(Entry, frozen=True, kw_only=True, tag="money.recorded"):
    data: MoneyRecorded


AnyEntry = (
    NodeOpened
    | PolicyChanged
    | RegistryAcceptedEntry
    | PeerChanged
    | PeerFrozen
    | PeerThawed
    | PeerGenerationClosed
    | SegmentAcceptedEntry
    | SegmentRecoveredEntry
    | MessageRecoveredEntry
    | StreamRecoveredEntry
    | MessageRepeatedEntry
    | AccountOpenedEntry
    | AccountChangedEntry
    | AccountFrozen
    | AccountUnfrozen
    | AccountClosing
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
    | ClaimMadeEntry
    | ClaimSentEntry
    | ClaimReceived
    | ClaimRefusedEntry
    | ClaimWithdrawn
    | ClaimDisputedEntry
    | ClaimUpheld
    | ClaimExpired
    | ThanksGivenEntry
    | MoneyRecordedEntry
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
