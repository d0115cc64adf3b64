"""The journal in memory: for tests, the simulation and trials. It ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.popo import POPOAggregateRecorder

from timebank_kit.journal import (
    Journal,
    JournalTrouble,
    Record,
    check_sequence,
    key_taken,
    position_taken,
    scan,
    tail_missing,
)


class MemoryJournal(POPOAggregateRecorder, Journal):
    """A recorder with a list beside it, because the library's own selection is linear."""

    def __init__(self, originator: UUID) -> None:
        super().__init__()
        self._originator = originator
        self._records: list[Record] = []
        self._positions_by_key: dict[str, int] = {}
        self._lock = threading.Lock()

    def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        check_sequence(records)
        with self._lock:
            length = len(self._records)
            if records[0].position < length:
                raise position_taken(records[0].position)
            if records[0].position > length:
                raise tail_missing(records[0].position)
            keys = {record.key: record.position for record in records if record.key is not None}
            named = sum(record.key is not None for record in records)
            if len(keys) < named or not keys.keys().isdisjoint(self._positions_by_key):
                raise key_taken()
            super().insert_events([StoredEvent(self._originator, r.position, r.topic, r.state) for r in records])
            self._records.extend(records)
            self._positions_by_key |= keys

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """The library's door: the same append, for events of this journal."""
        assert all(event.originator_id == self._originator for event in stored_events)
        try:
            self.append([Record(e.originator_version, e.topic, e.state, None) for e in stored_events])
        except JournalTrouble as trouble:
            raise IntegrityError(str(trouble)) from trouble

    def read(self, start: int, limit: int) -> list[Record]:
        return self._records[start : start + limit]

    def scan(self, start: int, stop: int) -> Iterator[Record]:
        return scan(self, start, stop)

    def find_key(self, key: str) -> Record | None:
        return self.find_keys([key]).get(key)

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        found = self._positions_by_key
        return {key: self._records[found[key]] for key in keys if key in found}

    def first_records(self, limit: int) -> list[Record]:
        return self._records[: min(1, limit)]

    def length(self) -> int:
        return len(self._records)

    def reopen(self) -> None:
        """Nothing to give up."""

    def close(self) -> None:
        """Nothing to release."""
