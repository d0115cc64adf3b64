"""Keys of others: a closed set of algorithms, and a token's head never brings its own key."""

from __future__ import annotations

import hmac

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.kit.signed_tokens import ED, KEYS, RSA, encoded, part, public, sign
from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import Rejected
from timebank_kit.jwt_keys import ALGORITHMS, read_head, read_jwk, read_unverified, verified_claims

CLAIMS = {"sub": "app"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_allowed_algorithm_is_verified_by_its_own_key_alone(algorithm: str) -> None:
    token = sign(algorithm, CLAIMS)
    assert verified_claims(token, read_jwk(public(KEYS[algorithm]))) == CLAIMS
    others = [OKPKey.generate_key("Ed25519"), ECKey.generate_key("P-256"), RSAKey.generate_key(2048)]
    for other in others:
        with pytest.raises(Rejected):
            verified_claims(token, read_jwk(public(other)))
    with pytest.raises(Rejected, match="algorithm"):
        verified_claims(token, read_jwk(public(KEYS[algorithm])), algorithms=set(ALGORITHMS) - {algorithm})


def test_a_key_signs_under_the_algorithm_that_it_names_and_no_other() -> None:
    key = read_jwk(public(RSA, alg="PS256"))
    assert verified_claims(sign("PS256", CLAIMS), key)
    with pytest.raises(Rejected, match="algorithm"):
        verified_claims(sign("RS256", CLAIMS), key)


def test_a_public_key_used_as_a_secret_signs_nothing() -> None:
    """The old confusion of an RSA public key with the secret of HS256."""
    text = f"{part({'alg': 'HS256'})}.{part(CLAIMS)}"
    signature = hmac.digest(RSA.as_pem(private=False), text.encode(), "sha256")
    with pytest.raises(Rejected, match="algorithm"):
        verified_claims(f"{text}.{encoded(signature)}", read_jwk(public(RSA)))


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "crit"])
def test_a_head_that_brings_a_key_is_rejected(name: str) -> None:
    value = {"jku": "https://x.example", "jwk": public(ED), "x5u": "https://x.example", "x5c": ["x"], "crit": ["exp"]}
    with pytest.raises(Rejected, match=name):
        verified_claims(sign("Ed25519", CLAIMS, **{name: value[name]}), read_jwk(public(ED)))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "..", "é.b.c", "x" * 5_000, "W10.W10.W10", "ey.ey.ey"])
def test_what_is_no_token_is_rejected(token: str) -> None:
    for read in (read_head, read_unverified):
        with pytest.raises(Rejected):
            read(token)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": []},
        {"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "é", "e": "AQAB"},
        public(ED, use="enc"),
        public(ED, key_ops=["sign"]),
        public(ED, alg="ES256"),
        public(ED, kid=""),
        public(ED, kid=7),
        ED.as_dict(private=True),
    ],
    ids=lambda _: "value",
)
def test_what_is_no_public_key_that_signs_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        read_jwk(value)


def test_a_small_rsa_key_is_refused() -> None:
    with pytest.raises(Malformed, match="bits"):
        read_jwk({"kty": "RSA", "n": "_" * 171, "e": "AQAB"})
