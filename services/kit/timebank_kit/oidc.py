"""An outside issuer (OpenID Connect) that a town believes beside its directory, or instead of it.

    iss, aud          as set; aud may be a list that names the town        scope               what it may do
    timebank_subject  who calls, an opaque id; by default sub              timebank_accounts   a list, or "*"
    exp, iat, nbf     at most an hour of life                              timebank_mandate    an opaque id, or none

It gives only the scopes that the operators allowed it; scopes that are none of ours (`openid`) count for nothing.
Source: OpenID Connect Core; RFC 9068; RFC 8725; design page 4, "Sign-in"; PROTOCOL.md W9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from timebank_contracts.errors import Malformed
from timebank_contracts.tokens import (
    CLOCK_SKEW_SECONDS,
    SCOPES,
    Caller,
    Issuer,
    Rejected,
    accounts_said,
    mandate_said,
    verify_token,
)
from timebank_kit.clock import Clock
from timebank_kit.jwt_keys import ALGORITHMS, PublicJwk, read_head, read_unverified, verified_claims
from timebank_kit.key_set import JWKS_SECONDS_MAX, KeySet, at_once, file_reader, in_a_thread, read_key_set, url_reader
from timebank_kit.settings import SettingRefused

OUTSIDE_SECONDS_MAX: Final = 3_600
ACCOUNTS_MAX: Final = 1_000
REMEMBERED_MAX: Final = 1_024
DEFAULT_SCOPES: Final = "accounts:read claims:write reports:read statements:read transfers:write"
GIVEN_MAX: Final = SCOPES - {"federation"}
"""What operators may allow it; `federation` is a node's own, by its event key."""
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_OPAQUE: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _address(text: str) -> str:
    parts = urlsplit(text)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an address such as https://id.example.org/realm")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("an address begins with https://, but on this machine")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _scopes(text: str) -> str:
    if not set(text.split()) <= GIVEN_MAX:
        raise ValueError(f"scopes, separated by spaces, of: {', '.join(sorted(GIVEN_MAX))}")
    return text


def _algorithms(text: str) -> str:
    if not text.split() or not set(text.split()) <= set(ALGORITHMS):
        raise ValueError(f"algorithms, separated by spaces, of: {', '.join(ALGORITHMS)}")
    return text


class OidcSettings(BaseSettings):
    """What a service is told of an outside issuer: `TIMEBANK_<ROOM>_OIDC_…`."""

    oidc_issuer: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None, description="Issuer whose tokens are believed, as `iss` names it."
    )
    oidc_jwks_url: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None, description="Where it publishes its keys."
    )
    oidc_jwks_file: Path | None = Field(default=None, description="A file of its keys, in place of the address.")
    oidc_algorithms: Annotated[str, AfterValidator(_algorithms)] = Field(
        default=" ".join(ALGORITHMS), description="What it may sign under, separated by spaces."
    )
    oidc_scopes: Annotated[str, AfterValidator(_scopes)] = Field(
        default=DEFAULT_SCOPES, description="What it may give, separated by spaces."
    )


class OutsideIssuer:
    """Judges the tokens of one outside issuer for one town.

    Args:
        name: as `iss` names it.
        audience: the town's.
        keys: its keys.
        algorithms: those that it may sign under.
        scopes: those that it may give.
    """

    def __init__(
        self, *, name: str, audience: str, keys: KeySet, algorithms: frozenset[str], scopes: frozenset[str]
    ) -> None:
        assert scopes <= GIVEN_MAX
        self._name, self._audience, self._keys = name, audience, keys
        self._algorithms, self._scopes = algorithms, scopes

    def has_issued(self, token: str) -> bool:
        """Whether a token says that it is this issuer's; nothing is verified yet."""
        try:
            return read_unverified(token).get("iss") == self._name
        except Rejected:
            return False

    def wait_for_keys(self, *, seconds: float) -> bool:
        """Whether its keys were read, or could not be, within so many seconds; a service need not wait."""
        return self._keys.wait(seconds=seconds)

    def verify(self, token: str, *, now_seconds: int) -> Caller:
        """The caller that a token names.

        Raises:
            Rejected: another form, key, algorithm, audience, or scope than is allowed; not yet or no longer valid.
            KeysAway: the issuer's keys cannot be had now.
        """
        head = read_head(token)
        kid, kind = head.get("kid"), head.get("typ", "JWT")
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise Rejected("The token's head names its key (kid), and its type JWT or at+jwt.")
        key = self._keys.find(kid)
        if key is None:
            raise Rejected("The token's key is none of its issuer's.")
        claims = _verified(token, key, self._algorithms)
        if claims.get("iss") != self._name:
            raise Rejected("The token's issuer is not known here.")
        aud = claims.get("aud")
        if self._audience not in (aud if isinstance(aud, list) else [aud]):
            raise Rejected("The token is for another town.")
        _check_times(claims, now_seconds)
        # What is no scope of ours is the issuer's own matter.
        scopes = frozenset(str(claims.get("scope", "")).split()) & SCOPES
        if not scopes <= self._scopes:
            raise Rejected("The token claims a scope that its issuer cannot give.")
        accounts = accounts_said(claims.get("timebank_accounts", []))
        if accounts is not None and len(accounts) > ACCOUNTS_MAX:
            raise Rejected(f"The token names more than {ACCOUNTS_MAX} accounts.")
        return Caller(
            issuer=self._name,
            subject=_subject(claims),
            scopes=scopes,
            accounts=accounts,
            mandate=mandate_said(claims.get("timebank_mandate")),
        )


