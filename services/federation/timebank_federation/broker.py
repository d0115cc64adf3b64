"""The broker port: topics of bytes, one partition each, read by position. And the broker inside one process.

A broker is the fast path and never the record: what it loses, doubles, cuts or empties costs time only. So an adapter
may fail at any call with `BrokerAway`; nothing rests on offsets, groups or broker transactions.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from timebank_federation import topics

RECORD_BYTES_MAX = topics.RECORD_BYTES_MAX
POLL_RECORDS_MAX = 500


class BrokerAway(Exception):
    """The broker does not answer, or refuses; the text says what may be wrong."""


class TopicAway(BrokerAway):
    """The broker answers, and this one topic does not take the record: it is missing, or closed to us."""


class BrokerRecord(NamedTuple):
    """One record of a topic: its position there, who sent it, and the segment."""

    offset: int
    key: str
    value: bytes


class Outbox(Protocol):
    """Sends records. It never makes a topic: a typing error must not."""

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        """Hand over a record; on return the broker has stored it.

        Raises:
            BrokerAway: it may be stored or not. TopicAway: other topics may still be reached.
        """

    def close(self) -> None:
        """Release what is held."""


class Inbox(Protocol):
    """Reads one topic from its first record on, in order. A record may come again after trouble.

    A node owns its inbox: the topic is made by its reader when it is missing. One that was deleted and made again is
    read from its first record.
    """

    made_again: int
    """How often the topic turned out to be another one of the same name."""
    given_up: int
    """Records that the broker gave up before they were read; the chain of their stream shows the gap."""

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        """The next records, up to some hundreds; empty when the time is over. Raises `BrokerAway`."""

    def close(self) -> None:
        """Release what is held."""


class _Topic:
    """The last records of a topic, and the position of the next one."""

    def __init__(self, records_max: int) -> None:
        self.records: deque[BrokerRecord] = deque(maxlen=records_max)
        self.end = 0


class EmbeddedBroker:
    """Topics in memory, for nodes of one process. Keeps the last records of a topic up to `records_max`."""

    def __init__(self, *, records_max: int = 100_000) -> None:
        self._records_max = records_max
        self._topics: dict[str, _Topic] = {}
        self._changed = threading.Condition()

    def outbox(self) -> Outbox:
        """A sender to any topic."""
        return _EmbeddedOutbox(self)

    def inbox(self, topic: str) -> Inbox:
        """A reader of one topic, from its first kept record on; makes the topic."""
        self.make_topic(topic)
        return _EmbeddedInbox(self, topic)

    def make_topic(self, topic: str) -> _Topic:
        """Make a topic unless it exists; returns it."""
        with self._changed:
            return self._topics.setdefault(topic, _Topic(self._records_max))

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with its records, as an operator's mistake would."""
        with self._changed:
            self._topics.pop(topic, None)

    def records(self, topic: str) -> list[BrokerRecord]:
        """Every kept record of a topic."""
        with self._changed:
            found = self._topics.get(topic)
            return [] if found is None else list(found.records)

    def append(self, topic: str, key: str, value: bytes) -> None:
        """Store a record; the oldest are given up above `records_max`. Raises `TopicAway`."""
        if len(value) > RECORD_BYTES_MAX:
            raise TopicAway(f"A record has at most {RECORD_BYTES_MAX} bytes; this one would never be taken.")
        with self._changed:
            found = self._topics.get(topic)
            if found is None:
                raise TopicAway(f"There is no topic {topic}; its node makes it when it starts.")
            found.records.append(BrokerRecord(found.end, key, value))
            found.end += 1
            self._changed.notify_all()

    def after(self, known: _Topic | None, topic: str, offset: int, timeout_seconds: float) -> _Found:
        """Kept records from `offset` on, waiting for the first up to the time given.

        Args:
            known: the topic that the offset belongs to; another one of the same name is read from its beginning.
        """
        with self._changed:
            found = self.make_topic(topic)
            start = offset if found is known else 0
            self._changed.wait_for(lambda: found.end > start, timeout=timeout_seconds)
            skip = max(0, start - (found.end - len(found.records)))
            kept = [found.records[at] for at in range(skip, min(skip + POLL_RECORDS_MAX, len(found.records)))]
            return _Found(found, kept, kept[-1].offset + 1 if kept else start)


class _Found(NamedTuple):
    topic: _Topic
    records: list[BrokerRecord]
    next: int


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
        self._name = topic
        self._topic: _Topic | None = None
        self._next = 0
        self.made_again = 0
        self.given_up = 0

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        before, start = self._topic, self._next
        self._topic, records, self._next = self._broker.after(before, self._name, start, timeout_seconds)
        if before is not None and self._topic is not before:
            self.made_again += 1
        elif records and start:
            self.given_up += records[0].offset - start
        return records

    def close(self) -> None:
        """Nothing is held."""
