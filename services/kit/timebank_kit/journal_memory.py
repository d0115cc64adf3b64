"""The journal in memory: for tests, the simulation and trials. It ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from eventsourcing.popo import POPOAggregateRecorder

from timebank_kit.journal import KeyTaken, PositionTaken, Record


class MemoryJournal(POPOAggregateRecorder):
    """A recorder with a list beside it, because the library's own selection is linear."""

    def __init__(self, originator: UUID) -> None:
        super().__init__()
        self._originator = originator
        self._records: list[Record] = []
        self._positions_by_key: dict[str, int] = {}
        self._lock = threading.Lock()

    def append(self, records: Sequence[Record]) -> None:
        with self._lock:
            start = len(self._records)
            for offset, record in enumerate(records):
                if record.position != start + offset:
                    raise PositionTaken(f"Position {record.position} is taken or not the next ({start + offset}).")
            keys = [record.key for record in records if record.key is not None]
            if len(set(keys)) != len(keys) or any(key in self._positions_by_key for key in keys):
                raise KeyTaken("A record of this journal has the key already.")
            self.insert_events([StoredEvent(self._originator, r.position, r.topic, r.state) for r in records])
            self._records.extend(records)
            self._positions_by_key |= {r.key: r.position for r in records if r.key is not None}

    def read(self, start: int, limit: int) -> list[Record]:
        return self._records[start : start + limit]

    def find_keys(self, keys: Sequence[str]) -> dict[str, Record]:
        found = self._positions_by_key
        return {key: self._records[found[key]] for key in keys if key in found}

    def length(self) -> int:
        return len(self._records)

    def reopen(self) -> None:
        """Nothing to give up."""

    def close(self) -> None:
        """Nothing to release."""
