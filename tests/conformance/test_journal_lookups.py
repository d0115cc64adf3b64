"""What a look-up costs as the journal grows: the plans of the stores, which no statistics may change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from timebank_kit.journal import Record, open_journal, originator_of
from timebank_kit.journal_postgres import FIND_KEYS, PostgresJournal
from timebank_kit.journal_sqlite import SQLiteJournal

KEYS = [f"{number:032x}" for number in range(3_000)]


@pytest.fixture
def in_postgres(postgres_dsn: str) -> Iterator[PostgresJournal]:
    journal = PostgresJournal(postgres_dsn, originator_of("aberdare"))
    yield journal
    journal.close()


def records(keys: list[str]) -> list[Record]:
    return [Record(position, "transfer.posted", b"{}", key) for position, key in enumerate(keys)]


def test_postgresql_looks_up_each_of_many_keys_in_the_index(in_postgres: PostgresJournal) -> None:
    in_postgres.append(records(KEYS))
    with in_postgres.datastore.pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute(b"EXPLAIN " + FIND_KEYS.encode(), [KEYS[:500], originator_of("aberdare")])
        plan = "\n".join(str(line) for row in cursor.fetchall() for line in dict(row).values())
    assert "Index Scan using stored_events_key" in plan
    assert "idempotency_key = asked.key" in plan
    assert "Filter" not in plan


def test_sqlite_finds_many_keys_without_statistics(tmp_path: Path) -> None:
    # `INDEXED BY` makes SQLite refuse the statement when the index cannot serve it.
    journal = open_journal(f"sqlite:{tmp_path / 'journal.db'}", "aberdare")
    assert isinstance(journal, SQLiteJournal)
    journal.append(records(KEYS))
    assert sorted(journal.find_keys([*KEYS[:1_200], "unknown"])) == KEYS[:1_200]
    journal.close()
