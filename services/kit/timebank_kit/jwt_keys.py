"""Public keys of others as JWKs, and tokens that one of them signed: a closed set of algorithms, no key from a head.

    Ed25519, EdDSA   OKP, Ed25519        ES256   EC, P-256        RS256, PS256   RSA of 2,048 to 8,192 bits

Whose key it is, and what the token may say, is the caller's matter (`oidc.py`; the directory's `assertions.py`).
Source: RFC 7515, 7517, 7518, 8037, 8725 and 9864; design page 4, "Sign-in".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import TOKEN_CHARACTERS_MAX, Rejected

ALGORITHMS: Final = ("Ed25519", "EdDSA", "ES256", "PS256", "RS256")
"""What a token may be signed under; no secret key, and nothing that needs none."""
RSA_BITS_MIN: Final = 2_048
RSA_BITS_MAX: Final = 8_192
KEY_ID_CHARACTERS_MAX: Final = 200
_FITS: Final = {
    ("OKP", "Ed25519"): frozenset({"Ed25519", "EdDSA"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("RSA", None): frozenset({"RS256", "PS256"}),
}
_KINDS: Final[dict[str, Any]] = {"OKP": OKPKey, "EC": ECKey, "RSA": RSAKey}
_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_BARRED: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""Members of a head that would bring a key, or a meaning, from the one who must prove something."""


@dataclass(frozen=True, slots=True)
class PublicJwk:
    """A public key that signs."""

    kid: str | None
    algorithms: frozenset[str]
    """Under which it may sign."""
    text: str
    """The key itself: the members that make it, as JSON."""


class _Quiet(JWSRegistry):
    """Takes `EdDSA` without the library's warning that RFC 9864 names it `Ed25519` now: issuers still write it."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name] if name in (self.allowed or ()) else super().get_alg(name)


def read_jwk(value: object) -> PublicJwk:
    """The public key that a JWK describes.

    Raises:
        Malformed: another kind of key, a private one, one for encryption, or one of another form.
    """
    if not isinstance(value, dict):
        raise Malformed("A public key is a JWK: a JSON object with kty and the key's own members.")
    if {"d", "k", "p", "q", "oth"} & value.keys():
        raise Malformed("This JWK holds a private or secret key; keep it, and give its public part alone.")
    kind, kid = value.get("kty"), value.get("kid")
    # A member of another type could not be looked up.
    curve = None if kind == "RSA" else str(value.get("crv"))
    fits = _FITS.get((str(kind), curve))
    if fits is None:
        raise Malformed("A key is Ed25519 (OKP), P-256 (EC) or RSA.")
    if value.get("use", "sig") != "sig" or "verify" not in value.get("key_ops", ["verify"]):
        raise Malformed("The key is not one that signs.")
    if "alg" in value:
        fits &= {str(value["alg"])}
    if not fits:
        raise Malformed(f"A key's algorithm is one of {', '.join(ALGORITHMS)}, and fits its kind.")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= KEY_ID_CHARACTERS_MAX):
        raise Malformed(f"A key's kid is a text of at most {KEY_ID_CHARACTERS_MAX} characters.")
    members = {name: value[name] for name in _MEMBERS if name in value}
    if not all(isinstance(member, str) for member in members.values()):
        raise Malformed("The members of a JWK are texts.")
    if kind == "RSA" and not RSA_BITS_MIN <= _bits(members.get("n", "")) <= RSA_BITS_MAX:
        raise Malformed(f"An RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits.")
    text = json.dumps(members, sort_keys=True)
    _imported(text)
    return PublicJwk(kid, fits, text)


def read_head(token: str) -> dict[str, Any]:
    """The head of a token: not verified, and without a member that would bring a key.

    Raises:
        Rejected: no JWT, too long, or a head that says more than algorithm, type and kid.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise Rejected("The token is too long.")
    head = _json_part(token, 0)
    if _BARRED & head.keys():
        raise Rejected(f"A token names its key by kid alone; leave out {', '.join(sorted(_BARRED & head.keys()))}.")
    return head


def read_unverified(token: str) -> dict[str, Any]:
    """The claims of a token, not verified: only to find out whose key to ask. Raises `Rejected`."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise Rejected("The token is too long.")
    return _json_part(token, 1)


def verified_claims(token: str, key: PublicJwk, *, algorithms: Collection[str] = ALGORITHMS) -> dict[str, Any]:
    """What a token says, once the key is seen to have signed it under an allowed algorithm that fits the key.

    Raises:
        Rejected: another key or algorithm, or a head of another form.
    """
    algorithm = read_head(token).get("alg")
    if not isinstance(algorithm, str) or algorithm not in key.algorithms or algorithm not in algorithms:
        raise Rejected("The token's algorithm is not allowed for this key.")
    try:
        return dict(jwt.decode(token, _imported(key.text), registry=_Quiet(algorithms=[algorithm])).claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        # The head is anybody's text, and the library trusts its types.
        raise Rejected("The token's signature does not verify.") from error


@lru_cache(maxsize=256)
def _imported(text: str) -> Any:
    members = json.loads(text)
    try:
        return _KINDS[members["kty"]].import_key(members)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Malformed("The JWK's members do not make a key.") from error


def _json_part(token: str, number: int) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise Rejected("The token is not a JWT.")
    try:
        said = json.loads(_decoded(parts[number]))
    except (ValueError, RecursionError) as error:
        raise Rejected("The token is not a JWT.") from error
    if not isinstance(said, dict):
        raise Rejected("The token is not a JWT.")
    return said


def _bits(text: str) -> int:
    try:
        return int.from_bytes(_decoded(text), "big").bit_length()
    except ValueError:
        return 0


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no base64url") from error
