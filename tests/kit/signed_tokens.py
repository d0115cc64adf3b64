"""Tokens as strangers sign them: any algorithm, any head, any claims."""

from __future__ import annotations

import base64
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

ED = OKPKey.generate_key("Ed25519")
EC = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)
KEYS: dict[str, Any] = {"Ed25519": ED, "EdDSA": ED, "ES256": EC, "RS256": RSA, "PS256": RSA}
"""One for each algorithm."""


def public(key: Any, **more: Any) -> dict[str, Any]:
    """The public JWK of a key, with more members."""
    return {**key.as_dict(private=False), **more}


def part(value: object) -> str:
    """A part of a JWT."""
    return encoded(json.dumps(value).encode())


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def sign(algorithm: str, claims: object, key: Any = None, **head: Any) -> str:
    """A JWT: the key of its algorithm, or any other; the signature covers the head as it is."""
    text = f"{part({'alg': algorithm, **head})}.{part(claims)}"
    model = jws.JWSRegistry.algorithms[algorithm]
    return f"{text}.{encoded(model.sign(text.encode(), key or KEYS[algorithm]))}"
