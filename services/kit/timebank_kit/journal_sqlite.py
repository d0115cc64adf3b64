"""The journal in SQLite: write-ahead log, a full sync for every append, one connection that writes.

The fast insert is one `executemany` in one explicit transaction; the library's recorder reads every row back. Readers
borrow connections of their own, so that they neither wait for the writer nor hold it up.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteDatastore

from timebank_kit.journal import (
    Journal,
    JournalTrouble,
    OutcomeUnknown,
    Record,
    UnsafeStorage,
    check_sequence,
    key_taken,
    no_room,
    position_taken,
    scan,
    tail_missing,
)

_COLUMNS = "originator_version, topic, state, idempotency_key"
_RECORD = "originator_version, topic, CAST(state AS BLOB), idempotency_key"
"""Who edits a state by hand leaves a text there; it is read as the bytes that it is, and judged like any other."""
_INSERT = f"INSERT INTO stored_events (originator_id, {_COLUMNS}) VALUES (?,?,?,?,?)"  # noqa: S608 - constants
_BY_KEY = "INDEXED BY stored_events_key"
"""Without statistics SQLite would rather read the whole journal than look up ten keys."""
_FIRST_RECORDS = f"""
WITH RECURSIVE journals(id) AS (
    SELECT min(originator_id) FROM stored_events UNION ALL
    SELECT (SELECT min(originator_id) FROM stored_events WHERE originator_id > id) FROM journals WHERE id IS NOT NULL
    LIMIT ?)
