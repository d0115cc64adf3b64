"""The journal port: one append-only sequence of records, numbered from 0, in one of three stores.

A record is stored as an event of one originator of the `eventsourcing` library: version = position, topic = its type,
state = its bytes as they are. Two writers on one journal are impossible by construction: a position is a primary key,
and the second writer's append fails as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

SCAN_RECORDS = 4096
"""Records that a scan holds in memory at a time."""


class Record(NamedTuple):
    """One record; `key` is unique within the journal where it is not None."""

    position: int
    topic: str
    state: bytes
    key: str | None


class JournalTrouble(Exception):
    """
    JournalTrouble
    ├── PositionTaken    another writer wrote this position: stop
    ├── KeyTaken         another record has this key
    ├── OutcomeUnknown   the commit may or may not have happened: read the tail back
    └── UnsafeStorage    the store would lose what it acknowledged: refuse to open
    """


class PositionTaken(JournalTrouble):
    """Another writer wrote at this position; nothing of the append was written."""


class KeyTaken(JournalTrouble):
    """Another record has this key; nothing of the append was written."""


class OutcomeUnknown(JournalTrouble):
    """The store failed in the append: it may be there or not. `reopen` and read the tail back."""


class UnsafeStorage(JournalTrouble):
    """The store is set to lose what it acknowledged; the text says what to change."""


class Journal(Protocol):
    """What every store does. One thread appends; any number may read."""

    def append(self, records: Sequence[Record]) -> None:
        """Write all records or none; on return they are durable.

        Raises:
            PositionTaken, KeyTaken: nothing was written.
            OutcomeUnknown: nobody knows.
        """

    def read(self, start: int, limit: int) -> list[Record]:
        """Up to `limit` records from position `start` on."""

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records that have these keys."""

    def length(self) -> int:
        """How many records there are: the position of the next."""

    def reopen(self) -> None:
        """Give up every connection and make new ones; afterwards `length` and `read` tell the truth."""

    def close(self) -> None:
        """Release what is held."""


def scan(journal: Journal, start: int, stop: int) -> Iterator[Record]:
    """Records `start` to `stop` − 1, read in bounded pieces."""
    while start < stop:
        records = journal.read(start, min(SCAN_RECORDS, stop - start))
        if not records:
            return
        yield from records
        start += len(records)


def originator_of(name: str) -> UUID:
    """The originator under which the journal of this name is stored."""
    return uuid5(NAMESPACE_URL, f"journal:{name}")


def open_journal(url: str, name: str) -> Journal:
    """Open a journal.

    Args:
        url: `memory:`, `sqlite:<path>` or `postgresql://…`.
        name: which journal of the store; many may share one database.

    Raises:
        UnsafeStorage: the store would lose what it acknowledged.
        ValueError: another kind of url.
    """
    if url == "memory:":
        from timebank_kit.journal_memory import MemoryJournal  # noqa: PLC0415 - a store's driver loads when it is used

        return MemoryJournal(originator_of(name))
    if url.startswith("sqlite:"):
        from timebank_kit.journal_sqlite import SQLiteJournal  # noqa: PLC0415

        return SQLiteJournal(url.removeprefix("sqlite:"), originator_of(name))
    if url.startswith(("postgresql://", "postgres://")):
        from timebank_kit.journal_postgres import PostgresJournal  # noqa: PLC0415

        return PostgresJournal(url, originator_of(name))
    raise ValueError("A journal's url is memory:, sqlite:<path> or postgresql://user:password@host:port/database.")
