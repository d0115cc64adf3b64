"""Checkpoints: what a log says of itself. Origin, size, root, signed as a note by the node's log key.

A witness adds a cosignature: at this time, this was the log's latest state that it saw grow from what it saw before.
Source: c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature; design page 12; PROTOCOL.md G6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode, b64_encode
from timebank_contracts.merkle import HASH_BYTES
from timebank_contracts.names import parse_origin
from timebank_contracts.note import (
    COSIGNATURE,
    ED25519,
    SIGNATURES_MAX,
    TIME_MAX,
    VerifierKey,
    cosigned_bytes,
    open_note,
    sign_note,
    signature_line,
)

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    """`size` entries have the Merkle root `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes


def parse_decimal(text: str) -> int:
    """A whole number as the formats write it: ASCII digits, no sign, no leading zero; raises `Malformed`."""
    if not _DECIMAL.fullmatch(text):
        raise Malformed("A number is written with ASCII digits, no sign and no leading zero.")
    return int(text)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The three lines that are signed."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64_encode(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text: exactly three lines, no extension; raises `Malformed`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise Malformed("A checkpoint has three lines: origin, size, root.")
    parse_origin(lines[0])
    root = b64_decode(lines[2])
    if len(root) != HASH_BYTES:
        raise Malformed(f"A root has {HASH_BYTES} bytes.")
    return Checkpoint(lines[0], parse_decimal(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The checkpoint as a note, signed under its origin's name."""
    return sign_note(checkpoint_text(checkpoint), checkpoint.origin, key)


def open_checkpoint(raw: bytes, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note, signed by `key`, whose name is the checkpoint's origin.

    Raises:
        Malformed: another form, another name than the origin, no or a bad signature of this key, a key of another type.
    """
    if key.kind != ED25519:
        raise Malformed(f"The log key of {key.name} must be of type 1; a witness's key signs no checkpoint.")
    note = open_note(raw, [key])
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise Malformed(f"The checkpoint is of {checkpoint.origin}, the key of {key.name}.")
    if key not in note.signed_by:
        raise Malformed(f"The checkpoint is not signed by {key.name}'s log key.")
    return checkpoint


def cosign(checkpoint: Checkpoint, *, name: str, key: SigningKey, at_seconds: int) -> bytes:
    """A witness's line for a checkpoint, to be appended to its note.

    Args:
        checkpoint: what the witness has found consistent with all that it saw of this log.
        name: the witness's name.
        key: the witness's own key; it must sign nothing else.
        at_seconds: now, in seconds since 1970.
    """
    assert 0 <= at_seconds <= TIME_MAX, "a time that the format can hold"
    signature = key.sign(cosigned_bytes(checkpoint_text(checkpoint), at_seconds))
    return signature_line(VerifierKey(name, key.public, COSIGNATURE), at_seconds.to_bytes(8, "big") + signature)


def with_cosignatures(note: bytes, others: Iterable[bytes]) -> bytes:
    """A note with the lines that other notes of the very same text have, one for each name; nothing is verified.

    Args:
        note: a checkpoint's note; its own lines stay first.
        others: notes; of one name the first line that is met is taken, and lines over other texts are left.
    """
    text, blank, own = note.rpartition(b"\n\n")
    lines = [line for line in own.split(b"\n") if line]
    names = {line.split(b" ")[1] for line in lines}
    for other in others:
        same, _, added = other.rpartition(b"\n\n")
        for line in added.split(b"\n") if same == text else ():
            if line and line.split(b" ")[1] not in names and len(lines) < SIGNATURES_MAX:
                names.add(line.split(b" ")[1])
                lines.append(line)
    return text + blank + b"".join(line + b"\n" for line in lines)


def open_cosignatures(raw: bytes, key: VerifierKey, witnesses: Iterable[VerifierKey]) -> dict[VerifierKey, int]:
    """Each witness that cosigned the checkpoint in a note, with its latest time in seconds since 1970.

    Args:
        raw: the note, signed by the log and followed by cosignatures.
        key: the log's key.
        witnesses: keys of type cosignature/v1, each raw key once and none of them the log's.

    Raises:
        Malformed: as `open_checkpoint`; a known witness's line that does not verify; one raw key in two roles.
    """
    known = list(witnesses)
    if len({key.public, *(witness.public for witness in known)}) != len(known) + 1:
        raise Malformed("One key cannot be two witnesses, nor a witness and the log; register another key.")
    if any(witness.kind != COSIGNATURE for witness in known):
        raise Malformed("A witness's key is of type 4 (cosignature/v1).")
    open_checkpoint(raw, key)
    latest: dict[VerifierKey, int] = {}
    for witness, line in open_note(raw, known).verified:
        latest[witness] = max(latest.get(witness, 0), int.from_bytes(line.signature[:8], "big"))
    return latest
