"""The journal in PostgreSQL: one `insert … select from unnest(…)` and one commit for a whole append.

The library's recorder reads every row back through its own pool, which serves our readers too. Its insert is not used:
it would try again by itself after a failure whose outcome nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresDatastore
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from timebank_kit.journal import JournalTrouble, KeyTaken, OutcomeUnknown, PositionTaken, Record, UnsafeStorage

_COLUMNS = "originator_version, topic, state, idempotency_key"
_OPTIONS = "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000 -c statement_timeout=60000"
_CREATE = """
CREATE TABLE IF NOT EXISTS stored_events (
    originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text NOT NULL, state bytea NOT NULL,
    idempotency_key text, PRIMARY KEY (originator_id, originator_version));
CREATE UNIQUE INDEX IF NOT EXISTS stored_events_key ON stored_events (originator_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
"""
_INSERT = f"""
INSERT INTO stored_events (originator_id, {_COLUMNS})
SELECT %b::uuid, * FROM unnest(%b::bigint[], %b::text[], %b::bytea[], %b::text[])
"""  # noqa: S608 - constants
_MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")


class PostgresJournal(PostgresAggregateRecorder):
    """A recorder whose table has a unique `idempotency_key` beside the library's columns."""

    def __init__(self, dsn: str, originator: UUID) -> None:
        self._dsn = dsn
        self._originator = originator
        self._writer = self._connect()
        self._create_tables()
        super().__init__(self._open_datastore())

    def append(self, records: Sequence[Record]) -> None:
        positions, topics, states, keys = zip(*records, strict=True)
        columns: list[Any] = [list(positions), list(topics), list(states), list(keys)]
        try:
            self._writer.execute(_INSERT, [self._originator, *columns], prepare=True)
        except errors.UniqueViolation as error:
            if error.diag.constraint_name == "stored_events_key":
                raise KeyTaken("A record of this journal has the key already.") from error
            raise PositionTaken(f"Another writer wrote position {positions[0]} or a later one.") from error
        except psycopg.Error as error:
            raise OutcomeUnknown(f"PostgreSQL failed: {_first_line(error)}.") from error

    def read(self, start: int, limit: int) -> list[Record]:
        return self._select("originator_version >= %s ORDER BY originator_version LIMIT %s", [start, limit])

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        records = self._select("idempotency_key = ANY(%s)", [list(keys)])
        return {record.key: record for record in records if record.key is not None}

    def length(self) -> int:
        rows = self._rows("SELECT max(originator_version) FROM stored_events WHERE originator_id = %s", [])
        return 0 if rows[0][0] is None else int(rows[0][0]) + 1

    def reopen(self) -> None:
        self._writer.close()
        self.datastore.close()
        self._writer = self._connect()
        self.datastore = self._open_datastore()

    def close(self) -> None:
        self._writer.close()
        self.datastore.close()

    def _select(self, where: str, params: list[Any]) -> list[Record]:
        statement = f"SELECT {_COLUMNS} FROM stored_events WHERE originator_id = %s AND {where}"  # noqa: S608
        return [Record(*row) for row in self._rows(statement, params)]

    def _rows(self, statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with (
                self.datastore.pool.connection() as connection,
                connection.cursor(binary=True, row_factory=tuple_row) as cursor,
            ):
                cursor.execute(statement.encode(), [self._originator, *params])
                return cursor.fetchall()
        except psycopg.Error as error:
            raise JournalTrouble(f"PostgreSQL cannot be read: {_first_line(error)}.") from error

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._dsn, autocommit=True, application_name="journal-writer", options=_OPTIONS, connect_timeout=5
            )
        except psycopg.Error as error:
            raise JournalTrouble(f"PostgreSQL cannot be reached: {_first_line(error)}.") from error
        for setting in _MUST_BE_ON:
            value = connection.execute(f"SHOW {setting}".encode()).fetchone()
            if value is None or value[0] == "off":
                connection.close()
                raise UnsafeStorage(f"PostgreSQL runs with {setting} = off and would lose entries; set it to on.")
        return connection

    def _create_tables(self) -> None:
        with self._writer.transaction():
            self._writer.execute("SELECT pg_advisory_xact_lock(7463214)")
            self._writer.execute(_CREATE)

    def _open_datastore(self) -> PostgresDatastore:
        parts = conninfo_to_dict(self._dsn)
        return PostgresDatastore(
            dbname=str(parts.get("dbname", "postgres")),
            host=str(parts.get("host", "127.0.0.1")),
            port=str(parts.get("port", "5432")),
            user=str(parts.get("user", "postgres")),
            password=str(parts.get("password", "")),
            pool_size=1,
            max_overflow=7,
            pool_open_timeout=10,
            connect_timeout=5,
            pre_ping=True,
            originator_id_type="uuid",
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
