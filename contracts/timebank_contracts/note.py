"""C2SP signed notes: text, a blank line, signature lines. And verifier keys.

A line of a known name and key id must verify, else the whole note is refused; unknown keys are ignored.
Reading order: `VerifierKey`, `sign_note`, `open_note`. What a checkpoint adds is in `checkpoint.py`.
Source: c2sp.org/signed-note; design page 12; PROTOCOL.md G5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode, b64_encode, check_public_key, verify

NOTE_BYTES_MAX: Final = 65_536
SIGNATURES_MAX: Final = 100
ED25519: Final = 1
"""Key type: the signature is over the text."""
COSIGNATURE: Final = 4
"""Key type cosignature/v1: a witness signs its time and the text (c2sp.org/tlog-cosignature)."""
TIME_MAX: Final = 2**63 - 1
_DASH: Final = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_VKEY = re.compile(r"([^\s+\x00-\x1f\x7f]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{1,200}={0,2})")


class VerifierKey(NamedTuple):
    """A named Ed25519 public key (32 bytes, raw) of type `ED25519` or `COSIGNATURE`."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """SHA-256(name LF type key), the first 4 bytes."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """`name+hex8(key id)+base64(type, key)`."""
        return f"{self.name}+{self.key_id.hex()}+{b64_encode(bytes([self.kind]) + self.public)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (without key id; for a cosignature its 8-byte time comes first) is this key's."""
        if self.kind == ED25519:
            return verify(self.public, text.encode(), signature)
        at_seconds = int.from_bytes(signature[:8], "big")
        return at_seconds <= TIME_MAX and verify(self.public, cosigned_bytes(text, at_seconds), signature[8:])


class NoteSignature(NamedTuple):
    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """An opened note: what it says, each known key that signed it, unknown lines, and the lines that verified."""

    text: str
    signed_by: tuple[VerifierKey, ...]
    unknown: tuple[NoteSignature, ...]
    verified: tuple[tuple[VerifierKey, NoteSignature], ...]


def parse_vkey(text: str) -> VerifierKey:
    """The verifier key in its text form; raises `Malformed` for another form, type, weak key or wrong key id."""
    found = _VKEY.fullmatch(text.removesuffix("\n"))  # a file of one line
    if found is None:
        raise Malformed("A verifier key is written name+8 hex digits+base64.")
    raw = b64_decode(found[3])
    if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
        raise Malformed("The verifier key is neither Ed25519 (type 1) nor cosignature/v1 (type 4).")
    check_public_key(raw[1:])
    key = VerifierKey(found[1], raw[1:], raw[0])
    if key.key_id.hex() != found[2]:
        raise Malformed("The verifier key's id is not that of its name and key.")
    return key


def sign_note(text: str, name: str, key: SigningKey) -> bytes:
    """A note signed by one key; `text` ends with a line feed."""
    _check_text(text)
    signed = signature_line(VerifierKey(name, key.public), key.sign(text.encode()))
    return f"{text}\n".encode() + signed


def signature_line(key: VerifierKey, signature: bytes) -> bytes:
    """The line of a signature, with its line feed: it is appended to a note."""
    if not _NAME.fullmatch(key.name):
        raise Malformed("A key name has 1 to 255 characters, no blank and no plus sign.")
    return f"{_DASH}{key.name} {b64_encode(key.key_id + signature)}\n".encode()


def cosigned_bytes(text: str, at_seconds: int) -> bytes:
    """What a witness signs at a time, in seconds since 1970."""
    return f"cosignature/v1\ntime {at_seconds}\n{text}".encode()


def open_note(raw: bytes, known: Iterable[VerifierKey]) -> Note:
    """Take a note apart and verify each line of a known key.

    Raises:
        Malformed: not a note, more than 64 KiB or 100 signatures, a known key's signature that does not verify, or two
            known keys of one name and key id.
    """
    if len(raw) > NOTE_BYTES_MAX:
        raise Malformed(f"A note has at most {NOTE_BYTES_MAX} bytes.")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("A note is UTF-8.") from error
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise Malformed("A note has a blank line before its signatures and ends with a line feed.")
    text += "\n"
    _check_text(text)
    signatures = lines[:-1].split("\n")
    if len(signatures) > SIGNATURES_MAX:
        raise Malformed(f"A note has at most {SIGNATURES_MAX} signatures.")
    keys = _by_line(known)
    verified: list[tuple[VerifierKey, NoteSignature]] = []
    unknown: list[NoteSignature] = []
    for line in signatures:
        found = _signature(line)
        key = keys.get((found.name, found.key_id))
        if key is None:
            unknown.append(found)
        elif not key.verifies(text, found.signature):
            raise Malformed(f"The signature of {key.name} does not verify.")
        else:
            verified.append((key, found))
    signed_by = tuple(dict.fromkeys(key for key, _ in verified))
    return Note(text, signed_by, tuple(unknown), tuple(verified))


def _by_line(known: Iterable[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    keys: dict[tuple[str, bytes], VerifierKey] = {}
    for key in known:
        if keys.setdefault((key.name, key.key_id), key) != key:
            raise Malformed(f"Two known keys of {key.name} have one key id; give one of them.")
    return keys


def _signature(line: str) -> NoteSignature:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank or not _NAME.fullmatch(name):
        raise Malformed("A signature line is an em dash, a name and base64.")
    raw = b64_decode(encoded)
    if len(raw) < 5:
        raise Malformed("A signature is longer than its key id.")
    return NoteSignature(name, raw[:4], raw[4:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(sign < " " and sign != "\n" for sign in text):
        raise Malformed("A note's text ends with a line feed and has no other control character.")
