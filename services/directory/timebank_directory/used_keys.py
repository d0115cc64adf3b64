"""Used keys: which Idempotency-Key asked for what, so that a repeated request is answered as the first time.

    hash of client and key ─▶ hash of key and content, account            nothing that was sent, and no answer

The content's hash is made with the key itself, which is not kept: who reads the table cannot guess a name from it.
A key is forgotten after 30 days, and at once when what it asked for was refused.
Source: design page 3, "Idempotency", for the directory's own writes.
"""

from __future__ import annotations

import json
from datetime import date
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from timebank_contracts.errors import Refusal
from timebank_directory.database import open_engine

KEPT_DAYS: Final = 30
_metadata = MetaData()
_keys = Table(
    "directory_keys",
    _metadata,
    Column("town", String(40), primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("digest", String(32), nullable=False),
    Column("account", String(64), nullable=False),
    Column("day", Integer, nullable=False, index=True),
)


class Asked(NamedTuple):
    """A request under its key, hashed: 32 hex each."""

    key: str
    digest: str


class Begun(NamedTuple):
    """The account that a key stands for, and whether the key is new."""

    account: str
    fresh: bool


def asked_under(key: str, *, client: str, content: dict[str, Any]) -> Asked:
    """What is kept of a request.

    Args:
        key: the client's Idempotency-Key.
        client: who uses it: keys of two clients never meet.
        content: all that was asked, the route included.
    """
    text = json.dumps(content, sort_keys=True)
    return Asked(_hash(f"{client}\n{key}"), _hash(f"{client}\n{key}\n{text}"))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


class UsedKeys:
    """The keys of one town's directory.

    Args:
        url: SQLAlchemy URL; `sqlite://` keeps them in memory.
        town: the node's slug.
    """

    def __init__(self, url: str, town: str) -> None:
        self._town = town
        self._engine = open_engine(url)
        _metadata.create_all(self._engine)

    def begin(self, asked: Asked, *, account: str, today: date) -> Begun:
        """Keep a key, for this account; one that is kept already stands for the account that it began with.

        Raises:
            Refusal: `key_reused`; the same key asked for something else.
        """
        row = {"town": self._town, "key": asked.key, "digest": asked.digest, "account": account}
        try:
            with self._engine.begin() as db:
                db.execute(delete(_keys).where(_keys.c.day < today.toordinal() - KEPT_DAYS))
                found = self._find(db, asked)
                if found is None:
                    db.execute(insert(_keys).values(**row, day=today.toordinal()))
                    return Begun(account, fresh=True)
        except IntegrityError:
            # Another request of the same key was a moment faster.
            found = self.find(asked)
            assert found is not None, "a key that could not be kept is there"
        return Begun(found, fresh=False)

    def find(self, asked: Asked) -> str | None:
        """The account that the key stands for, or None for a new key; raises `Refusal` (`key_reused`)."""
        with self._engine.connect() as db:
            return self._find(db, asked)

    def forget(self, asked: Asked) -> None:
        """Nothing was done: the key may be used again."""
        with self._engine.begin() as db:
            db.execute(delete(_keys).where(_keys.c.town == self._town, _keys.c.key == asked.key))

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def _find(self, db: Connection, asked: Asked) -> str | None:
        chosen = select(_keys.c.digest, _keys.c.account)
        row = db.execute(chosen.where(_keys.c.town == self._town, _keys.c.key == asked.key)).first()
        if row is None:
            return None
        if row.digest != asked.digest:
            raise Refusal("key_reused")
        return str(row.account)
