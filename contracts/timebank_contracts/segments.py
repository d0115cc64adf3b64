"""Segments: how messages travel. A signed statement, then the messages, a line each.

    line 1        DSSE envelope of a SegmentStatement
    line 2 …      0 to 256 messages, together at most 256 KiB

Cuts mean nothing: one signature covers every message through `head`, and the same messages may be cut and signed anew.
Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S3 to S7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Generation, Hash, JournalPosition, Network, Node, StreamPosition
from timebank_contracts.keys import SigningKey
from timebank_contracts.messages import MESSAGE_BYTES_MAX
from timebank_contracts.names import Identity
from timebank_contracts.streams import StreamHead, fold

PROTOCOL_VERSION: Final = 1
PAYLOAD_TYPE: Final = "application/vnd.timebank.statement+json"
SEGMENT_MESSAGES_MAX: Final = 256
SEGMENT_MESSAGE_BYTES_MAX: Final = 256 * 1024
ENVELOPE_BYTES_MAX: Final = 8_192
SEGMENT_BYTES_MAX: Final = ENVELOPE_BYTES_MAX + SEGMENT_MESSAGE_BYTES_MAX + SEGMENT_MESSAGES_MAX + 1


class Heard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer applied of the receiver's stream: `chain` is the value at position `n`."""

    generation: Generation
    n: StreamPosition
    chain: Hash


class SegmentStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What the sender signs. `prior` = c(first − 1), `head` = c(first + count − 1); `size`, `root`: checkpoint."""

    protocol: Annotated[int, Meta(ge=1, le=1000)]
    network: Network
    from_: Node
    generation: Generation
    to: Node
    first: Annotated[int, Meta(ge=1, le=canonical.INTEGER_MAX)]
    count: Annotated[int, Meta(ge=0, le=SEGMENT_MESSAGES_MAX)]
    prior: Hash
    head: Hash
    heard: Heard
    registry: JournalPosition
    size: JournalPosition
    root: Hash

    @property
    def last(self) -> int:
        """Position of the last message, or `first` − 1 when there is none."""
        return self.first + self.count - 1


_statement_decoder: Final = msgspec.json.Decoder(SegmentStatement)


class Segment(NamedTuple):
    """A segment as it was read: nothing of it is believed before its signature was checked."""

    envelope: bytes
    statement: SegmentStatement
    messages: list[bytes]
    """Never changed: the segment may be remembered."""


def open_statement(envelope: bytes) -> SegmentStatement:
    """The statement inside an envelope, signature not yet judged; raises `Malformed`."""
    if len(envelope) > ENVELOPE_BYTES_MAX:
        raise Malformed(f"A segment's envelope has at most {ENVELOPE_BYTES_MAX} bytes.")
    payload = dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE)
    return canonical.decode(payload, _statement_decoder, bytes_max=ENVELOPE_BYTES_MAX)


def is_signed_by(envelope: bytes, event_keys: tuple[bytes, ...]) -> bool:
    """Whether one of these raw Ed25519 keys signed the envelope."""
    return bool(dsse.signers(envelope, event_keys))


@lru_cache(maxsize=4)
def parse_segment(raw: bytes) -> Segment:
    """Take a segment apart. The last ones are remembered: a node looks at each at its edge, and where it is judged.

    Raises:
        Malformed: too large, no final line feed, an envelope or statement of another form, another count of messages,
            or messages whose fold from `prior` does not end in `head`.
    """
    if len(raw) > SEGMENT_BYTES_MAX:
        raise Malformed(f"A segment has at most {SEGMENT_BYTES_MAX} bytes, this one {len(raw)}.")
    if raw[-1:] != b"\n":
        raise Malformed("A segment ends with a line feed.")
    envelope, *messages = raw[:-1].split(b"\n", SEGMENT_MESSAGES_MAX + 1)
    statement = open_statement(envelope)
    if len(messages) != statement.count:
        raise Malformed(f"The statement says {statement.count} messages, the segment has {len(messages)}.")
    if any(not message or len(message) > MESSAGE_BYTES_MAX for message in messages):
        raise Malformed(f"A message has 1 to {MESSAGE_BYTES_MAX} bytes.")
    if sum(map(len, messages)) > SEGMENT_MESSAGE_BYTES_MAX:
        raise Malformed(f"The messages of a segment have at most {SEGMENT_MESSAGE_BYTES_MAX} bytes together.")
    prior = bytes.fromhex(statement.prior)
    if [prior, *fold(prior, messages)][-1] != bytes.fromhex(statement.head):
        raise Malformed("Folding the messages from prior does not end in head.")
    return Segment(envelope, statement, messages)


def make_segment(
    *,
    identity: Identity,
    to: str,
    after: StreamHead,
    messages: list[bytes],
    heard: Heard,
    registry: int,
    size: int,
    root: bytes,
    key: SigningKey,
    protocol: int = PROTOCOL_VERSION,
) -> bytes:
    """Cut and sign a segment.

    Args:
        identity: the sender.
        to: the receiving node.
        after: the sender's stream before the first message (position, chain value).
        messages: 0 to 256 canonical messages, together at most 256 KiB.
        heard: what the sender applied of the receiver's stream.
        registry: version of the registry that the sender holds, 0 for none.
        size: size of the sender's latest checkpoint, in entries.
        root: its root, 32 bytes.
        key: the sender's event key.
        protocol: version that the receiver understands.

    Returns:
        The segment's bytes.
    """
    assert len(messages) <= SEGMENT_MESSAGES_MAX
    assert sum(map(len, messages)) <= SEGMENT_MESSAGE_BYTES_MAX
    statement = SegmentStatement(
        protocol=protocol,
        network=identity.network,
        from_=identity.node,
        generation=identity.generation,
        to=to,
        first=after.n + 1,
        count=len(messages),
        prior=after.chain.hex(),
        head=[after.chain, *fold(after.chain, messages)][-1].hex(),
        heard=heard,
        registry=registry,
        size=size,
        root=root.hex(),
    )
    envelope = dsse.sign(canonical.encode(statement), payload_type=PAYLOAD_TYPE, keys=[key])
    return b"\n".join([envelope, *messages]) + b"\n"


def cut(messages: list[bytes]) -> int:
    """How many of these messages fit into one segment, from the first on: 0 only for an empty list."""
    room = SEGMENT_MESSAGE_BYTES_MAX
    for count, message in enumerate(messages[:SEGMENT_MESSAGES_MAX]):
        room -= len(message)
        if room < 0:
            return count
    return min(len(messages), SEGMENT_MESSAGES_MAX)
