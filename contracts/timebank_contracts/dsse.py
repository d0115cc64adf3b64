"""DSSE: one envelope, one payload type, signatures over the pre-authentication encoding.

Only keys that the caller names count, by their raw bytes: a key under two ids is one key.
Source: the DSSE specification v1; design page 12; PROTOCOL.md G3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from timebank_contracts import canonical
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode, b64_encode, key_id, verify

ENVELOPE_BYTES_MAX: Final = 2 * 1_048_576
SIGNATURES_MAX: Final = 64


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keyid: Annotated[str, Meta(max_length=64)]
    sig: Annotated[str, Meta(max_length=88)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: Annotated[str, Meta(max_length=100)]
    signatures: Annotated[list[Signature], Meta(min_length=1, max_length=SIGNATURES_MAX)]


_decoder: Final = msgspec.json.Decoder(Envelope)


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, *, payload_type: str, keys: Sequence[SigningKey]) -> bytes:
    """A canonical envelope with one signature for each key."""
    signed = pae(payload_type, payload)
    return canonical.encode(
        Envelope(
            payload=b64_encode(payload),
            payload_type=payload_type,
            signatures=[Signature(keyid=key_id(key.public), sig=b64_encode(key.sign(signed))) for key in keys],
        )
    )


def add_signatures(envelope: bytes, keys: Sequence[SigningKey]) -> bytes:
    """The envelope with further signatures: how operators on separate machines sign one document."""
    opened = _open(envelope)
    signed = pae(opened.payload_type, b64_decode(opened.payload))
    more = [Signature(keyid=key_id(key.public), sig=b64_encode(key.sign(signed))) for key in keys]
    known = {signature.keyid for signature in more}
    kept = [signature for signature in opened.signatures if signature.keyid not in known]
    return canonical.encode(msgspec.structs.replace(opened, signatures=kept + more))


def join(envelopes: Sequence[bytes]) -> bytes:
    """One envelope with the signatures of all: of one payload that was signed on several machines at a time.

    Raises:
        Malformed: they hold different payloads, or together more than 64 signatures.
    """
    first, *others = [_open(envelope) for envelope in envelopes]
    found = {signature.keyid: signature for signature in first.signatures}
    for other in others:
        if (other.payload, other.payload_type) != (first.payload, first.payload_type):
            raise Malformed("These files hold different documents; join the signatures of one.")
        found.update({signature.keyid: signature for signature in other.signatures})
    if len(found) > SIGNATURES_MAX:
        raise Malformed(f"An envelope has at most {SIGNATURES_MAX} signatures.")
    return canonical.encode(msgspec.structs.replace(first, signatures=list(found.values())))


def open_payload(envelope: bytes, *, payload_type: str) -> bytes:
    """The payload, not yet believed; raises `Malformed` for another form or type."""
    opened = _open(envelope)
    if opened.payload_type != payload_type:
        raise Malformed(f"The payload type is {payload_type}, not {opened.payload_type!r}.")
    return b64_decode(opened.payload)


def signers(envelope: bytes, keys: Sequence[bytes]) -> frozenset[bytes]:
    """Those of the raw public keys that signed the envelope; raises `Malformed` for another form."""
    opened = _open(envelope)
    signed = pae(opened.payload_type, b64_decode(opened.payload))
    by_id = {key_id(key): key for key in keys}
    found = set()
    for signature in opened.signatures:
        key = by_id.get(signature.keyid)
        if key is not None and verify(key, signed, b64_decode(signature.sig)):
            found.add(key)
    return frozenset(found)


def _open(envelope: bytes) -> Envelope:
    return canonical.decode(envelope, _decoder, bytes_max=ENVELOPE_BYTES_MAX)
