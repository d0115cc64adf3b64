"""The broker port: topics of bytes, one partition each, read by position. And the broker inside one process.

A broker is the fast path and never the record: what it loses, doubles, cuts or empties costs time only. So an adapter
may fail at any call with `BrokerAway`; nothing rests on offsets, groups or broker transactions.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

RECORD_BYTES_MAX = 524_288


class BrokerAway(Exception):
    """The broker does not answer, or refuses; the text says what may be wrong."""


class BrokerRecord(NamedTuple):
    """One record of a topic: its position there, who sent it, and the segment."""

    offset: int
    key: str
    value: bytes


class Outbox(Protocol):
    """Sends records."""

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        """Hand over a record; on return the broker has stored it.

        Raises:
            BrokerAway: it may be stored or not.
        """

    def close(self) -> None:
        """Release what is held."""


class Inbox(Protocol):
    """Reads one topic from its first record on, in order. A record may come again after trouble."""

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        """The next records, up to some hundreds; empty when the time is over. Raises `BrokerAway`."""

    def close(self) -> None:
        """Release what is held."""


class EmbeddedBroker:
    """Topics in memory, for nodes of one process. Keeps the last records of a topic up to `records_max`."""

    def __init__(self, *, records_max: int = 100_000) -> None:
        self._records_max = records_max
        self._topics: dict[str, deque[BrokerRecord]] = {}
        self._ends: dict[str, int] = {}
        self._grown = threading.Condition()

    def outbox(self) -> Outbox:
        """A sender to any topic."""
        return _EmbeddedOutbox(self)

    def inbox(self, topic: str) -> Inbox:
        """A reader of one topic, from its first kept record on."""
        return _EmbeddedInbox(self, topic)

    def append(self, topic: str, key: str, value: bytes) -> None:
        """Store a record; the oldest are given up above `records_max`."""
        if len(value) > RECORD_BYTES_MAX:
            raise BrokerAway(f"A record has at most {RECORD_BYTES_MAX} bytes; this one would never be taken.")
        with self._grown:
            records = self._topics.setdefault(topic, deque(maxlen=self._records_max))
            records.append(BrokerRecord(self._ends.get(topic, 0), key, value))
            self._ends[topic] = self._ends.get(topic, 0) + 1
            self._grown.notify_all()

    def after(self, topic: str, offset: int, timeout_seconds: float) -> list[BrokerRecord]:
        """Kept records from `offset` on, waiting for the first up to the time given; at most 500."""
        with self._grown:
            self._grown.wait_for(lambda: self._ends.get(topic, 0) > offset, timeout=timeout_seconds)
            kept = self._topics.get(topic, deque())
            skip = max(0, offset - (kept[0].offset if kept else 0))
            return [kept[at] for at in range(skip, min(skip + 500, len(kept)))]


class _EmbeddedOutbox:
    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        self._broker.append(topic, key, value)

    def close(self) -> None:
        """Nothing is held."""


class _EmbeddedInbox:
    def __init__(self, broker: EmbeddedBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._next = 0

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        records = self._broker.after(self._topic, self._next, timeout_seconds)
        if records:
            self._next = records[-1].offset + 1
        return records

    def close(self) -> None:
        """Nothing is held."""
