"""Assertions: a client that proves itself by a key signs who it is, for this town and for minutes, once.

    iss = sub   the client's id                 exp   at most 5 minutes ahead
    aud         this town, by name or address   jti   once, however many processes serve the directory

Only a key that the operator registered counts. Source: RFC 7523, section 3; RFC 8725; PROTOCOL.md W8.
"""

from __future__ import annotations

from collections.abc import Set
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Column, Integer, MetaData, String, Table, delete, func, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from timebank_contracts.tokens import CLOCK_SKEW_SECONDS, Rejected
from timebank_directory.clients import CLIENT_ALGORITHMS, CLIENT_CHARACTERS_MAX, Client, Clients
from timebank_kit.jwt_keys import PublicJwk, read_head, read_jwk, read_unverified, verified_claims

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS_MAX: Final = 300
ASSERTIONS_MAX: Final = 1_000
"""That a client may have used and that are not over: more could not be remembered for ever."""
JTI_CHARACTERS_MAX: Final = 200
_NOBODY = read_jwk({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
"""Verified against where there is no client, so that an unknown one costs what a wrong signature costs."""

_metadata = MetaData()
_used = Table(
    "directory_assertions",
    _metadata,
    Column("town", String(40), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("jti", String(64), primary_key=True),
    Column("until_seconds", Integer, nullable=False),
)


class TooMany(Exception):
    """The client used more assertions than are remembered; it may come again when some are over."""


class Assertions:
    """Judges assertions of one town's clients, and remembers the used ones in the directory's database.

    Args:
        clients: of the town.
        town: its name.
        audiences: what `aud` may be: names and addresses of this town.
    """

    def __init__(self, clients: Clients, town: str, audiences: Set[str]) -> None:
        self._clients, self._engine, self._town = clients, clients.engine, town
        self._audiences = frozenset(audiences)
        _metadata.create_all(self._engine)

    def check(self, assertion: str, *, now_seconds: int) -> Client | None:
        """The client that signed this assertion, now and for the first time; None when no client did.

        Raises:
            TooMany: it used 1,000 others that are not over yet.
        """
        try:
            claims, client = self._verified(assertion, now_seconds=now_seconds)
        except Rejected:
            return None
        until = claims["exp"] + CLOCK_SKEW_SECONDS
        jti = sha256(claims["jti"].encode("utf-8", "surrogatepass")).hexdigest()
        return client if _use(self._engine, self._town, client.client, jti, until, now_seconds=now_seconds) else None

    def close(self) -> None:
        """Release the connections of the database, which are the clients' as well."""
        self._clients.close()

    def _verified(self, assertion: str, *, now_seconds: int) -> tuple[dict[str, Any], Client]:
        client = self._clients.find(named_client(assertion))
        keys = [] if client is None else client.valid_keys(now_seconds=now_seconds)
        claims = _claims_of(assertion, keys or [_NOBODY])
        if client is None or not keys:
            raise Rejected("No client of this name has a key.")
        _check(claims, client.client, self._audiences, now_seconds=now_seconds)
        return claims, client


def named_client(assertion: str) -> str:
    """The client that an assertion names, not verified; empty when it names none."""
    try:
        said = read_unverified(assertion).get("sub")
    except Rejected:
        return ""
    return said if isinstance(said, str) and len(said) <= CLIENT_CHARACTERS_MAX else ""


def _claims_of(assertion: str, keys: list[PublicJwk]) -> dict[str, Any]:
    kid = read_head(assertion).get("kid")
    for key in keys:
        if kid is not None and key.kid is not None and key.kid != kid:
            continue
        try:
            return verified_claims(assertion, key, algorithms=CLIENT_ALGORITHMS)
        except Rejected:
            continue
    raise Rejected("No key of the client signed this assertion.")


def _check(claims: dict[str, Any], client: str, audiences: frozenset[str], *, now_seconds: int) -> None:
    if claims.get("iss") != client or claims.get("sub") != client:
        raise Rejected("iss and sub are the client's id.")
    aud = claims.get("aud")
    # An assertion for several could be used by each of them at the others.
    named = aud[0] if isinstance(aud, list) and len(aud) == 1 else aud
    if not isinstance(named, str) or named not in audiences:
        raise Rejected("aud is this town, and nobody else.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_CHARACTERS_MAX:
        raise Rejected("jti is a text that was not used before.")
    expires = claims.get("exp")
    if type(expires) is not int or not -CLOCK_SKEW_SECONDS < expires - now_seconds <= ASSERTION_SECONDS_MAX:
        raise Rejected("exp is a time within the next 5 minutes.")
    for name in ("iat", "nbf"):
        begun = claims.get(name, now_seconds)
        if type(begun) is not int or begun > now_seconds + CLOCK_SKEW_SECONDS:
            raise Rejected(f"{name} is a time that has come.")


def _use(engine: Engine, town: str, client: str, jti: str, until: int, *, now_seconds: int) -> bool:
    """Whether the jti is new; it is remembered until it is over. The database decides between processes."""
    own = (_used.c.town == town) & (_used.c.client == client)
    try:
        with engine.begin() as db:
            db.execute(delete(_used).where(own, _used.c.until_seconds <= now_seconds))
            if db.execute(select(func.count()).select_from(_used).where(own)).scalar_one() >= ASSERTIONS_MAX:
                raise TooMany
            db.execute(insert(_used).values(town=town, client=client, jti=jti, until_seconds=until))
    except IntegrityError:
        return False
    return True
