"""Canonical bytes: RFC 8785 under our profile, encoded and decoded in one place.

The profile: ASCII keys, integers within ±(2^53−1), no floats, no escape in a string, no other than the canonical form.
No name, hash, time or base64 text needs an escape, and `$` of a pattern would let a final line feed pass. Decoding is
strict and typed; the value is then encoded again and must give the same bytes, so duplicate keys, blanks, `1.0`, `1e3`
and trailing bytes are all refused by one comparison.
Source: design page 2, "Entry and message"; PROTOCOL.md C1 to C5.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from timebank_contracts.errors import Malformed

INTEGER_MAX: Final = 2**53 - 1
ENTRY_BYTES_MAX: Final = 65_535

T = TypeVar("T")

encoder: Final = msgspec.json.Encoder(order="sorted")


def encode(value: Any) -> bytes:
    """Canonical bytes of a Struct, dict, list, str, int, bool or None of the profile."""
    return encoder.encode(value)


def decode(raw: bytes, decoder: msgspec.json.Decoder[T], *, bytes_max: int = ENTRY_BYTES_MAX) -> T:
    """The value of canonical bytes.

    Args:
        raw: the bytes as they came.
        decoder: a strict, typed decoder whose integers and strings are bounded.
        bytes_max: the size above which nothing is parsed.

    Raises:
        Malformed: too large, not JSON of the type, or not in canonical form; names the byte where the forms part.
    """
    if len(raw) > bytes_max:
        raise Malformed(f"{len(raw)} bytes are more than the {bytes_max} allowed.")
    if b"\\" in raw:
        raise Malformed(f"No string of the contract has an escape, as at byte {raw.index(92)}.")
    try:
        value = decoder.decode(raw)
        again = encoder.encode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Malformed(f"Not what the contract says: {error}.") from error
    if again != raw:
        raise Malformed(f"Not in canonical form from byte {first_difference(raw, again)} on.")
    return value


def first_difference(left: bytes, right: bytes) -> int:
    """The first byte position at which two byte strings differ (the shorter length, if one begins the other)."""
    for position, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return position
    return min(len(left), len(right))
