"""Evidence that a node said two things: one JSON file that anybody checks offline, with nothing but the file.

    checkpoints   two notes under one log key: one size with two roots, or a tree that the other's does not begin
    statements    two envelopes under one event key: one size with two roots, or one stream position with two chains

The signed bytes stand in it whole. Whose key it is, the file does not prove: the registry says so.
Source: design page 2, "Equivocation" and "Witnessing"; page 5, A15; PROTOCOL.md V6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Hash, RawKey
from timebank_contracts.keys import b64_decode, b64_encode, check_public_key
from timebank_contracts.merkle import is_consistent, roots_from_consistency
from timebank_contracts.note import VerifierKey, parse_vkey
from timebank_contracts.segments import is_signed_by, open_statement

EVIDENCE_BYTES_MAX: Final = 262_144
FORMAT: Final = "timebank equivocation v1"
_Text = Annotated[str, Meta(max_length=65_536)]


class TwoCheckpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="checkpoints"):
    """`path` leads from the first's size to both roots of the second's log (hex); empty where the sizes are one."""

    format: Literal["timebank equivocation v1"] = FORMAT
    vkey: Annotated[str, Meta(max_length=512)]
    first: _Text
    second: _Text
    path: Annotated[list[Hash], Meta(max_length=64)]


class TwoStatements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="statements"):
    """Both envelopes, and the event key that signed them."""

    format: Literal["timebank equivocation v1"] = FORMAT
    key: RawKey
    first: _Text
    second: _Text


Evidence = TwoCheckpoints | TwoStatements
_decoder: Final = msgspec.json.Decoder(Evidence)


def encode_evidence(evidence: Evidence) -> bytes:
    """The file's bytes: the same evidence gives the same file."""
    return msgspec.json.format(msgspec.json.encode(evidence), indent=2) + b"\n"


def check_evidence(raw: bytes) -> tuple[Evidence, str]:
    """What a file proves.

    Returns:
        The evidence, and a sentence that says who signed what.

    Raises:
        Malformed: it has another form, a signature does not verify, or the two do not contradict each other.
    """
    if len(raw) > EVIDENCE_BYTES_MAX:
        raise Malformed(f"A file of evidence has at most {EVIDENCE_BYTES_MAX} bytes.")
    try:
        evidence = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"This is no file of evidence: {error}") from error
    if isinstance(evidence, TwoCheckpoints):
        return evidence, _check_checkpoints(evidence)
    return evidence, _check_statements(evidence)


def _check_checkpoints(evidence: TwoCheckpoints) -> str:
    key = parse_vkey(evidence.vkey)
    first, second = (open_checkpoint(note.encode(), key) for note in (evidence.first, evidence.second))
    if first.size == second.size:
        if evidence.path or first.root == second.root:
            raise Malformed("Two checkpoints of one size contradict each other by two roots, without a path.")
        return f"{key.name} signed two roots for its first {first.size} entries, under the log key {key.text}."
    if not first.size < second.size:
        raise Malformed("The smaller checkpoint comes first.")
    roots = roots_from_consistency(first.size, second.size, [bytes.fromhex(step) for step in evidence.path])
    if roots[1] != second.root:
        raise Malformed("The path does not lead to the second checkpoint's root.")
    if roots[0] == first.root:
        raise Malformed("The second checkpoint continues the first: there is no contradiction.")
    return (
        f"{key.name} signed {first.size} entries, and then {second.size} that do not begin with them, under the log "
        f"key {key.text}."
    )


def _check_statements(evidence: TwoStatements) -> str:
    key = b64_decode(evidence.key)
    check_public_key(key)
    envelopes = (evidence.first.encode(), evidence.second.encode())
    if not all(is_signed_by(envelope, (key,)) for envelope in envelopes):
        raise Malformed("An envelope is not signed by the key that the file names.")
    first, second = (open_statement(envelope) for envelope in envelopes)
    who = f"{first.network}/{first.from_}/{first.generation}"
    if who != f"{second.network}/{second.from_}/{second.generation}":
        raise Malformed("The two statements are of two journals.")
    if first.size == second.size and first.root != second.root:
        return f"{who} stated two roots for its first {first.size} entries, under the event key {evidence.key}."
    if (first.to, first.last) == (second.to, second.last) and first.head != second.head:
        return (
            f"{who} stated two chain values for message {first.last} to {first.to}, under the event key {evidence.key}."
        )
    raise Malformed("The two statements do not contradict each other.")


def two_checkpoints(
    key: VerifierKey, one: bytes, other: bytes, *, proof: Sequence[bytes] = ()
) -> TwoCheckpoints | None:
    """The evidence in two notes of one log, or None where they prove nothing.

    Args:
        key: the log's key.
        one: a signed checkpoint.
        other: another.
        proof: hashes that came with the greater one as a consistency proof from the smaller, or a path; what they lead
            to decides.

    Raises:
        Malformed: a note is not this key's.
    """
    smaller, greater = sorted((one, other), key=lambda note: open_checkpoint(note, key).size)
    first, second = (open_checkpoint(note, key) for note in (smaller, greater))
    path: list[bytes] = []
    if first.size != second.size:
        if is_consistent(first.size, first.root, second.size, second.root, proof):
            return None
        path = list(proof)
        try:
            if roots_from_consistency(first.size, second.size, path)[1] != second.root:
                return None
        except Malformed:
            return None
    elif first.root == second.root:
        return None
    return TwoCheckpoints(
        vkey=key.text, first=smaller.decode(), second=greater.decode(), path=[step.hex() for step in path]
    )


def two_statements(key: bytes, one: bytes, other: bytes) -> TwoStatements | None:
    """The evidence in two envelopes under one event key (32 bytes, raw), or None where they prove nothing."""
    try:
        found = TwoStatements(key=b64_encode(key), first=one.decode("ascii"), second=other.decode("ascii"))
        _check_statements(found)
    except (Malformed, UnicodeDecodeError):
        return None
    return found
