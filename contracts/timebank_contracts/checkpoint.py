"""Checkpoints: what a log says of itself. Origin, size, root, signed as a note by the node's log key.

Source: c2sp.org/tlog-checkpoint; design page 12; PROTOCOL.md G6.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode, b64_encode
from timebank_contracts.names import parse_origin
from timebank_contracts.note import VerifierKey, open_note, sign_note

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
    if len(root) != 32:
        raise Malformed("A root has 32 bytes.")
    return Checkpoint(lines[0], parse_decimal(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The checkpoint as a note, signed under its origin's name."""
    return sign_note(checkpoint_text(checkpoint), checkpoint.origin, key)


def open_checkpoint(raw: bytes, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note, signed by `key`, whose name is the checkpoint's origin.

    Raises:
        Malformed: another form, another name than the origin, no or a bad signature of this key.
    """
    note = open_note(raw, [key])
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise Malformed(f"The checkpoint is of {checkpoint.origin}, the key of {key.name}.")
    if key not in note.signed_by:
        raise Malformed(f"The checkpoint is not signed by {key.name}'s log key.")
    return checkpoint
