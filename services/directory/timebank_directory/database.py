"""The directory's database: an engine that keeps personal data out of errors, and out of a file once it is deleted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

CONNECTIONS_MAX = 4


def open_engine(url: str) -> Engine:
    """An engine for a SQLAlchemy URL; `sqlite://` is a database in memory."""
    if url == "sqlite://":
        options: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    else:
        options = {"pool_size": CONNECTIONS_MAX}
    # The text of a database error would otherwise repeat the row, and a log would keep it.
    engine = create_engine(url, hide_parameters=True, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _overwrite_deleted)
    return engine


def _overwrite_deleted(connection: Any, _: object) -> None:
    """Else the bytes of a deleted row stay in the file until something else needs their place."""
    connection.execute("PRAGMA secure_delete = ON")
