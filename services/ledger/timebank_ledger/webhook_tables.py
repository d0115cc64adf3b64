"""What webhooks keep: subscriptions, their secrets, how far each was served, and a bounded log of deliveries.

    endpoints    id → owner, url, what it wants, secrets, state, and the cursor: position of the next event
    deliveries   endpoint, number → one attempt: event, outcome
    keys         owner, idempotency key → what it did

None of it is in the journal, so none of it can be rebuilt: it is backed up with the journal. The secrets must be usable
and are kept as they are; the file is its owner's alone, a database is protected by its operator.
Source: design page 3, "HTTP API"; standardwebhooks.com.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from timebank_kit.files import UnsafeFile
from timebank_ledger.index_store import index_url

State = Literal["active", "failing", "gone"]
"""failing: nothing is sent until somebody resumes it; gone: the receiver said so with 410."""
Outcome = Literal["delivered", "failed", "waiting"]
STATES: Final[tuple[State, ...]] = ("active", "failing", "gone")
CONNECTIONS_MAX: Final = 4
CONNECT_SECONDS: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Endpoint(NamedTuple):
    """One subscription; moments in milliseconds since 1970."""

    id: str
    owner: str
    url: str
    accounts: tuple[str, ...] | None
    """None: the whole town."""
    types: tuple[str, ...] | None
    """None: every type."""
    secret: str
    old_secret: str | None
    old_secret_until: int
    state: State
    failure: str | None
    position: int
    """Journal position of the first entry that was not served yet."""
    failures: int
    """Attempts in vain for the event that is served now."""
    due: int
    made_at: int
    deliveries: int
    """Number of the last delivery."""
    waiting: int
    """Deliveries that wait to be sent again by hand."""

    def secrets(self, now: int) -> list[str]:
        """The secrets that sign at this moment, the new one first."""
        both = self.old_secret is not None and now < self.old_secret_until
        return [self.secret, self.old_secret] if both and self.old_secret else [self.secret]


class Delivery(NamedTuple):
    """One attempt."""

    endpoint: str
    n: int
    event: str
    type: str
    time: str
    position: int
    at: int
    outcome: Outcome
    attempt: int
    by_hand: bool
    status: int | None
    failure: str | None


def milliseconds(moment: datetime) -> int:
    """A moment as milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(milliseconds: int) -> datetime:
    """The moment that is so many milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def webhooks_url(journal_url: str) -> str:
    """The SQLAlchemy URL of the webhooks that belong to a journal's url: a file beside it, or the same database."""
    if journal_url.startswith("sqlite:"):
        return index_url(journal_url).removesuffix("-index") + "-webhooks"
    return index_url(journal_url)


def open_engine(url: str) -> sa.Engine:
    """An engine for the webhooks, whose errors repeat no row; a new file is made for its owner alone.

    Raises:
        UnsafeFile: the file is open to others.
    """
    if url == "sqlite://":
        options: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        return sa.create_engine(url, hide_parameters=True, **options)
    engine = sa.create_engine(url, hide_parameters=True, pool_size=CONNECTIONS_MAX, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        assert engine.url.database is not None
        _keep_private(Path(engine.url.database))
        sa.event.listen(engine, "connect", _tune_sqlite)
    else:
        sa.event.listen(engine, "do_connect", _connect_postgres)
    return engine


def _keep_private(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(handle).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnsafeFile(f"The webhooks' file {path} holds secrets and is open to others; run: chmod 600 {path}")
    finally:
        os.close(handle)


def _tune_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """A delivery that was noted is on the disk, and the bytes of a secret that was changed are not."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")


def _connect_postgres(_: object, __: object, arguments: Any, options: dict[str, Any]) -> Any:
    """A connection whose every wait ends."""
    # The driver takes 9 MB, and loads where it is used.
    from timebank_kit.answer_limit import AnswerLimit  # noqa: PLC0415 - see above

    return AnswerLimit.connect(*arguments, **{"connect_timeout": CONNECT_SECONDS, **options})


class Tables:
    """The tables of one journal's webhooks.

    Args:
        name: tells apart the journals of one database: letters, digits and `_`.
    """

    def __init__(self, name: str) -> None:
        self.metadata = sa.MetaData()
        prefix = f"webhook_{name}_"
        self.endpoints = sa.Table(
            f"{prefix}endpoints",
            self.metadata,
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("owner", sa.Text, nullable=False, index=True),
            sa.Column("url", sa.Text, nullable=False),
            sa.Column("accounts", sa.Text),
            sa.Column("types", sa.Text),
            sa.Column("secret", sa.Text, nullable=False),
            sa.Column("old_secret", sa.Text),
            sa.Column("old_secret_until", sa.BigInteger, nullable=False),
            sa.Column("state", sa.Text, nullable=False),
            sa.Column("failure", sa.Text),
            sa.Column("position", sa.BigInteger, nullable=False),
            sa.Column("failures", sa.Integer, nullable=False),
            sa.Column("due", sa.BigInteger, nullable=False),
            sa.Column("made_at", sa.BigInteger, nullable=False),
            sa.Column("deliveries", sa.BigInteger, nullable=False),
            sa.Column("waiting", sa.Integer, nullable=False),
        )
        self.deliveries = sa.Table(
            f"{prefix}deliveries",
            self.metadata,
            sa.Column("endpoint", sa.Text, primary_key=True),
            sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("event", sa.Text, nullable=False),
            sa.Column("type", sa.Text, nullable=False),
            sa.Column("time", sa.Text, nullable=False),
            sa.Column("position", sa.BigInteger, nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            sa.Column("outcome", sa.Text, nullable=False),
            sa.Column("attempt", sa.Integer, nullable=False),
            sa.Column("by_hand", sa.Boolean, nullable=False),
            sa.Column("status", sa.Integer),
            sa.Column("failure", sa.Text),
        )
        self.keys = sa.Table(
            f"{prefix}keys",
            self.metadata,
            sa.Column("owner", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("digest", sa.Text, nullable=False),
            sa.Column("endpoint", sa.Text, nullable=False),
            sa.Column("n", sa.BigInteger),
            sa.Column("at", sa.BigInteger, nullable=False),
        )


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as a row."""
    row = endpoint._asdict()
    for name in ("accounts", "types"):
        row[name] = None if row[name] is None else json.dumps(row[name])
    return row


def endpoint_of(row: Any) -> Endpoint:
    """A row as an endpoint."""
    found = dict(row._mapping)
    for name in ("accounts", "types"):
        found[name] = None if found[name] is None else tuple(json.loads(found[name]))
    return Endpoint(**found)


def delivery_of(row: Any) -> Delivery:
    """A row as a delivery."""
    return Delivery(**row._mapping)
