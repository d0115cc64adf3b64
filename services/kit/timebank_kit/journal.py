"""The journal port: one append-only sequence of records, numbered from 0, in one of three stores.

A record is stored as an event of one originator of the `eventsourcing` library: version = position, topic = its type,
state = its bytes as they are. Two writers on one journal are impossible by construction: a position is a primary key,
and the second writer's append fails as a whole.

Reading order: `Record`, the exceptions, `Journal`, then one of `journal_memory`, `journal_sqlite`, `journal_postgres`.
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
    ├── TailMissing      the record before is not there: the store was replaced by an older one
    ├── NoRoom           the store's disk is full: make room
    ├── StoreAway        the store was gone before the append began
    ├── OutcomeUnknown   the commit may or may not have happened: read the tail back
    └── UnsafeStorage    the store would lose what it acknowledged: refuse to open
    """


class PositionTaken(JournalTrouble):
    """Another writer wrote at this position; nothing of the append was written."""


class KeyTaken(JournalTrouble):
    """Another record has this key; nothing of the append was written."""


class TailMissing(JournalTrouble):
    """The record before the first one is not in the store; nothing of the append was written."""


class NoRoom(JournalTrouble):
    """The store's disk is full; nothing of the append was written. `reopen` says so until there is room."""


class StoreAway(JournalTrouble):
    """The store was gone before the append began; nothing of it was written."""


class OutcomeUnknown(JournalTrouble):
    """The store failed in the append: it may be there or not. `reopen` and read the tail back."""


class UnsafeStorage(JournalTrouble):
    """The store is set to lose what it acknowledged; the text says what to change."""


class Journal(Protocol):
    """What every store does. One thread appends; any number of threads may read meanwhile."""

    def append(self, records: Sequence[Record]) -> None:
        """Write all records or none; on return they are durable. Without records nothing happens.

        Args:
            records: the next ones: positions from `length()` on, without a gap.

        Raises:
            PositionTaken: another writer was there; nothing was written.
            KeyTaken: a record has one of the keys, or two of these have the same; nothing was written.
            TailMissing: the record before is not there; nothing was written.
            NoRoom: the disk is full; nothing was written.
            OutcomeUnknown: nobody knows.
        """

    def read(self, start: int, limit: int) -> list[Record]:
        """Up to `limit` records from position `start` on. Raises JournalTrouble when the store cannot be read."""

    def scan(self, start: int, stop: int) -> Iterator[Record]:
        """Records `start` to `stop` − 1 in order, holding `SCAN_RECORDS` of them at a time."""

    def find_key(self, key: str) -> Record | None:
        """The record that has this key, or None."""

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records that have these keys."""

    def first_records(self, limit: int) -> list[Record]:
        """Record 0 of up to `limit` journals of this store, whatever their names: they tell whose store it is."""

    def length(self) -> int:
        """How many records there are: the position of the next."""

    def reopen(self) -> None:
        """Give up every connection and make new ones; afterwards `length` and `read` tell the truth.

        Raises:
            JournalTrouble: the store still cannot be reached, or has no room for an append; try again later.
        """

    def close(self) -> None:
        """Release what is held; a journal may be closed twice."""


def scan(journal: Journal, start: int, stop: int) -> Iterator[Record]:
    """Records `start` to `stop` − 1, read page by page: no statement or snapshot stays open while the caller works."""
    while start < stop:
        records = journal.read(start, min(SCAN_RECORDS, stop - start))
        if not records:
            return
        yield from records
        start += len(records)


def check_sequence(records: Sequence[Record]) -> None:
    """A caller that appends with a gap has a bug: fail before the store is touched."""
    first = records[0].position
    assert first >= 0, f"positions begin at 0, not {first}"
    for offset, record in enumerate(records):
        assert record.position == first + offset, f"position {record.position} does not follow {first + offset - 1}"


def position_taken(position: int) -> PositionTaken:
    """The trouble of a second writer."""
    return PositionTaken(
        f"Another writer wrote position {position} or a later one. One process writes a journal: stop the other one, "
        "then start this one again."
    )


def key_taken() -> KeyTaken:
    """The trouble of a key that another record has."""
    return KeyTaken("A record of this journal has the key already; nothing was written.")


def tail_missing(position: int) -> TailMissing:
    """The trouble of a store that was replaced under its writer."""
    return TailMissing(
        f"Position {position - 1} is missing in the store, which was replaced by an older one: restore the newer one."
    )


def no_room(store: str) -> NoRoom:
    """The trouble of a full disk."""
    return NoRoom(f"The disk of the {store} is full, and nothing was written: make room on it. Writing then goes on.")


def originator_of(name: str) -> UUID:
    """The originator under which the journal of this name is stored."""
    return uuid5(NAMESPACE_URL, f"journal:{name}")


def open_journal(url: str, name: str) -> Journal:
    """Open a journal; its table is made when it is missing.

    Args:
        url: `memory:`, `sqlite:<path>` (an absolute path may be written `sqlite:///…`) or `postgresql://…`.
        name: which journal of the store; many may share one database.

    Raises:
        UnsafeStorage: the store would lose what it acknowledged.
        JournalTrouble: the store cannot be reached.
        ValueError: another kind of url.
    """
    if url == "memory:":
        from timebank_kit.journal_memory import MemoryJournal  # noqa: PLC0415 - a store's driver loads when it is used

        return MemoryJournal(originator_of(name))
    path = url.removeprefix("sqlite:")
    if path != url and path and not path.startswith(":") and (path.startswith("///") or not path.startswith("//")):
        from timebank_kit.journal_sqlite import SQLiteJournal  # noqa: PLC0415

        return SQLiteJournal(path.removeprefix("//"), originator_of(name))
    if url.startswith(("postgresql://", "postgres://")):
        from timebank_kit.journal_postgres import PostgresJournal  # noqa: PLC0415

        return PostgresJournal(url, originator_of(name))
    raise ValueError("A journal's url is memory:, sqlite:<path> or postgresql://user:password@host:port/database.")
