"""Where the index is kept: beside the journal, in a database whose every wait ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

POSTGRESQL: Final = "postgresql+psycopg://"


def index_url(journal_url: str) -> str:
    """The SQLAlchemy URL of the index that belongs to a journal's url."""
    if journal_url == "memory:":
        return "sqlite://"
    if journal_url.startswith("sqlite:"):
        return f"sqlite:///{journal_url.removeprefix('sqlite:')}-index"
    return POSTGRESQL + journal_url.split("://", 1)[1]


def open_engine(url: str) -> sa.Engine:
    """The engine for an `index_url`; nothing is connected yet."""
    if url == "sqlite://":
        return sa.create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    if url.startswith(POSTGRESQL):
        return sa.create_engine(url, creator=_connector(url), pool_pre_ping=True)
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _tune_sqlite)
    return engine


def _connector(url: str) -> Callable[[], Any]:
    """Connections whose waits end: a database that is stopped would hold every reader up, and their threads."""
    # The driver loads where it is used.
    from timebank_kit.answer_limit import AnswerLimit, bounded_parameters  # noqa: PLC0415 - see above

    parameters = bounded_parameters(f"postgresql://{url.removeprefix(POSTGRESQL)}", application_name="index")
    return lambda: AnswerLimit.connect(**parameters)


def _tune_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """Losing the last chunk is allowed, it is indexed again; a torn file is not."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
