"""What a journal says when its store fails: a killed connection, a locked file, settings that lose data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from deploy.servers.find import OwnDatabase
from timebank_kit.journal import (
    JournalTrouble,
    OutcomeUnknown,
    PositionTaken,
    Record,
    StoreAway,
    UnsafeStorage,
    open_journal,
)
from timebank_kit.journal_postgres import PostgresJournal, check_setting
from timebank_kit.journal_sqlite import check_pragmas
from timebank_kit.tail import Follow


def some(start: int, count: int) -> list[Record]:
    return [Record(p, "thing.happened", b"state", f"key-{p}") for p in range(start, start + count)]


def extended(dsn: str, parameter: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}{parameter}"


@pytest.mark.servers
@pytest.mark.parametrize("appended_meanwhile", [False, True])
def test_after_a_killed_connection_the_outcome_is_unknown_or_nothing_and_reopen_tells_the_truth(
    postgres_dsn: str, appended_meanwhile: bool
) -> None:
    label = f"journal-{uuid4().hex[:12]}"
    journal = open_journal(extended(postgres_dsn, f"application_name={label}"), label)
    journal.append(some(0, 10))
    with psycopg.connect(postgres_dsn, autocommit=True) as operator:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        assert operator.execute(statement, [label]).rowcount >= 1
    with pytest.raises((OutcomeUnknown, StoreAway)):
        journal.append(some(10, 5))
    with pytest.raises(StoreAway):
        journal.append(some(10, 5))
    if appended_meanwhile:
        with closing(open_journal(postgres_dsn, label)) as other:
            other.append(some(10, 3))
    journal.reopen()
    length = 13 if appended_meanwhile else 10
    assert journal.length() == length
    assert list(journal.scan(0, 100)) == some(0, length)
    journal.append(some(length, 2))
    assert journal.length() == length + 2
    journal.close()


@pytest.mark.servers
def test_an_append_that_waits_for_a_lock_ends_and_nothing_of_it_is_written(postgres_dsn: str) -> None:
    name = uuid4().hex
    journal = open_journal(extended(postgres_dsn, "options=-clock_timeout%3D50"), name)
    with psycopg.connect(postgres_dsn) as other:
        other.execute("LOCK TABLE stored_events IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OutcomeUnknown, match="lock timeout"):
            journal.append(some(0, 5))
        other.rollback()
    journal.reopen()
    assert journal.length() == 0
    journal.close()


@pytest.mark.servers
def test_an_append_that_was_given_up_is_not_written_after_the_tail_was_read_back(postgres_dsn: str) -> None:
    name = uuid4().hex
    journal = open_journal(extended(postgres_dsn, "options=-cstatement_timeout%3D500"), name)
    assert isinstance(journal, PostgresJournal)
    # A server that is late does not keep its own bounds either.
    journal._writer.execute("SET statement_timeout = 0; SET lock_timeout = 0")
    journal.append(some(0, 5))
    with psycopg.connect(postgres_dsn) as other:
        other.execute("LOCK TABLE stored_events IN SHARE MODE")
        with pytest.raises(OutcomeUnknown, match=r"did not answer within 2\.5 s"):
            journal.append(some(5, 5))
        journal.reopen()
        assert journal.length() == 5
    with psycopg.connect(postgres_dsn) as other:
        other.execute("LOCK TABLE stored_events IN ACCESS EXCLUSIVE MODE")
        assert journal_sessions(other) == 0, "nobody has waited for the lock and writes now"
    journal.append(some(5, 1))
    assert list(journal.scan(0, 100)) == some(0, 6)
    journal.close()


def journal_sessions(connection: psycopg.Connection[Any]) -> int:
    """How many sessions of a journal do something now."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'journal' AND state = 'active'"
    row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.servers
@pytest.mark.parametrize("commits", [True, False])
def test_an_open_insert_of_a_second_writer_is_seen_by_no_follower_and_leaves_no_gap(
    postgres_dsn: str, commits: bool
) -> None:
    """L-6."""
    name = uuid4().hex
    journal = open_journal(extended(postgres_dsn, "options=-clock_timeout%3D200"), name)
    journal.append(some(0, 5))
    readers = open_journal(postgres_dsn, name)
    follow = Follow(readers, start=0, poll_seconds=0.01)
    with psycopg.connect(postgres_dsn) as other:
        other.execute(
            "INSERT INTO stored_events SELECT originator_id, 5, topic, state, 'theirs' FROM stored_events"
            " WHERE originator_version = 0"
        )
        assert follow.next(timeout_seconds=1) == some(0, 5)
        with pytest.raises(OutcomeUnknown, match="lock timeout"):
            journal.append(some(5, 2))
        assert follow.next(timeout_seconds=0.05) == []
        (other.commit if commits else other.rollback)()
    journal.reopen()
    if commits:
        with pytest.raises(PositionTaken):
            journal.append(some(5, 2))
        assert [record.key for record in follow.next(timeout_seconds=1)] == ["theirs"]
    else:
        journal.append(some(5, 2))
        assert follow.next(timeout_seconds=1) == some(5, 2)
    readers.close()
    journal.close()


