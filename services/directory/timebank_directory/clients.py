"""Clients: programs that call the town's APIs. Made by the operator's command, each with a proof and what it may do.

A client proves who it is by a secret (shown once, kept as a salted scrypt hash) or by a key whose public part is kept
(`assertions.py`). A new one is given beside the old one, which ends at a time; two processes that change a client at
one moment do not lose each other's change. Nothing is granted that was not named. Tokens last 15 minutes at the most.
Source: design page 4, "Sign-in"; PROTOCOL.md W1 and W8.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import scrypt
from typing import Any, Final

import msgspec
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from timebank_contracts.errors import Malformed
from timebank_contracts.names import ACCOUNT_PATTERN
from timebank_contracts.tokens import SCOPES
from timebank_directory.database import open_engine
from timebank_kit.jwt_keys import PublicJwk, read_jwk

SECRET_BYTES: Final = 32
SALT_BYTES_MIN: Final = 16
GRANTABLE: Final = SCOPES - {"federation"}
"""What a program may be granted; `federation` is a node's own, by its event key."""
CLIENT_ALGORITHMS: Final = frozenset({"Ed25519", "EdDSA", "ES256"})
"""Under which a client may sign."""
PROOFS_MAX: Final = 4
"""Secrets, and keys, that a client has at one time; the oldest go."""
OVERLAP_DAYS_MAX: Final = 30
CLIENTS_MAX: Final = 1_000
CLIENT_CHARACTERS_MAX: Final = 63
_KEY_MEMBERS: Final = ("kty", "crv", "x", "y", "kid", "alg", "use")
_CLIENT = re.compile(r"[a-z][a-z0-9-]{0,62}")
_ACCOUNT = re.compile(ACCOUNT_PATTERN)
_COST: Final = {"n": 2**14, "r": 8, "p": 1}

