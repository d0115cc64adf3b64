"""Keys and signatures: edge vectors, and `cryptography` as a second opinion."""

from __future__ import annotations

from hashlib import sha256, sha512

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, WeakKey, b64_decode, b64_encode, check_public_key, key_id, verify

ORDER = 2**252 + 27742317777372353535851937790883648493
SEED = bytes(range(32))
MESSAGE = b"ninety minutes"
LOW_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]
NOT_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
EIGHT_TORSION = bytes.fromhex(LOW_ORDER[4])


def _secret_scalar(seed: bytes) -> int:
    scalar = int.from_bytes(sha512(seed).digest()[:32], "little")
    return scalar & ((1 << 254) - 8) | 1 << 254


def _signature(point: bytes, nonce: int) -> bytes:
    """A signature by the key of `SEED` whose R is `point`, as a holder of the key could make it."""
    challenge = int.from_bytes(sha512(point + SigningKey(SEED).public + MESSAGE).digest(), "little")
    return point + ((nonce + challenge * _secret_scalar(SEED)) % ORDER).to_bytes(32, "little")


def _other_library_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_signatures_are_those_of_another_library(seed: bytes, message: bytes) -> None:
    other = Ed25519PrivateKey.from_private_bytes(seed)
    key = SigningKey(seed)
    assert key.public == other.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert key.sign(message) == other.sign(message)
    assert verify(key.public, message, key.sign(message))
    check_public_key(key.public)


@given(message=st.binary(max_size=64), bit=st.integers(0, 511))
def test_one_flipped_bit_of_a_signature_makes_it_invalid_for_both_libraries(message: bytes, bit: int) -> None:
    key = SigningKey(SEED)
    signature = bytearray(key.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(key.public, message, bytes(signature))
    assert not _other_library_accepts(key.public, message, bytes(signature))


def test_the_first_vector_of_rfc_8032_verifies() -> None:
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )


def test_the_crafted_signatures_of_this_file_would_verify_with_an_ordinary_point() -> None:
    point = crypto_scalarmult_ed25519_base_noclamp((12345).to_bytes(32, "little"))
    assert verify(SigningKey(SEED).public, MESSAGE, _signature(point, 12345))


@pytest.mark.parametrize("point", LOW_ORDER + NOT_CANONICAL)
def test_a_signature_with_a_low_order_or_non_canonical_point_is_invalid(point: str) -> None:
    assert not verify(SigningKey(SEED).public, MESSAGE, _signature(bytes.fromhex(point), 0))


def test_a_signature_whose_point_has_a_low_order_part_is_invalid_for_both_libraries() -> None:
    ordinary = crypto_scalarmult_ed25519_base_noclamp((12345).to_bytes(32, "little"))
    signature = _signature(crypto_core_ed25519_add(ordinary, EIGHT_TORSION), 12345)
    assert not verify(SigningKey(SEED).public, MESSAGE, signature)
    assert not _other_library_accepts(SigningKey(SEED).public, MESSAGE, signature)


@pytest.mark.parametrize("times", [1, 2, 8])
def test_a_signature_with_a_non_canonical_scalar_is_invalid(times: int) -> None:
    key = SigningKey(SEED)
    signature = key.sign(MESSAGE)
    scalar = int.from_bytes(signature[32:], "little") + times * ORDER
    assert not verify(key.public, MESSAGE, signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("public", LOW_ORDER + NOT_CANONICAL)
def test_a_low_order_or_non_canonical_public_key_is_weak_and_verifies_nothing(public: str) -> None:
    with pytest.raises(WeakKey):
        check_public_key(bytes.fromhex(public))
    assert not verify(bytes.fromhex(public), MESSAGE, bytes.fromhex(LOW_ORDER[0]) + bytes(32))


def test_a_public_key_with_a_low_order_part_is_weak() -> None:
    with pytest.raises(WeakKey):
        check_public_key(crypto_core_ed25519_add(SigningKey(SEED).public, EIGHT_TORSION))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_or_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(WeakKey):
        check_public_key(bytes(length))
    with pytest.raises(Malformed):
        SigningKey(bytes(length))
    assert not verify(bytes(length), MESSAGE, SigningKey(SEED).sign(MESSAGE))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_invalid(length: int) -> None:
    key = SigningKey(SEED)
    assert not verify(key.public, MESSAGE, (key.sign(MESSAGE) + bytes(1))[:length])


def test_a_key_shown_in_a_log_line_shows_no_secret() -> None:
    key = SigningKey(SEED)
    assert SEED.hex() not in repr(key)
    assert key_id(key.public)[:16] in repr(key)


def test_a_key_id_is_the_hash_of_the_raw_key() -> None:
    public = SigningKey(SEED).public
    assert key_id(public) == sha256(public).hexdigest()


@given(raw=st.binary(max_size=100))
def test_base64_gives_back_what_it_took(raw: bytes) -> None:
    assert b64_decode(b64_encode(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ["QR==", "QQ", "QQ=", "Q Q==", "QQ==\n", "\nQQ==", "QQ==QQ==", "_-8=", "QQ==!", "=", "ＱＱ==", "Q===", "QUJ="],
)
def test_base64_in_any_but_its_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        b64_decode(text)