def caller_of(
    token: str, *, issuers: Mapping[str, Issuer], outside: OutsideIssuer | None, audience: str, now_seconds: int
) -> Caller:
    """The caller that a token names, whoever issued it.

    Args:
        token: the text after `Bearer `.
        issuers: of this network, by name.
        outside: the town's outside issuer, if it has one.
        audience: the town's.
        now_seconds: Unix time.

    Raises:
        Rejected: not a token that counts here and now.
        KeysAway: the outside issuer's keys cannot be had now.
    """
    if outside is not None and outside.has_issued(token):
        return outside.verify(token, now_seconds=now_seconds)
    return verify_token(token, issuers=issuers, audience=audience, now_seconds=now_seconds)


def open_issuer(
    settings: OidcSettings, *, audience: str, clock: Clock, http: httpx.Client | None = None
) -> OutsideIssuer | None:
    """The outside issuer that settings name, or None.

    Args:
        settings: of the service.
        audience: the town's.
        clock: tells how old its keys are.
        http: a client for its address; by default a new one.

    Raises:
        SettingRefused: keys without an issuer, an issuer without keys or with two places of them, or a file without.
    """
    url, file = settings.oidc_jwks_url, settings.oidc_jwks_file
    if settings.oidc_issuer is None and url is None and file is None:
        return None
    prefix = settings.model_config["env_prefix"]
    if settings.oidc_issuer is None or (url is None) == (file is None):
        raise SettingRefused(f"Set {prefix}OIDC_ISSUER and one of {prefix}OIDC_JWKS_URL and {prefix}OIDC_JWKS_FILE.")
    if file is not None:
        try:
            read_key_set(file_reader(file)())
        except (OSError, Malformed) as error:
            raise SettingRefused(f"The keys in {prefix}OIDC_JWKS_FILE cannot be used: {error}") from error
        keys = KeySet(file_reader(file), clock, start=at_once)
    else:
        assert url is not None
        http = http or httpx.Client(timeout=JWKS_SECONDS_MAX, follow_redirects=False)
        keys = KeySet(url_reader(http, url), clock, start=in_a_thread)
    keys.refresh()
    return OutsideIssuer(
        name=settings.oidc_issuer,
        audience=audience,
        keys=keys,
        algorithms=frozenset(settings.oidc_algorithms.split()),
        scopes=frozenset(settings.oidc_scopes.split()),
    )


@lru_cache(maxsize=REMEMBERED_MAX)
def _verified(token: str, key: PublicJwk, algorithms: frozenset[str]) -> dict[str, Any]:
    """What the token says, once its key is seen to have signed it. A client sends its token many times."""
    return verified_claims(token, key, algorithms=algorithms)


def _check_times(claims: dict[str, Any], now_seconds: int) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    begun = claims.get("nbf", issued)
    if type(issued) is not int or type(expires) is not int or type(begun) is not int:
        raise Rejected("The token has no valid times.")
    if not 0 < expires - issued <= OUTSIDE_SECONDS_MAX:
        raise Rejected(f"The token lives longer than {OUTSIDE_SECONDS_MAX} seconds; set its issuer so.")
    if not max(issued, begun) - CLOCK_SKEW_SECONDS <= now_seconds < expires + CLOCK_SKEW_SECONDS:
        raise Rejected("The token is over; get a new one.")


def _subject(claims: dict[str, Any]) -> str:
    """Who calls, as the journal may name them for ever: never an address or a name."""
    said = claims.get("timebank_subject", claims.get("sub"))
    if isinstance(said, str) and _UUID.fullmatch(said):
        return f"u-{said}"
    if not isinstance(said, str) or not _OPAQUE.fullmatch(said):
        raise Rejected(
            "The token's subject is an opaque id, a-z, 0-9 and -, or a UUID: set the claim timebank_subject."
        )
    return said
