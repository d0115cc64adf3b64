"""DSSE envelopes, with `securesystemslib` reading ours and writing for us."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

from timebank_contracts import canonical, dsse
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_encode, key_id

KIND = "application/vnd.timebank.statement+json"
PAYLOAD = b'{"from":"aberdare"}'
KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
PUBLIC = [key.public for key in KEYS]


def _their_key(key: SigningKey) -> SSlibKey:
    return SSlibKey(key_id(key.public), "ed25519", "ed25519", {"public": key.public.hex()})


def _changed(envelope: bytes, **fields: object) -> bytes:
    return canonical.encode({**json.loads(envelope), **fields})


@given(payload=st.binary(max_size=200), kind=st.text(max_size=30))
def test_the_signed_bytes_are_those_of_another_library(payload: bytes, kind: str) -> None:
    assert dsse.pae(kind, payload) == Envelope(payload, kind, {}).pae()


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_another_library_verifies_our_envelope() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=KEYS[:2])
    theirs = Envelope.from_dict(json.loads(envelope))
    assert theirs.payload == PAYLOAD
    assert set(theirs.verify([_their_key(key) for key in KEYS[:2]], 2)) == {key_id(key) for key in PUBLIC[:2]}


def test_we_verify_the_envelope_of_another_library() -> None:
    theirs = Envelope(PAYLOAD, KIND, {})
    theirs.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32), _their_key(KEYS[0])))
    envelope = canonical.encode(theirs.to_dict())
    assert dsse.open_payload(envelope, payload_type=KIND) == PAYLOAD
    assert dsse.signers(envelope, PUBLIC) == {PUBLIC[0]}


def test_an_envelope_has_sorted_keys_and_no_blanks() -> None:
    envelope = dsse.sign(b"x", payload_type="t", keys=KEYS[:1])
    signature = b64_encode(KEYS[0].sign(b"DSSEv1 1 t 1 x"))
    assert envelope.decode() == (
        f'{{"payload":"eA==","payloadType":"t","signatures":[{{"keyid":"{key_id(PUBLIC[0])}","sig":"{signature}"}}]}}'
    )


def test_only_keys_that_the_caller_names_count() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=KEYS[:3])
    assert dsse.signers(envelope, PUBLIC[1:]) == set(PUBLIC[1:3])
    assert dsse.signers(envelope, []) == frozenset()


def test_one_key_that_signs_twice_or_is_named_twice_counts_once() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=[KEYS[0], KEYS[0]])
    assert len(dsse.signers(envelope, [PUBLIC[0], PUBLIC[0], PUBLIC[1]])) == 1


def test_one_key_under_two_key_ids_counts_once_where_another_library_counts_two() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=[KEYS[0]])
    first = json.loads(envelope)["signatures"][0]
    doubled = _changed(envelope, signatures=[first, {**first, "keyid": "f" * 64}])
    second = SSlibKey("f" * 64, "ed25519", "ed25519", {"public": PUBLIC[0].hex()})
    assert len(Envelope.from_dict(json.loads(doubled)).verify([_their_key(KEYS[0]), second], 2)) == 2
    assert dsse.signers(doubled, PUBLIC) == {PUBLIC[0]}


def test_a_signature_under_another_key_id_than_the_computed_one_does_not_count() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=[KEYS[0]])
    first = json.loads(envelope)["signatures"][0]
    moved = _changed(envelope, signatures=[{**first, "keyid": key_id(PUBLIC[1])}])
    assert dsse.signers(moved, PUBLIC) == frozenset()
    unnamed = _changed(envelope, signatures=[{**first, "keyid": ""}])
    assert dsse.signers(unnamed, PUBLIC) == frozenset()


def test_another_payload_or_type_leaves_no_signer() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=KEYS[:1])
    assert dsse.signers(_changed(envelope, payload=b64_encode(PAYLOAD + b" ")), PUBLIC) == frozenset()
    assert dsse.signers(_changed(envelope, payloadType=KIND + "x"), PUBLIC) == frozenset()
    with pytest.raises(Malformed, match="payload type"):
        dsse.open_payload(envelope, payload_type="application/json")


def test_operators_on_separate_machines_sign_one_envelope() -> None:
    envelope = dsse.sign(PAYLOAD, payload_type=KIND, keys=KEYS[:1])
    envelope = dsse.add_signatures(dsse.add_signatures(envelope, KEYS[1:2]), KEYS[:2])
    assert dsse.signers(envelope, PUBLIC) == set(PUBLIC[:2])
    assert len(json.loads(envelope)["signatures"]) == 2


GOOD = dsse.sign(b"x", payload_type="t", keys=KEYS[:1])


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(GOOD + b"\n", id="a line feed behind"),
        pytest.param(GOOD.replace(b":", b": ", 1), id="a blank"),
        pytest.param(GOOD.replace(b'"t"', b'"\\u0074"'), id="an escape"),
        pytest.param(b'{"payload":"eA==",' + GOOD[1:], id="a key twice"),
        pytest.param(b'{"extra":1,' + GOOD[1:], id="a field more"),
        pytest.param(_changed(GOOD, signatures=[]), id="no signature"),
        pytest.param(_changed(GOOD, signatures=json.loads(GOOD)["signatures"] * 65), id="too many signatures"),
        pytest.param(_changed(GOOD, payload="eB=="), id="base64 with bits behind its end"),
        pytest.param(_changed(GOOD, payload="eA"), id="base64 without padding"),
        pytest.param(_changed(GOOD, payload=None), id="no payload"),
        pytest.param(b" " * (dsse.ENVELOPE_BYTES_MAX + 1), id="too large"),
    ],
)
def test_an_envelope_of_another_form_is_malformed(envelope: bytes) -> None:
    with pytest.raises(Malformed):
        dsse.signers(envelope, PUBLIC)
