"""Ed25519 keys, strict base64, computed key ids.

A public key is taken only when it is canonical and of prime order; a signature with a small-order or non-canonical part
is invalid. One library judges (libsodium), because two libraries give two verdicts on edge cases.
Source: design page 2, "What signs what"; page 9; PROTOCOL.md G1, G2.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from timebank_contracts.errors import Malformed

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class WeakKey(Malformed):
    """A public key that is not canonical or not of prime order; make a new one."""


class SigningKey:
    """An Ed25519 key pair made from a 32-byte seed. Its representation shows the public part only."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise Malformed(f"An Ed25519 seed has {KEY_BYTES} bytes.")
        self.public: bytes
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        signed: bytes = crypto_sign(message, self._secret)
        return signed[:crypto_sign_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public={key_id(self.public)[:16]}…)"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is this key's (32 bytes, raw) for `message`."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


def check_public_key(public: bytes) -> None:
    """Raise `WeakKey` unless `public` is 32 bytes, canonical and of prime order."""
    if len(public) != KEY_BYTES or not crypto_core_ed25519_is_valid_point(public):
        raise WeakKey("An Ed25519 public key is 32 bytes, canonical and of prime order; this one is not.")


def key_id(public: bytes) -> str:
    """Hex SHA-256 of the raw key: computed, never chosen."""
    return sha256(public).hexdigest()


def b64_encode(raw: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def b64_decode(text: str) -> bytes:
    """The bytes of standard base64 in its one canonical form; raises `Malformed` for any other."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("Not standard base64 with padding.") from error
    if b64_encode(raw) != text:
        raise Malformed("Base64 with bits after its end.")
    return raw
