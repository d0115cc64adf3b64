"""Hostile tokens: JWTs made by hand, because no honest library makes them. PROTOCOL.md W1 to W3."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

from contracts.vectors.paper_town import make_key
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts.keys import SigningKey

NOW_SECONDS = 1_775_000_000
AUDIENCE = "timebank.wales/barry"
DIRECTORY = make_key("barry token key")
PEER = make_key("aberdare event key")
HEAD = {"alg": "Ed25519"}
MEMBER = {
    "iss": "barry/directory",
    "sub": "bryn",
    "aud": AUDIENCE,
    "scope": "accounts:read transfers:write",
    "accounts": ["bryn"],
    "iat": NOW_SECONDS,
    "exp": NOW_SECONDS + 300,
}
NODE = MEMBER | {"iss": "aberdare", "sub": "aberdare", "scope": "federation", "accounts": [], "exp": NOW_SECONDS + 60}


def _part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def make_token(claims: Any, *, head: Any = None, key: SigningKey = DIRECTORY) -> str:
    """A token with this head (Ed25519 when none is given) and these claims, signed by this key."""
    body = claims if isinstance(claims, bytes) else _json(claims)
    said = f"{_part(_json(HEAD if head is None else head))}.{_part(body)}"
    return f"{said}.{_part(key.sign(said.encode()))}"


def token_vectors() -> dict[str, Any]:
    """The service that judges, and its cases."""
    scopes = ["accounts:read", "claims:write", "transfers:write"]
    good = [
        ("valid-of-a-member", "W1", make_token(MEMBER), True),
        ("valid-of-a-node", "W1", make_token(NODE, key=PEER), True),
    ]
    bad = [(name, rule, token, False) for name, rule, token in [*_signatures(), *_claims()]]
    cases: list[Case] = [
        {"name": name, "rules": rule.split(), "token": token, "valid": valid} for name, rule, token, valid in good + bad
    ]
    return {
        "now_seconds": NOW_SECONDS,
        "audience": AUDIENCE,
        "issuers": {
            "barry/directory": {"keys": [b64(DIRECTORY.public)], "scopes": scopes},
            "aberdare": {"keys": [b64(PEER.public)], "scopes": ["federation"]},
        },
        "cases": cases,
    }


def _signatures() -> list[tuple[str, str, str]]:
    good = make_token(MEMBER)
    head, claims, sig = good.split(".")
    none = f"{_part(_json({'alg': 'none'}))}.{claims}"
    shared = f"{_part(_json({'alg': 'HS256'}))}.{claims}"
    mac = _part(hmac.digest(DIRECTORY.public, shared.encode(), "sha256"))
    thief = make_key("a thief")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _part(thief.public)}
    other = _part(_json(MEMBER | {"accounts": "*"}))
    return [
        ("alg-none", "W1", f"{none}."),
        ("alg-none-with-the-signature", "W1", f"{none}.{sig}"),
        ("alg-none-in-capitals", "W1", f"{_part(_json({'alg': 'NONE'}))}.{claims}."),
        ("alg-hs256-with-the-public-key", "W1", f"{shared}.{mac}"),
        ("alg-eddsa", "W1", make_token(MEMBER, head={"alg": "EdDSA"})),
        ("alg-missing", "W1", make_token(MEMBER, head={"typ": "JWT"})),
        ("alg-a-list", "W1", make_token(MEMBER, head={"alg": ["Ed25519"]})),
        ("head-is-text", "W1", make_token(MEMBER, head="Ed25519")),
        ("key-in-the-head", "W1", make_token(MEMBER, head=HEAD | {"jwk": jwk}, key=thief)),
        (
            "key-by-an-address-in-the-head",
            "W1",
            make_token(MEMBER, head=HEAD | {"jku": "https://thief.example"}, key=thief),
        ),
        ("an-unknown-critical-header", "W1", make_token(MEMBER, head=HEAD | {"crit": ["exp2"], "exp2": 1})),
        ("of-another-key", "W1", make_token(MEMBER, key=thief)),
        ("of-another-issuers-key", "W1", make_token(MEMBER, key=PEER)),
        ("claims-exchanged", "W1", f"{head}.{other}.{sig}"),
        ("no-signature", "W1", f"{head}.{claims}."),
        ("two-parts", "W1", f"{head}.{claims}"),
        ("four-parts", "W1", f"{good}.{sig}"),
        ("too-long", "W1", make_token(MEMBER | {"sub": "b" * 4096})),
        ("empty", "W1", ""),
    ]


def _claims() -> list[tuple[str, str, str]]:
    def member(**change: Any) -> str:
        return make_token(MEMBER | change)

    missing = {name: value for name, value in MEMBER.items() if name != "exp"}
    return [
        ("of-an-unknown-issuer", "W1", member(iss="dinas/directory")),
        ("without-an-issuer", "W1", member(iss=None)),
        ("for-another-town", "W2", member(aud="timebank.wales/aberdare")),
        ("for-another-network", "W2", member(aud="timebank.example/barry")),
        ("for-two-towns", "W2", member(aud=[AUDIENCE, "timebank.wales/aberdare"])),
        ("for-nobody", "W2", member(aud=None)),
        ("expired", "W2", member(iat=NOW_SECONDS - 500, exp=NOW_SECONDS - 60)),
        ("not-yet-valid", "W2", member(iat=NOW_SECONDS + 61, exp=NOW_SECONDS + 120)),
        ("too-long-a-life", "W2", member(exp=NOW_SECONDS + 901)),
        ("over-before-it-began", "W2", member(exp=NOW_SECONDS - 1)),
        ("without-an-end", "W2", make_token(missing)),
        ("end-is-a-float", "W2", member(exp=NOW_SECONDS + 300.5)),
        ("end-is-true", "W2", member(exp=True)),
        ("end-is-text", "W2", member(exp=str(NOW_SECONDS + 300))),
        ("end-is-2-to-the-63", "W2", member(exp=2**63)),
        ("a-scope-of-nodes", "W3", member(scope="accounts:read federation")),
        ("a-scope-of-operators", "W3", member(scope="operate")),
        ("an-unknown-scope", "W3", member(scope="everything")),
        ("a-node-that-operates", "W3", make_token(NODE | {"scope": "federation operate"}, key=PEER)),
        ("accounts-is-text", "W3", member(accounts="bryn")),
        ("accounts-holds-numbers", "W3", member(accounts=["bryn", 1])),
        ("a-mandate-with-a-name", "W3", member(mandate="Bryn Jones")),
        ("claims-are-a-list", "W1", make_token([MEMBER])),
        ("claims-are-nested-deep", "W1", make_token(b"[" * 1400 + b"]" * 1400)),
    ]
