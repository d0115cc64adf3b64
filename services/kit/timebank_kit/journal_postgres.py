"""The journal in PostgreSQL: one `insert … select from unnest(…)`, one round trip and one commit for a whole append.

The library's recorder reads every row back through its own pool, which serves our readers too. Its insert is not used:
it would try again by itself after a failure whose outcome nobody knows. No table lock: the primary key keeps a second
writer out. Every wait for the server ends: one that is stopped, or behind a cut line, closes no connection. Whatever
the writer's connection before may still be doing there has ended when `reopen` returns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresDatastore
from psycopg import errors
from psycopg.rows import dict_row, tuple_row

from timebank_kit.answer_limit import CONNECT_SECONDS, AnswerLimit, bounded_parameters
from timebank_kit.journal import (
    Journal,
    JournalTrouble,
    OutcomeUnknown,
    Record,
    StoreAway,
    UnsafeStorage,
    check_sequence,
    key_taken,
    no_room,
    position_taken,
    scan,
    tail_missing,
)
from timebank_kit.postgres_arrays import BytesArray, TextArray, take_arrays

_COLUMNS = "originator_version, topic, state, idempotency_key"
_CREATE = """
CREATE TABLE IF NOT EXISTS stored_events (
    originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text NOT NULL, state bytea NOT NULL,
    idempotency_key text, PRIMARY KEY (originator_id, originator_version));
CREATE UNIQUE INDEX IF NOT EXISTS stored_events_key ON stored_events (originator_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
"""
_INSERT = f"""
INSERT INTO stored_events (originator_id, {_COLUMNS})
SELECT %b::uuid, %b::bigint + n - 1, topic, state, key
FROM unnest(%b, %b, %b) WITH ORDINALITY AS new (topic, state, key, n)
WHERE %b::bigint = 0 OR EXISTS (
    SELECT FROM stored_events WHERE originator_id = %b::uuid AND originator_version = %b::bigint - 1)
""".encode()  # noqa: S608 - constants
FIND_KEYS = f"""
SELECT found.* FROM unnest(%s::text[]) AS asked (key) CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM stored_events WHERE originator_id = %s AND idempotency_key = asked.key LIMIT 1) AS found
"""  # noqa: S608 - constants
"""One look into the index for each key: for `= ANY`, a planner without statistics reads the whole journal."""
_FIRST_RECORDS = f"""
WITH RECURSIVE journals(id) AS (
    (SELECT originator_id FROM stored_events ORDER BY originator_id LIMIT 1) UNION ALL
    SELECT (SELECT originator_id FROM stored_events WHERE originator_id > id ORDER BY originator_id LIMIT 1)
    FROM journals WHERE id IS NOT NULL)
