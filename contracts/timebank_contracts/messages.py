"""Messages: the only thing that leaves a town. CloudEvents 1.0 in canonical JSON, without any account, actor or text.

`id` is `<to>/<generation>/<position>`: where the message stands in its sender's stream, so it can exist once only.
Source: design page 2, "Entry and message"; PROTOCOL.md E5 to E8.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from timebank_contracts import canonical
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import (
    Activity,
    Alias,
    ClaimRefusal,
    CrossPurpose,
    Day,
    DisputeReason,
    JournalPosition,
    Minutes,
    Node,
    PayerTag,
    RejectionReason,
    Time,
    TransferId,
)

MESSAGE_BYTES_MAX: Final = 4_096


class UnknownType(Malformed):
    """A message of a type this version does not know: the stream waits there for an upgrade (PROTOCOL.md S8)."""


class Message(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    gc=False,
):
    """What every message carries; `source` is the sending node, `subject` the receiving one."""

    id: str
    source: Node
    specversion: Literal["1.0"]
    subject: Node
    time: Time


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A credit on its way: the payer is debited already."""

    transfer: TransferId
    at: JournalPosition
    """Of the entry that sends it: a refund repeats it, so that its payer is found again."""
    minutes: Minutes
    payer_tag: PayerTag
    purpose: CrossPurpose
    expires_at: Time
    payee: Alias | UnsetType = UNSET
    """Whom it is for; a refund goes to whoever paid the original."""
    refunds: TransferId | UnsetType = UNSET
    """The transfer, the other way, that a refund gives back."""
    refunds_at: JournalPosition | UnsetType = UNSET
    """What that one said in `at`."""
    claim: TransferId | UnsetType = UNSET
    """The claim that it confirms."""
    activity: Activity | UnsetType = UNSET
    served_on: Day | UnsetType = UNSET
    given_minutes: Minutes | UnsetType = UNSET


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payee's node credited the payee: final."""

    transfer: TransferId
    minutes: Minutes


class Rejected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payee's node refused: final; the payer gets the minutes back."""

    transfer: TransferId
    minutes: Minutes
    reason: RejectionReason


class Claimed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Help was given across towns: the giver's town asks the receiver's to put it to the receiver."""

    claim: TransferId
    minutes: Minutes
    giver: Alias
    """The giver's address, for the receiver's town."""
    receiver: Alias
    activity: Activity
    served_on: Day
    expires_at: Time
    given_minutes: Minutes | UnsetType = UNSET


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The giver takes the claim back: a transfer for it is rejected from now on."""

    claim: TransferId


class Disputed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver says that the claim is wrong, or their town that it cannot be put to anybody."""

    claim: TransferId
    reason: DisputeReason | ClaimRefusal


class Thanked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side of a transfer between the two towns thanks the other."""

    transfer: TransferId


class TransferSentMessage(Message, frozen=True, kw_only=True, tag="transfer.sent"):
    data: Sent


class TransferReceivedMessage(Message, frozen=True, kw_only=True, tag="transfer.received"):
    data: Received


class TransferRejectedMessage(Message, frozen=True, kw_only=True, tag="transfer.rejected"):
    data: Rejected


class ClaimMadeMessage(Message, frozen=True, kw_only=True, tag="claim.made"):
    data: Claimed


class ClaimWithdrawnMessage(Message, frozen=True, kw_only=True, tag="claim.withdrawn"):
    data: Withdrawn


class ClaimDisputedMessage(Message, frozen=True, kw_only=True, tag="claim.disputed"):
    data: Disputed


class ThanksGivenMessage(Message, frozen=True, kw_only=True, tag="thanks.given"):
    data: Thanked


AnyMessage = (
    TransferSentMessage
    | TransferReceivedMessage
    | TransferRejectedMessage
    | ClaimMadeMessage
    | ClaimWithdrawnMessage
    | ClaimDisputedMessage
    | ThanksGivenMessage
)
MESSAGE_TYPES: Final = tuple(str(kind.__struct_config__.tag) for kind in AnyMessage.__args__)

REMEMBERED_MAX: Final = 4_096
_decoder: Final[msgspec.json.Decoder[AnyMessage]] = msgspec.json.Decoder(AnyMessage)
_remembered: Final[dict[bytes, AnyMessage]] = {}


class _TypeOnly(msgspec.Struct):
    type: str


_type_decoder: Final = msgspec.json.Decoder(_TypeOnly)


def message_id(to: str, generation: str, position: int) -> str:
    """`barry/g1/17`: the message at stream position `position` (from 1) to `to`."""
    return f"{to}/{generation}/{position}"


def generation_in(message: Message) -> str:
    """The sender's generation that a message's id names."""
    return message.id.split("/", 2)[1]


def position_in(message: Message) -> int:
    """The stream position that a message's id names."""
    return int(message.id.rsplit("/", 1)[1])


def decode_message(raw: bytes) -> AnyMessage:
    """The message in canonical bytes.

    A node meets a message several times at once: it is written, judged, indexed and sent. Messages never change, so
    the last ones are remembered.

    Raises:
        UnknownType: canonical CloudEvents of a type that this version does not know.
        Malformed: anything else that is not a message.
    """
    found = _remembered.get(raw)
    if found is None:
        found = _decode_message(raw)
        _remember(raw, found)
    return found


def forget_messages() -> None:
    """Forget those that are remembered: for who measures several nodes in one process, where each knows them anew."""
    _remembered.clear()


def _remember(raw: bytes, message: AnyMessage) -> None:
    if len(_remembered) >= REMEMBERED_MAX:
        # All at once: what is met again soon is decoded once more, and no order has to be kept.
        _remembered.clear()
    _remembered[raw] = message


def _decode_message(raw: bytes) -> AnyMessage:
    try:
        return canonical.decode(raw, _decoder, bytes_max=MESSAGE_BYTES_MAX)
    except Malformed as error:
        if len(raw) > MESSAGE_BYTES_MAX:
            raise
        try:
            found = _type_decoder.decode(raw).type
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise error from None
        if found in MESSAGE_TYPES:
            raise
        raise UnknownType(f"Message type {found[:60]!r} is not known to this version; upgrade the node.") from error


def encode_message(message: AnyMessage) -> bytes:
    """Canonical bytes of a message; they are never encoded again."""
    return canonical.encode(message)


def encode_decision(message: TransferReceivedMessage | TransferRejectedMessage) -> bytes:
    """The same for a decision, all of whose fields were judged: what its bytes mean is known and need not be read.

    Args:
        message: its fields come from the decoded message that it answers, from the book, and from closed sets.
    """
    raw = canonical.encode(message)
    _remember(raw, message)
    return raw