SELECT {_RECORD} FROM journals JOIN stored_events ON originator_id = id AND originator_version = 0
"""  # noqa: S608 - constants
"""From one journal to the next by the primary key: no scan of all that they hold."""
BUSY_SECONDS = 10.0
"""How long an append waits for another process that writes to the same file."""
WRITER_PRAGMAS = ("cache_size=-32768", "wal_autocheckpoint=16384")
"""32 MiB of pages kept, 64 MiB of log between checkpoints: keys come in no order, so each append touches as many pages
of their index as it has records, and the default settings would copy them into the database at every append."""
IDLE_READERS = 8
"""Connections for reading that are kept for the next reader."""
KEYS_PER_STATEMENT = 500
ROOM_BYTES = 1 << 20
"""What must be free on a disk that was full before an append is tried again: more than one batch and its pages."""


class SQLiteJournal(SQLiteAggregateRecorder, Journal):
    """A recorder whose table has a unique `idempotency_key` beside the library's columns.

    Args:
        path: of the database file; its folder is made when missing.
        originator: which journal of that file.

    Raises:
        UnsafeStorage: the file's disk does not take the write-ahead log or the full sync.
        JournalTrouble: the file cannot be opened or is not such a database.
    """

    def __init__(self, path: str, originator: UUID) -> None:
        self.path = Path(path).absolute()
        self._originator = originator
        self._id = originator.hex
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._generation = 0
        self._full = False
        super().__init__(SQLiteDatastore(str(self.path)))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect_writer()
            for statement in self.create_table_statements:
                self._writer.execute(statement)
        except (OSError, sqlite3.Error) as error:
            raise _unopened(self.path, error) from error

    def construct_create_table_statements(self) -> list[str]:
        return [
            "CREATE TABLE IF NOT EXISTS stored_events (originator_id TEXT NOT NULL,"
            " originator_version INTEGER NOT NULL, topic TEXT NOT NULL, state BLOB NOT NULL, idempotency_key TEXT,"
            " PRIMARY KEY (originator_id, originator_version)) WITHOUT ROWID",
            "CREATE UNIQUE INDEX IF NOT EXISTS stored_events_key ON stored_events (originator_id, idempotency_key)"
            " WHERE idempotency_key IS NOT NULL",
        ]

    def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        check_sequence(records)
        first = records[0].position
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            if first and not self._has(first - 1):
                self._roll_back()
                raise tail_missing(first)
            self._writer.executemany(_INSERT, [(self._id, *record) for record in records])
            self._writer.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            raise self._refusal(first) from error
        except sqlite3.Error as error:
            self._roll_back()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                self._full = True
                raise no_room(f"SQLite journal {self.path.name}") from error
            raise OutcomeUnknown(f"SQLite failed in an append: {error}.") from error

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """The library's door: the same append, for events of this journal."""
        assert all(event.originator_id == self._originator for event in stored_events)
        try:
            self.append([Record(e.originator_version, e.topic, e.state, None) for e in stored_events])
        except OutcomeUnknown as trouble:
            raise OperationalError(str(trouble)) from trouble
        except JournalTrouble as trouble:
            raise IntegrityError(str(trouble)) from trouble

    def read(self, start: int, limit: int) -> list[Record]:
        where = "originator_version >= ? AND originator_version < ? ORDER BY originator_version"
        return self._select(where, [start, start + limit])

    def scan(self, start: int, stop: int) -> Iterator[Record]:
        return scan(self, start, stop)

    def find_key(self, key: str) -> Record | None:
        return self.find_keys([key]).get(key)

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for at in range(0, len(keys), KEYS_PER_STATEMENT):
            some = keys[at : at + KEYS_PER_STATEMENT]
            marks = ",".join("?" * len(some))
            for record in self._select(f"idempotency_key IN ({marks})", list(some), index=_BY_KEY):
                assert record.key is not None
                found[record.key] = record
        return found

    def first_records(self, limit: int) -> list[Record]:
        with self._reader() as reader:
            return list(map(Record._make, reader.execute(_FIRST_RECORDS, [limit])))

    def length(self) -> int:
        statement = "SELECT max(originator_version) FROM stored_events WHERE originator_id = ?"
        with self._reader() as reader:
            last = reader.execute(statement, [self._id]).fetchone()[0]
        return 0 if last is None else int(last) + 1

    def reopen(self) -> None:
        if self._full:
            # Readers keep their connections: on a full disk none could be made.
            self._check_room()
        self._drop_connections()
        try:
            self._writer = self._connect_writer()
        except sqlite3.Error as error:
            raise _unopened(self.path, error) from error

    def close(self) -> None:
        self._drop_connections()
        self.datastore.close()

    def _check_room(self) -> None:
        beside = self.path.with_name(self.path.name + "-room")
        try:
            with beside.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_room(f"SQLite journal {self.path.name}") from error
        finally:
            beside.unlink(missing_ok=True)
        self._full = False

    def _has(self, position: int) -> bool:
        statement = "SELECT 1 FROM stored_events WHERE originator_id = ? AND originator_version = ?"
        return self._writer.execute(statement, [self._id, position]).fetchone() is not None

    def _refusal(self, first: int) -> JournalTrouble:
        """Both keys may be violated, and SQLite names one: a second writer is the greater trouble."""
        self._roll_back()
        try:
            return position_taken(first) if self._has(first) else key_taken()
        except sqlite3.Error as error:
            return OutcomeUnknown(f"SQLite failed after an append that it refused: {error}.")

    def _select(self, where: str, params: list[int] | list[str], *, index: str = "") -> list[Record]:
        statement = f"SELECT {_RECORD} FROM stored_events {index} WHERE originator_id = ? AND {where}"  # noqa: S608
        with self._reader() as reader:
            return list(map(Record._make, reader.execute(statement, [self._id, *params])))

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading; one that failed, or is of before `reopen`, is not lent again."""
        with self._idle_lock:
            generation = self._generation
            reader = self._idle.pop() if self._idle else None
        kept = False
        try:
            if reader is None:
                reader = self._connect()
            yield reader
            kept = True
        except sqlite3.Error as error:
            text = (
                f"SQLite cannot read {self.path.name}: {error}. Check the disk; restore a damaged file from a backup."
            )
            raise JournalTrouble(text) from error
        finally:
            with self._idle_lock:
                kept = kept and generation == self._generation and len(self._idle) < IDLE_READERS
                if kept and reader is not None:
                    self._idle.append(reader)
            if reader is not None and not kept:
                reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("PRAGMA synchronous=FULL")
            check_pragmas(str(mode), int(connection.execute("PRAGMA synchronous").fetchone()[0]))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        for pragma in WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _drop_connections(self) -> None:
        self._writer.close()
        with self._idle_lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.close()


def check_pragmas(journal_mode: str, synchronous: int) -> None:
    """Raise UnsafeStorage unless every commit goes through the log and is synced (2 = FULL, 3 = EXTRA)."""
    if journal_mode.lower() != "wal":
        raise UnsafeStorage(
            f"SQLite stays in journal_mode={journal_mode} here; put the journal on a local disk that takes WAL."
        )
    if synchronous < 2:
        raise UnsafeStorage("SQLite does not take synchronous=FULL here; use an SQLite library that syncs its log.")


def _unopened(path: Path, error: Exception) -> JournalTrouble:
    return JournalTrouble(f"The SQLite journal {path.name} cannot be opened: {error}. Check the path, its rights, and "
                          "that it is a database of this program.")  # fmt: skip
