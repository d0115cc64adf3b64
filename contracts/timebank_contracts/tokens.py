"""Tokens between rooms, nodes and clients: short JWTs under Ed25519 (RFC 9864), one fixed algorithm, no key by header.

    iss   who signed: a node (`aberdare`, event key) or a town's directory (`aberdare/directory`, token key)
    aud   for whom: `<network>/<node>`
    scope space-separated; accounts: a list, or "*" for every account of the town; mandate: an opaque id, or none

Imported by services only; the auditor needs no token. Source: design pages 2, 3 and 4; PROTOCOL.md W1 to W3.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.registry import Registry

SCOPES: Final = frozenset(
    {
        "accounts:read",
        "claims:write",
        "transfers:write",
        "statements:read",
        "reports:read",
        "audit:read",
        "operate",
        "federation",
    }
)
TOKEN_SECONDS_MAX: Final = 900
NODE_TOKEN_SECONDS: Final = 60
CLOCK_SKEW_SECONDS: Final = 60
TOKEN_CHARACTERS_MAX: Final = 4_096
REMEMBERED_MAX: Final = 1_024
_ALGORITHM: Final = "Ed25519"
_MANDATE = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Rejected(Malformed):
    """The token is not one that this service takes; the text says why, without its content."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    issuer: str
    subject: str
    scopes: frozenset[str]
    accounts: frozenset[str] | None
    """None: every account of the town."""
    mandate: str | None = None
    """The mandate under which they act for somebody else: an opaque id."""

    def may_use(self, account: str) -> bool:
        """Whether the caller acts for this account."""
        return self.accounts is None or account in self.accounts


class Issuer(NamedTuple):
    """An issuer that a service believes: its name, its raw public keys, and the scopes it may give."""

    name: str
    keys: tuple[bytes, ...]
    scopes: frozenset[str]


def audience(network: str, node: str) -> str:
    """For whom a token is: `timebank.wales/aberdare`."""
    return f"{network}/{node}"


def peer_issuers(registry: Registry | None) -> dict[str, Issuer]:
    """The nodes of a registry as issuers of node tokens, by name; a closed node issues none any more."""
    nodes = [] if registry is None else [node for node in registry.nodes if node.state != "closed"]
    scopes = frozenset({"federation"})
    return {node.node: Issuer(node.node, tuple(map(b64_decode, node.event_keys)), scopes) for node in nodes}


def bearer(authorization: str | None) -> str:
    """The token in an `Authorization` header; raises `Rejected` when there is none."""
    kind, _, token = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Rejected("Send a token: Authorization: Bearer <token>.")
    return token


class TokenKey:
    """Signs tokens from a 32-byte Ed25519 seed."""

    def __init__(self, seed: bytes, public: bytes) -> None:
        self._key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _b64url(public), "d": _b64url(seed)})

    def issue(
        self,
        *,
        issuer: str,
        subject: str,
        audience: str,
        scopes: frozenset[str],
        accounts: frozenset[str] | None,
        now_seconds: int,
        seconds: int,
        mandate: str | None = None,
    ) -> str:
        """A token that is valid for `seconds` (1 to 900) from `now_seconds` (Unix time), under a mandate or none."""
        assert 0 < seconds <= TOKEN_SECONDS_MAX
        assert scopes <= SCOPES
        assert mandate is None or _MANDATE.fullmatch(mandate)
        claims = {
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "scope": " ".join(sorted(scopes)),
            "accounts": "*" if accounts is None else sorted(accounts),
            "iat": now_seconds,
            "exp": now_seconds + seconds,
        }
        if mandate is not None:
            claims["mandate"] = mandate
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key, algorithms=[_ALGORITHM])


def verify_token(token: str, *, issuers: Mapping[str, Issuer], audience: str, now_seconds: int) -> Caller:
    """The caller that a token names.

    Args:
        token: the text after `Bearer `.
        issuers: by name, those that this service believes.
        audience: this service's own.
        now_seconds: Unix time.

    Raises:
        Rejected: another form, algorithm, issuer, audience, an unknown scope, not yet or no longer valid.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise Rejected("The token is too long.")
    issuer = issuers.get(_named_issuer(token))
    if issuer is None:
        raise Rejected("The token's issuer is not known here.")
    claims = _verified_claims(token, issuer)
    if claims.get("aud") != audience:
        raise Rejected("The token is for another town.")
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int or not 0 < expires - issued <= TOKEN_SECONDS_MAX:
        raise Rejected("The token has no valid times.")
    if not issued - CLOCK_SKEW_SECONDS <= now_seconds < expires + CLOCK_SKEW_SECONDS:
        raise Rejected("The token is over; get a new one.")
    return _caller(token, issuer)


@lru_cache(maxsize=REMEMBERED_MAX)
def _caller(token: str, issuer: Issuer) -> Caller:
    claims = _verified_claims(token, issuer)
    scopes = frozenset(str(claims.get("scope", "")).split())
    if not scopes <= issuer.scopes:
        raise Rejected("The token claims a scope that its issuer cannot give.")
    return Caller(
        issuer=issuer.name,
        subject=str(claims.get("sub", "")),
        scopes=scopes,
        accounts=accounts_said(claims.get("accounts", [])),
        mandate=mandate_said(claims.get("mandate")),
    )


def accounts_said(value: object) -> frozenset[str] | None:
    """The accounts of a token's claim, None for every account; raises `Rejected`."""
    if value == "*":
        return None
    if not isinstance(value, list) or not all(isinstance(account, str) for account in value):
        raise Rejected("The token's accounts are a list or *.")
    return frozenset(value)


def mandate_said(value: object) -> str | None:
    """The mandate of a token's claim, None when there is none; raises `Rejected`."""
    if value is not None and not (isinstance(value, str) and _MANDATE.fullmatch(value)):
        raise Rejected("The token's mandate is an opaque id: a-z, 0-9 and -, at most 63.")
    return value


@lru_cache(maxsize=REMEMBERED_MAX)
def _named_issuer(token: str) -> str:
    """Whom the token says it is from: nothing of it is believed yet."""
    return str(_unverified_claims(token).get("iss"))


def _unverified_claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise Rejected("The token is not a JWT.")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError) as error:
        raise Rejected("The token is not a JWT.") from error
    if not isinstance(claims, dict):
        raise Rejected("The token is not a JWT.")
    return claims


@lru_cache(maxsize=REMEMBERED_MAX)
def _verified_claims(token: str, issuer: Issuer) -> dict[str, Any]:
    """What the token says, once a key of the issuer is seen to have signed it. A client sends its token many times."""
    for public in issuer.keys:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _b64url(public)})
        try:
            return dict(jwt.decode(token, key, algorithms=[_ALGORITHM]).claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            # The header is anybody's text, and the library trusts its types.
            continue
    raise Rejected("The token's signature does not verify.")


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