@pytest.mark.servers
def test_a_server_that_is_stopped_is_trouble_and_a_killed_one_too_until_it_is_back(
    private_postgres: OwnDatabase,
) -> None:
    dsn = extended(private_postgres.dsn, "options=-cstatement_timeout%3D200&connect_timeout=2")
    journal = open_journal(dsn, "a")
    journal.append(some(0, 5))
    private_postgres.pause()
    with pytest.raises(OutcomeUnknown, match=r"did not answer within 2\.2 s"):
        journal.append(some(5, 5))
    with pytest.raises(JournalTrouble):
        journal.reopen()
    private_postgres.resume()
    journal.reopen()
    length = journal.length()
    assert length in (5, 10)
    journal.append(some(length, 5))
    private_postgres.kill()
    with pytest.raises((OutcomeUnknown, StoreAway)):
        journal.append(some(length + 5, 5))
    private_postgres.restart()
    journal.reopen()
    assert list(journal.scan(0, 100)) == some(0, length + 5)
    journal.close()


@pytest.mark.servers
def test_a_server_that_acknowledges_before_it_syncs_is_refused(postgres_dsn: str) -> None:
    with pytest.raises(UnsafeStorage, match="synchronous_commit = on"):
        open_journal(extended(postgres_dsn, "options=-csynchronous_commit%3Doff"), uuid4().hex)


@pytest.mark.servers
def test_the_writers_session_has_bounded_waits_and_a_name(postgres_dsn: str) -> None:
    journal = open_journal(postgres_dsn, uuid4().hex)
    with psycopg.connect(postgres_dsn, autocommit=True) as operator:
        names = operator.execute("SELECT DISTINCT application_name FROM pg_stat_activity").fetchall()
    assert ("journal",) in names
    assert isinstance(journal, PostgresJournal)
    for setting in ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout"):
        with journal.datastore.get_connection() as connection:
            row = connection.execute(f"SHOW {setting}".encode()).fetchone()
        assert row is not None
        assert row[setting] != "0"
    journal.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_setting_that_is_off_is_refused_with_what_to_change(setting: str) -> None:
    with pytest.raises(UnsafeStorage, match=f"Set {setting} = on"):
        check_setting(setting, "off")
    check_setting(setting, "on")


def test_a_server_that_is_away_is_trouble_and_its_password_is_not_told() -> None:
    with pytest.raises(JournalTrouble) as raised:
        open_journal("postgresql://someone:hidden-word@127.0.0.1:1/nowhere", "a")
    assert "hidden-word" not in str(raised.value)


def test_a_pragma_that_did_not_take_is_refused() -> None:
    with pytest.raises(UnsafeStorage, match="local disk"):
        check_pragmas("delete", 2)
    with pytest.raises(UnsafeStorage, match="synchronous=FULL"):
        check_pragmas("wal", 1)
    check_pragmas("wal", 2)


def test_an_sqlite_database_that_cannot_take_the_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalTrouble, match="cannot be opened"):
        open_journal(f"sqlite:{path}", "a")


def test_a_batch_that_was_cut_before_its_commit_is_not_there_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = open_journal(f"sqlite:{path}", "a")
    journal.append(some(0, 5))
    # What a writer that dies between its insert and its commit leaves behind.
    dying = sqlite3.connect(path, isolation_level=None)
    dying.execute("BEGIN IMMEDIATE")
    dying.execute("INSERT INTO stored_events SELECT originator_id, 5, topic, state, 'new' FROM stored_events LIMIT 1")
    dying.close()
    assert journal.length() == 5
    journal.append(some(5, 5))
    assert list(journal.scan(0, 20)) == some(0, 10)
    journal.close()


def test_an_sqlite_writer_that_lost_its_connection_does_not_know_the_outcome(tmp_path: Path) -> None:
    journal = open_journal(f"sqlite:{tmp_path / 'journal.db'}", "a")
    journal.append(some(0, 5))
    journal.close()
    with pytest.raises(OutcomeUnknown):
        journal.append(some(5, 5))
    journal.reopen()
    assert journal.length() == 5
    journal.append(some(5, 5))
    with pytest.raises(PositionTaken):
        journal.append(some(5, 5))
    journal.close()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite::memory:", "sqlite://here", "mysql://x", "memory", ""])
def test_an_unknown_kind_of_url_is_refused_with_the_kinds_there_are(url: str) -> None:
    with pytest.raises(ValueError, match="memory:, sqlite:<path> or postgresql://"):
        open_journal(url, "a")


def test_an_sqlite_url_takes_relative_and_absolute_paths(tmp_path: Path) -> None:
    for url in (f"sqlite:{tmp_path}/new/one.db", f"sqlite://{tmp_path}/new/two.db"):
        open_journal(url, "a").close()
    assert sorted(path.name for path in (tmp_path / "new").iterdir() if path.suffix == ".db") == ["one.db", "two.db"]
