"""Points of edwards25519 in the plain: only to build signatures and keys that an honest library never makes."""

from __future__ import annotations

from hashlib import sha512

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, P - 2, P) % P
BASE = bytes.fromhex("58" + "66" * 31)
IDENTITY = (0, 1)

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
"""The eight points whose order divides 8, in canonical form."""

Point = tuple[int, int]


def decode(raw: bytes) -> Point:
    """The point of 32 bytes."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0, "not on the curve"
    return (P - x if x & 1 != sign else x), y


def encode(point: Point) -> bytes:
    """The 32 bytes of a point."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def add(one: Point, other: Point) -> Point:
    """The sum of two points."""
    (x1, y1), (x2, y2) = one, other
    t = _D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P


def times(scalar: int, point: Point) -> Point:
    """The scalar multiple of a point."""
    found = IDENTITY
    while scalar:
        if scalar & 1:
            found = add(found, point)
        point, scalar = add(point, point), scalar >> 1
    return found


def secret_scalar(seed: bytes) -> int:
    """The secret scalar of a seed."""
    low = int.from_bytes(sha512(seed).digest()[:32], "little")
    return (low & ~7 & ~(1 << 255)) | 1 << 254


def sign_with(*, seed: bytes, public: bytes, message: bytes, nonce: int, shift: Point) -> bytes:
    """A signature whose R is nonce·B + shift: with a shift of small order, one that only some libraries take."""
    r = encode(add(times(nonce, decode(BASE)), shift))
    challenge = int.from_bytes(sha512(r + public + message).digest(), "little")
    return r + ((nonce + challenge * secret_scalar(seed)) % ORDER).to_bytes(32, "little")
