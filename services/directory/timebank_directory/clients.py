"""Clients: programs that call the town's APIs. Made by the operator's command, each with a secret and what it may do.

A secret is shown once and kept as a salted scrypt hash. Tokens last 15 minutes at the most.
Source: design page 4, "Sign-in"; PROTOCOL.md W1.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import scrypt
from typing import Final

import msgspec
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from timebank_contracts.errors import Malformed
from timebank_contracts.names import ACCOUNT_PATTERN
from timebank_contracts.tokens import SCOPES
from timebank_directory.database import open_engine

SECRET_BYTES: Final = 32
GRANTABLE: Final = SCOPES - {"federation"}
"""What a program may be granted; `federation` is a node's own, by its event key."""
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
class Client:
    """A client: its scopes and the accounts that it was granted (None: all of the town)."""

    client: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...] | None
    salt: bytes
    secret_hash: bytes


class Clients:
    """The clients of one town, in the directory's database."""

    def __init__(self, url: str, town: str) -> None:
        self._town = town
        self._engine = open_engine(url)
        _metadata.create_all(self._engine)

    def add(self, client: str, *, scopes: list[str], accounts: list[str] | None, secret: str, salt: bytes) -> None:
        """Keep a new client.

        Raises:
            Malformed: a scope that cannot be granted, none at all, a client or account of another form, a client that
                exists, or a secret under 32 characters.
        """
        if not _CLIENT.fullmatch(client):
            raise Malformed("A client's id is 1 to 63 of a-z, 0-9 and -, beginning with a letter.")
        if not scopes or not set(scopes) <= GRANTABLE:
            raise Malformed(f"Name at least one scope of: {', '.join(sorted(GRANTABLE))}.")
        if not all(_ACCOUNT.fullmatch(account) for account in accounts or ()):
            raise Malformed("An account's id is 1 to 63 of a-z, 0-9 and -, as the directory gave it.")
        if len(secret) < SECRET_BYTES or len(salt) < 16:
            raise Malformed("A secret has at least 32 characters, a salt 16 bytes.")
        kept = Client(
            client=client,
            scopes=tuple(sorted(scopes)),
            accounts=None if accounts is None else tuple(accounts),
            salt=salt,
            secret_hash=_hash(secret, salt),
        )
        try:
            with self._engine.begin() as db:
                db.execute(insert(_clients).values(town=self._town, client=client, document=msgspec.json.encode(kept)))
        except IntegrityError as error:
            raise Malformed("A client of this id exists; choose another.") from error

    def check(self, client: str, secret: str) -> Client | None:
        """The client, when the secret is its own; the time taken does not tell whether it exists."""
        chosen = select(_clients.c.document).where(_clients.c.town == self._town, _clients.c.client == client)
        with self._engine.connect() as db:
            row = db.execute(chosen).first()
        found = None if row is None else msgspec.json.decode(row.document, type=Client)
        given = _hash(secret, b"0" * 16 if found is None else found.salt)
        return found if found is not None and hmac.compare_digest(given, found.secret_hash) else None

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


def _hash(secret: str, salt: bytes) -> bytes:
    return scrypt(secret[:256].encode(), salt=salt, maxmem=64 * 1024 * 1024, **_COST)