SELECT {_COLUMNS} FROM (SELECT id FROM journals LIMIT %s) AS listed
JOIN stored_events ON originator_id = id AND originator_version = 0
"""  # noqa: S608 - constants
"""From one journal to the next by the primary key: no scan of all that they hold."""
_CREATE_LOCK = 7463214
"""Two processes that start together would both make the table; an advisory lock puts them in a row."""
_ME = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_ROOM = "CREATE TEMPORARY TABLE room AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 1024) AS n"
"""A megabyte: more than one batch and its pages."""
_END = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
END_MILLISECONDS = 2_000
"""How long a session that was given up may take to end."""
_MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")
_log = logging.getLogger(__name__)
READERS_MAX = 8


class PostgresJournal(PostgresAggregateRecorder, Journal):
    """A recorder whose table has a unique `idempotency_key` beside the library's columns.

    Args:
        dsn: `postgresql://…` with any libpq parameter; the tables go to the first schema of its search path.
        originator: which journal of that database.

    Raises:
        UnsafeStorage: the server would lose what it acknowledged.
        JournalTrouble: the server cannot be reached.
    """

    def __init__(self, dsn: str, originator: UUID) -> None:
        self._parameters = bounded_parameters(dsn, application_name="journal")
        self._originator = originator
        self._session: tuple[int, datetime] | None = None
        self._full = False
        self._writer = self._connect()
        try:
            with self._writer.transaction():
                self._writer.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATE_LOCK])
                self._writer.execute(_CREATE)
            row = self._writer.execute("SELECT current_schema()").fetchone()
        except psycopg.Error as error:
            self._writer.close()
            raise JournalTrouble(f"PostgreSQL cannot make the journal's table: {_first_line(error)}.") from error
        self._schema = str(row[0]) if row else "public"
        super().__init__(self._open_datastore())

    def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        check_sequence(records)
        if self._writer.has_ended():
            raise StoreAway("PostgreSQL ended the session before the append began.")
        first = records[0].position
        topics = TextArray([record.topic.encode() for record in records])
        states = BytesArray([record.state for record in records])
        keys = TextArray([None if record.key is None else record.key.encode() for record in records])
        params: list[Any] = [self._originator, first, topics, states, keys, first, self._originator, first]
        try:
            inserted = self._writer.execute(_INSERT, params, prepare=True).rowcount
        except errors.UniqueViolation as error:
            # Both may be violated, and the server names one: a second writer is the greater trouble.
            raise position_taken(first) if self.read(first, 1) else key_taken() from error
        except errors.DiskFull as error:
            self._full = True
            raise no_room("PostgreSQL server") from error
        except psycopg.Error as error:
            raise OutcomeUnknown(f"PostgreSQL failed in an append: {_first_line(error)}.") from error
        if not inserted:
            raise tail_missing(first)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """The library's door: the same append, for events of this journal, without its retry."""
        assert all(event.originator_id == self._originator for event in stored_events)
        try:
            self.append([Record(e.originator_version, e.topic, e.state, None) for e in stored_events])
        except OutcomeUnknown as trouble:
            raise OperationalError(str(trouble)) from trouble
        except JournalTrouble as trouble:
            raise IntegrityError(str(trouble)) from trouble

    def read(self, start: int, limit: int) -> list[Record]:
        # No gap, so a page is a range: with LIMIT, a planner without statistics sorts all that follows.
        where = "originator_version >= %s AND originator_version < %s ORDER BY originator_version"
        return self._select(where, [start, start + limit])

    def scan(self, start: int, stop: int) -> Iterator[Record]:
        return scan(self, start, stop)

    def find_key(self, key: str) -> Record | None:
        return self.find_keys([key]).get(key)

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        records = map(Record._make, self._rows(FIND_KEYS, [list(keys), self._originator]))
        return {record.key: record for record in records if record.key is not None}

    def first_records(self, limit: int) -> list[Record]:
        return list(map(Record._make, self._rows(_FIRST_RECORDS, [limit])))

    def length(self) -> int:
        statement = "SELECT max(originator_version) FROM stored_events WHERE originator_id = %s"
        rows = self._rows(statement, [self._originator])
        return 0 if rows[0][0] is None else int(rows[0][0]) + 1

    def reopen(self) -> None:
        if self._full:
            self._check_room()
        self.close()
        self._writer = self._connect()
        self.datastore = self._open_datastore()

    def _check_room(self) -> None:
        """A temporary table grows on the same disk, and goes with its transaction."""
        try:
            with self._writer.transaction(force_rollback=True):
                self._writer.execute(_ROOM)
        except errors.DiskFull as error:
            raise no_room("PostgreSQL server") from error
        except psycopg.Error:
            _log.info("the room on the server's disk is not known", exc_info=True)
        self._full = False

    def _end_session_before(self, connection: psycopg.Connection[Any]) -> None:
        """What was sent to a server that answers late may still be written: first its session ends."""
        if self._session is None:
            return
        ended = connection.execute(_END, [END_MILLISECONDS, *self._session]).fetchone()
        if ended is not None and not ended[0]:
            raise JournalTrouble("PostgreSQL has not ended the session before; an append may still be under way there.")

    def close(self) -> None:
        self._writer.close()
        self.datastore.close()

    def _select(self, where: str, params: list[Any]) -> list[Record]:
        statement = f"SELECT {_COLUMNS} FROM stored_events WHERE originator_id = %s AND {where}"  # noqa: S608
        return list(map(Record._make, self._rows(statement, [self._originator, *params])))

    def _rows(self, statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with (
                self.datastore.pool.connection() as connection,
                connection.cursor(binary=True, row_factory=tuple_row) as cursor,
            ):
                cursor.execute(statement.encode(), params, prepare=True)
                return cursor.fetchall()
        except psycopg.Error as error:
            raise JournalTrouble(f"PostgreSQL cannot be read: {_first_line(error)}.") from error

    def _connect(self) -> AnswerLimit:
        try:
            connection = AnswerLimit.connect(**self._parameters, autocommit=True)
        except psycopg.Error as error:
            raise JournalTrouble(f"PostgreSQL cannot be reached: {_first_line(error)}.") from error
        try:
            take_arrays(connection)
            for setting in _MUST_BE_ON:
                row = connection.execute(f"SHOW {setting}".encode()).fetchone()
                check_setting(setting, str(row[0]) if row else "off")
            self._end_session_before(connection)
            self._session = connection.execute(_ME).fetchone()
        except psycopg.Error as error:
            connection.close()
            raise JournalTrouble(f"PostgreSQL cannot be reached: {_first_line(error)}.") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_datastore(self) -> PostgresDatastore:
        """The library's pool, given every parameter of the DSN: its own constructor knows only five."""
        datastore = PostgresDatastore(
            dbname="",
            host="",
            port="",
            user="",
            password="",
            pool_size=1,
            max_overflow=READERS_MAX - 1,
            connect_timeout=CONNECT_SECONDS,
            pool_open_timeout=CONNECT_SECONDS,
            pre_ping=True,
            schema=self._schema,
            idle_in_transaction_session_timeout=30,
        )
        datastore.pool.connection_class = AnswerLimit
        datastore.pool.kwargs = {**self._parameters, "row_factory": dict_row}
        datastore.pool.open()
        return datastore


def check_setting(name: str, value: str) -> None:
    """Raise UnsafeStorage when a server's setting would lose what a commit acknowledged."""
    if value == "off":
        raise UnsafeStorage(
            f"PostgreSQL runs with {name} = off and would lose what it acknowledged. Set {name} = on "
            "(postgresql.conf, the role, the database or the url's options) and start again."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