_metadata = MetaData()
_clients = Table(
    "directory_clients",
    _metadata,
    Column("town", String(40), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSecret:
    """A secret that still counts, until a Unix time."""

    until_seconds: int
    secret_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A registered public key; `until_seconds` (Unix time) None: the one in use."""

    jwk: dict[str, Any]
    until_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client: its scopes, the accounts that it was granted (None: all of the town), and how it proves who it is."""

    client: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...] | None
    salt: bytes
    secret_hash: bytes = b""
    """Of the newest secret; empty: it has none."""
    former: tuple[FormerSecret, ...] = ()
    keys: tuple[ClientKey, ...] = ()
    mandate: str | None = None
    """Under which it acts for somebody else."""
    revoked: bool = False

    def valid_keys(self, *, now_seconds: int) -> list[PublicJwk]:
        """The keys that count at a Unix time."""
        return [read_jwk(key.jwk) for key in self.keys if key.until_seconds is None or now_seconds < key.until_seconds]


class Clients:
    """The clients of one town, in the directory's database."""

    def __init__(self, url: str, town: str) -> None:
        self._town = town
        self.engine: Engine = open_engine(url)
        _metadata.create_all(self.engine)

    def add(
        self,
        client: str,
        *,
        scopes: list[str],
        accounts: list[str] | None,
        secret: str | None,
        salt: bytes,
        key: Mapping[str, Any] | None = None,
        mandate: str | None = None,
    ) -> Client:
        """Keep a new client.

        Args:
            client: its id.
            scopes: what it may do; none named, none granted.
            accounts: those that it may act for; None: all of the town.
            secret: at least 32 characters, or None when it has a key.
            salt: at least 16 random bytes.
            key: its public key as a JWK, Ed25519 or P-256.
            mandate: an opaque id, when it acts for somebody else.

        Returns:
            What was kept: nothing more was granted.

        Raises:
            Malformed: a scope that cannot be granted, a client, account, mandate, secret or key of another form,
                neither secret nor key, or a client that exists.
        """
        if not _CLIENT.fullmatch(client) or not (mandate is None or _CLIENT.fullmatch(mandate)):
            raise Malformed("A client's id, and a mandate's, is 1 to 63 of a-z, 0-9 and -, beginning with a letter.")
        if not set(scopes) <= GRANTABLE:
            raise Malformed(f"A scope is one of: {', '.join(sorted(GRANTABLE))}. There is none for all of them.")
        if not all(_ACCOUNT.fullmatch(account) for account in accounts or ()):
            raise Malformed("An account's id is 1 to 63 of a-z, 0-9 and -, as the directory gave it.")
        if secret is None and key is None:
            raise Malformed("A client has a secret, a key, or both.")
        if len(salt) < SALT_BYTES_MIN:
            raise Malformed(f"A salt has at least {SALT_BYTES_MIN} bytes.")
        kept = Client(
            client=client,
            scopes=tuple(sorted(set(scopes))),
            accounts=None if accounts is None else tuple(accounts),
            salt=salt,
            secret_hash=b"" if secret is None else _hash(_checked(secret), salt),
            keys=() if key is None else (ClientKey(jwk=_checked_key(key)),),
            mandate=mandate,
        )
        try:
            with self.engine.begin() as db:
                db.execute(insert(_clients).values(town=self._town, client=client, document=msgspec.json.encode(kept)))
        except IntegrityError as error:
            raise Malformed("A client of this id exists, or existed; choose another.") from error
        return kept

    def rotate(
        self,
        client: str,
        *,
        now_seconds: int,
        overlap_seconds: int,
        secret: str | None = None,
        key: Mapping[str, Any] | None = None,
    ) -> Client:
        """Give a client a new secret or key; the old one counts until `overlap_seconds` (0 to 30 days) from now.

        Raises:
            Malformed: no such client, a secret or key of another form, or one that another process changed meanwhile.
        """
        assert 0 <= overlap_seconds <= OVERLAP_DAYS_MAX * 86_400
        old, document = self._found(client)
        until, new = now_seconds + overlap_seconds, old
        if secret is not None:
            former = [] if not old.secret_hash else [FormerSecret(until_seconds=until, secret_hash=old.secret_hash)]
            former += [one for one in old.former if now_seconds < one.until_seconds]
            # An older one ends no later than the one after it: overlap 0 ends them all.
            ended = [replace(one, until_seconds=min(one.until_seconds, until)) for one in former]
            hashed = _hash(_checked(secret), old.salt)
            new = replace(new, secret_hash=hashed, former=tuple(ended[: PROOFS_MAX - 1]))
        if key is not None:
            keys = [one for one in old.keys if one.until_seconds is None or now_seconds < one.until_seconds]
            ended_keys = [replace(one, until_seconds=min(one.until_seconds or until, until)) for one in keys]
            new = replace(new, keys=(ClientKey(jwk=_checked_key(key)), *ended_keys[: PROOFS_MAX - 1]))
        self._replace(document, new)
        return new

    def revoke(self, client: str) -> None:
        """Take every proof from a client for good; its id is never given again. Raises `Malformed`: no such client."""
        old, document = self._found(client)
        self._replace(document, replace(old, secret_hash=b"", former=(), keys=(), revoked=True))

    def listed(self) -> list[Client]:
        """The clients by id, at most 1,000, revoked ones among them."""
        chosen = select(_clients.c.document).where(_clients.c.town == self._town)
        with self.engine.connect() as db:
            rows = db.execute(chosen.order_by(_clients.c.client).limit(CLIENTS_MAX)).all()
        return [_decode(row.document) for row in rows]

    def find(self, client: str) -> Client | None:
        """The client that has this id and was not revoked."""
        row = self._row(client)
        found = None if row is None else _decode(row)
        return None if found is None or found.revoked else found

    def check(self, client: str, secret: str, *, now_seconds: int) -> Client | None:
        """The client, when the secret is its own; the time taken does not tell whether it exists."""
        found = self.find(client)
        given = _hash(secret, b"0" * SALT_BYTES_MIN if found is None else found.salt)
        if found is None:
            return None
        hashes = [found.secret_hash, *(one.secret_hash for one in found.former if now_seconds < one.until_seconds)]
        # Every one is compared: how many there are is told by nothing.
        return found if sum(hmac.compare_digest(given, kept) for kept in hashes) else None

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    def _row(self, client: str) -> bytes | None:
        chosen = select(_clients.c.document).where(_clients.c.town == self._town, _clients.c.client == client)
        with self.engine.connect() as db:
            row = db.execute(chosen).first()
        return None if row is None else bytes(row.document)

    def _found(self, client: str) -> tuple[Client, bytes]:
        document = self._row(client)
        if document is None or _decode(document).revoked:
            raise Malformed("There is no such client; `timebank client list` shows them.")
        return _decode(document), document

    def _replace(self, document: bytes, new: Client) -> None:
        row = (_clients.c.town == self._town) & (_clients.c.client == new.client)
        unchanged = _clients.c.document == document
        with self.engine.begin() as db:
            changed = db.execute(update(_clients).where(row, unchanged).values(document=msgspec.json.encode(new)))
            if changed.rowcount != 1:
                raise Malformed("Another command changed this client at the same moment; look at it, and try again.")


def _decode(document: bytes) -> Client:
    return msgspec.json.decode(document, type=Client)


def _checked(secret: str) -> str:
    if len(secret) < SECRET_BYTES:
        raise Malformed(f"A secret has at least {SECRET_BYTES} characters.")
    return secret


def _checked_key(key: Mapping[str, Any]) -> dict[str, Any]:
    if not read_jwk(dict(key)).algorithms & CLIENT_ALGORITHMS:
        raise Malformed("A client's key is Ed25519 (OKP) or P-256 (EC).")
    return {name: key[name] for name in _KEY_MEMBERS if name in key}


def _hash(secret: str, salt: bytes) -> bytes:
    return scrypt(secret[:256].encode(), salt=salt, maxmem=64 * 1024 * 1024, **_COST)
