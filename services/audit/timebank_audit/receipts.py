"""Receipts: one transfer, proved to a third person, without anybody else's.

    entry       the bytes of the journal's entry, with its inclusion proof under a signed checkpoint (C2SP tlog-proof)
    segment     for a transfer between towns, when the receiving town's journal was given too: the sender's signed
                statement, the hashes of the other messages under it, and this message
    registry    the registry version in force, which gives the keys of both

What a receipt shows of others is hashes; what it shows of the transfer is what its two sides may see anyway.
Source: design page 5, `prove`; c2sp.org/tlog-proof; PROTOCOL.md S2, G4.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from timebank_audit.log import read_tile
from timebank_audit.towns import Town
from timebank_contracts import canonical
from timebank_contracts import entries as e
from timebank_contracts.cut import StreamName
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Hash, TransferId
from timebank_contracts.keys import b64_decode, b64_encode
from timebank_contracts.log_files import registry_path
from timebank_contracts.merkle import HASH_BYTES, inclusion_proof_from
from timebank_contracts.names import parse_transfer
from timebank_contracts.note import NOTE_BYTES_MAX
from timebank_contracts.registry import REGISTRY_BYTES_MAX
from timebank_contracts.segments import SEGMENT_MESSAGES_MAX, is_signed_by, open_statement
from timebank_contracts.tiles import TILE_WIDTH, TileName, tile_reader

PROOF_HEAD: Final = "c2sp.org/tlog-proof@v1"
RECEIPT_BYTES_MAX: Final = 4 * 1_048_576
_Base64 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=2 * 1_048_576)]


class Proved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry and where it stands: `proof` is a tlog-proof, the checkpoint's note at its end."""

    entry: _Base64
    proof: _Base64


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message under the sender's statement: the hash of every message of the segment, and which of them it is."""

    envelope: _Base64
    hashes: Annotated[list[Hash], Meta(min_length=1, max_length=SEGMENT_MESSAGES_MAX)]
    index: Annotated[int, Meta(ge=0, lt=SEGMENT_MESSAGES_MAX)]
    message: _Base64


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt, as canonical JSON in a file."""

    form: Literal["timebank receipt 1"]
    transfer: TransferId
    registry: _Base64
    proved: Proved
    sent: Sent | UnsetType = UNSET


def make_receipt(towns: dict[str, Town], transfer: str) -> Receipt:
    """The receipt of a transfer from the journals of sound towns.

    Args:
        towns: audited towns by name; the paying town must be among them.
        transfer: its name, `aberdare.g1.6` or `aberdare.g1.barry.2`.

    Raises:
        Malformed: no such transfer, or its town is not among them or not sound.
    """
    name = parse_transfer(transfer)
    town = towns.get(name.node)
    if town is None or name.generation not in town.replay.book.began or not town.log_is_sound:
        raise Malformed(
            f"A sound export of {name.node} in {name.generation} is needed; `audit verify` says what is wrong."
        )
    position = name.position
    stream = StreamName(name.generation, name.peer or "")
    if name.peer is not None:
        sent = town.replay.out.get(stream, array("I"))
        if not 1 <= name.position <= len(sent):
            raise Malformed(f"{town.node} sent no message {name.position} to {name.peer}.")
        position = sent[name.position - 1]
    if position >= town.size:
        raise Malformed(f"The journal of {town.node} has no entry {position}.")
    entry = e.decode_entry(town.entries[position])
    if isinstance(entry, e.MessageRecoveredEntry):
        raise Malformed(f"{town.node} lost the entry of {transfer}, and put its message back: it has no receipt.")
    if town.replay.book.identity_at(position).generation != name.generation:
        raise Malformed(f"{transfer} is no transfer: entry {position} of {town.node} is of another generation.")
    if not isinstance(entry, e.TransferSent if name.peer is not None else e.TransferPosted | e.TransferReversed):
        raise Malformed(f"{transfer} is no transfer: entry {position} of {town.node} is {e.entry_type(entry)}.")
    other = towns.get(name.peer or "")
    sent_segment: Sent | UnsetType = UNSET
    if other is not None and other.mark(StreamName(name.generation, town.node), other.size) >= name.position:
        sent_segment = _sent(town, other, stream, name.position)
        # A key that the registry in force does not name any more proves nothing to somebody who has only the receipt.
        if not is_signed_by(b64_decode(sent_segment.envelope), _event_keys(town)):
            sent_segment = UNSET
    return Receipt(
        form="timebank receipt 1",
        transfer=transfer,
        registry=_registry(town),
        proved=Proved(entry=b64_encode(town.entries[position]), proof=b64_encode(make_proof(town, position))),
        sent=sent_segment,
    )


def make_proof(town: Town, position: int) -> bytes:
    """The tlog-proof of an entry: index, audit path, and the checkpoint's note as it is."""

    def tile(name: TileName) -> bytes:
        path, raw = read_tile(town.files.peek, name, TILE_WIDTH * HASH_BYTES)
        if raw is None:
            raise Malformed(f"{path} changed while it was read; copy the export first.")
        return raw

    size = town.checkpoint.size
    path = inclusion_proof_from(tile_reader(lru_cache(maxsize=64)(tile), size=size), index=position, size=size)
    note = town.files.peek("checkpoint", bytes_max=NOTE_BYTES_MAX) or b""
    lines = [PROOF_HEAD, f"index {position}", *map(b64_encode, path), "", ""]
    return "\n".join(lines).encode("ascii") + note


def _registry(town: Town) -> str:
    registry = town.registries.in_force
    raw = None if registry is None else town.files.peek(registry_path(registry.version), bytes_max=REGISTRY_BYTES_MAX)
    if raw is None:
        raise Malformed(f"The export of {town.node} holds no registry version in force; a receipt needs its keys.")
    return b64_encode(raw)


def _event_keys(town: Town) -> tuple[bytes, ...]:
    registry = town.registries.in_force
    registered = None if registry is None else registry.find(town.node)
    return () if registered is None else tuple(b64_decode(key) for key in registered.event_keys)


def _sent(sender: Town, receiver: Town, stream: StreamName, position: int) -> Sent:
    """The segment by which a message was accepted: the last `segment.accepted` of this sender before its entry."""
    accepted = None
    at = receiver.replay.in_[StreamName(stream.generation, sender.node)][position - 1]
    while accepted is None and at > 0:
        at -= 1
        entry = e.decode_entry(receiver.entries[at])
        if isinstance(entry, e.SegmentAcceptedEntry):
            accepted = bytes(entry.data.envelope)
    assert accepted is not None, "apply demands the segment before its messages"
    said = open_statement(accepted)
    # A segment may begin with messages that were applied from an earlier one.
    messages = [bytes(sender.says(stream, at)) for at in range(said.first, said.last + 1)]
    return Sent(
        envelope=b64_encode(accepted),
        hashes=[sha256(message).hexdigest() for message in messages],
        index=position - said.first,
        message=b64_encode(messages[position - said.first]),
    )


def write_receipt(receipt: Receipt) -> bytes:
    """The receipt's file."""
    return canonical.encode(receipt) + b"\n"


_decoder: Final = msgspec.json.Decoder(Receipt)


def read_receipt(raw: bytes) -> Receipt:
    """The receipt in a file; raises `Malformed`."""
    return canonical.decode(raw.removesuffix(b"\n"), _decoder, bytes_max=RECEIPT_BYTES_MAX)
