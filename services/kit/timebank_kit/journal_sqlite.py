"""The journal in SQLite: write-ahead log, a full sync for every append, one connection that writes.

The fast insert is one `executemany` in one explicit transaction; the library's recorder reads every row back.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteDatastore

from timebank_kit.journal import JournalTrouble, KeyTaken, OutcomeUnknown, PositionTaken, Record, UnsafeStorage

_COLUMNS = "originator_version, topic, state, idempotency_key"
BUSY_SECONDS = 10.0


class SQLiteJournal(SQLiteAggregateRecorder):
    """A recorder whose table has a unique `idempotency_key` beside the library's columns."""

    def __init__(self, path: str, originator: UUID) -> None:
        self.path = path
        self._originator = originator
        self._id = originator.hex
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        super().__init__(SQLiteDatastore(path))
        self.insert_events_statement = (
            "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"
        )
        for statement in self.construct_create_table_statements():
            self._writer.execute(statement)

    def construct_create_table_statements(self) -> list[str]:
        return [
            "CREATE TABLE IF NOT EXISTS stored_events (originator_id TEXT NOT NULL,"
            " originator_version INTEGER NOT NULL, topic TEXT NOT NULL, state BLOB NOT NULL, idempotency_key TEXT,"
            " PRIMARY KEY (originator_id, originator_version)) WITHOUT ROWID",
            "CREATE UNIQUE INDEX IF NOT EXISTS stored_events_key ON stored_events (originator_id, idempotency_key)"
            " WHERE idempotency_key IS NOT NULL",
        ]

    def append(self, records: Sequence[Record]) -> None:
        rows = [(self._id, *record) for record in records]
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(
                f"INSERT INTO stored_events (originator_id, {_COLUMNS}) VALUES (?,?,?,?,?)",  # noqa: S608 - constants
                rows,
            )
            self._writer.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._roll_back()
            if "idempotency_key" in str(error):
                raise KeyTaken("A record of this journal has the key already.") from error
            raise PositionTaken(f"Another writer wrote position {records[0].position} or a later one.") from error
        except sqlite3.Error as error:
            self._roll_back()
            raise OutcomeUnknown(f"SQLite failed: {error}.") from error

    def read(self, start: int, limit: int) -> list[Record]:
        return self._select("originator_version >= ? ORDER BY originator_version LIMIT ?", [start, limit])

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for at in range(0, len(keys), 500):
            some = keys[at : at + 500]
            marks = ",".join("?" * len(some))
            for record in self._select(f"idempotency_key IN ({marks})", list(some)):
                assert record.key is not None
                found[record.key] = record
        return found

    def length(self) -> int:
        statement = "SELECT max(originator_version) FROM stored_events WHERE originator_id = ?"
        last = self._reader().execute(statement, [self._id]).fetchone()[0]
        return 0 if last is None else int(last) + 1

    def reopen(self) -> None:
        self.close()
        try:
            self._writer = self._connect()
        except sqlite3.Error as error:
            raise JournalTrouble(f"SQLite cannot be opened: {error}.") from error

    def close(self) -> None:
        self._writer.close()
        self.datastore.close()
        with self._readers_lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
        self._local = threading.local()

    def _select(self, where: str, params: list[int] | list[str]) -> list[Record]:
        statement = f"SELECT {_COLUMNS} FROM stored_events WHERE originator_id = ? AND {where}"  # noqa: S608
        try:
            return [Record(*row) for row in self._reader().execute(statement, [self._id, *params])]
        except sqlite3.Error as error:
            raise JournalTrouble(f"SQLite cannot be read: {error}.") from error

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._connect()
            with self._readers_lock:
                self._readers.append(reader)
        return reader

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        full = connection.execute("PRAGMA synchronous").fetchone()[0]
        if str(mode).lower() != "wal" or full != 2:
            connection.close()
            raise UnsafeStorage("SQLite does not take journal_mode=WAL with synchronous=FULL here; use a local disk.")
        return connection

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.close()
