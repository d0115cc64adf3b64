"""Apache Kafka behind the broker port: the only file that imports its client.

The consumer's own defaults would lose records here (latest, auto-commit, read-uncommitted, topics made by accident);
each is overridden in `CONSUMER_SETTINGS`, which a test asserts. Its position is a hint: the chain is the truth.
Source: design pages 2, 9 and 11; PROTOCOL.md K1 to K4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from timebank_federation.broker import RECORD_BYTES_MAX, BrokerAway, BrokerRecord, TopicAway

SEND_SECONDS: Final = 20.0
CONNECT_MILLISECONDS: Final = 10_000
TOPIC_MILLISECONDS: Final = 3_000
"""How long the producer waits for word of a topic: what is longer holds up the segments to other peers."""
QUIET_POLLS: Final = 3
"""Polls without a record after which the broker is asked whether it is there: the client itself waits in silence."""
PROOF_MILLISECONDS: Final = 5_000
RETENTION_MILLISECONDS: Final = 14 * 24 * 3600 * 1000

CONSUMER_SETTINGS: Final[dict[str, Any]] = {
    "group_id": None,
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "allow_auto_create_topics": False,
    "fetch_max_wait_ms": 100,
    "fetch_min_bytes": 1,
    "max_partition_fetch_bytes": 8 * 1024 * 1024,
    "max_poll_records": 200,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": CONNECT_MILLISECONDS,
}
PRODUCER_SETTINGS: Final[dict[str, Any]] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "batch_size": 1024 * 1024,
    "max_request_size": RECORD_BYTES_MAX + 4096,
    "allow_auto_create_topics": False,
    "max_block_ms": TOPIC_MILLISECONDS,
    "delivery_timeout_ms": 15_000,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": CONNECT_MILLISECONDS,
}
TOPIC_SETTINGS: Final[dict[str, str]] = {
    "cleanup.policy": "delete",
    "retention.ms": str(RETENTION_MILLISECONDS),
    "max.message.bytes": str(RECORD_BYTES_MAX + 4096),
}


class KafkaOutbox:
    """A producer that is made when it is first needed and given up after trouble."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: KafkaProducer | None = None

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        try:
            if self._producer is None:
                self._producer = KafkaProducer(bootstrap_servers=self._bootstrap, **PRODUCER_SETTINGS)
            future = self._producer.send(topic, key=key.encode("ascii"), value=value, partition=0)
            future.get(timeout=SEND_SECONDS)
        except (MessageSizeTooLargeError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError) as error:
            raise TopicAway(f"Kafka at {self._bootstrap} did not take a record: {type(error).__name__}.") from error
        except KafkaError as error:
            missing = self._producer is not None and self._producer.bootstrap_connected() and not self._has(topic)
            self.close()
            kind = TopicAway if missing else BrokerAway
            raise kind(f"Kafka at {self._bootstrap} did not take a record: {type(error).__name__}.") from error

class KafkaInbox:
    """Reads partition 0 of one topic from the first record that the broker keeps."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._partition = TopicPartition(topic, 0)
        self._consumer: KafkaConsumer | None = None
        self._next: int | None = None
        self._quiet = 0

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        try:
            if self._consumer is None:
                self._consumer = self._connect()
            found = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
            self._quiet = 0 if found else self._quiet + 1
            if self._quiet >= QUIET_POLLS:
                self._quiet = 0
                self._consumer.end_offsets([self._partition], timeout_ms=PROOF_MILLISECONDS)
        except (KafkaError, ValueError) as error:
            self.close()
            raise BrokerAway(f"Kafka at {self._bootstrap} cannot be read: {type(error).__name__}.") from error
        records = [
            BrokerRecord(record.offset, (record.key or b"").decode("ascii", "replace"), record.value or b"")
            for record in found.get(self._partition, [])
        ]
        if records:
            self._next = records[-1].offset + 1
        return records

    def _connect(self) -> KafkaConsumer:
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, **CONSUMER_SETTINGS)
        consumer.assign([self._partition])
        first = consumer.beginning_offsets([self._partition])[self._partition]
        last = consumer.end_offsets([self._partition])[self._partition]
        # A topic that was made again ends before our hint: read it from its beginning, the chain tells what is new.
        if self._next is not None and first <= self._next <= last:
            consumer.seek(self._partition, self._next)
        else:
            consumer.seek(self._partition, first)
        return consumer

    def close(self) -> None:
        if self._consumer is not None:
            with contextlib.suppress(KafkaError):
                self._consumer.close()
            self._consumer = None


def make_topics(bootstrap: str, topics: Sequence[str], *, replication: int = 1) -> None:
    """Make the inbox topics that do not exist yet: one partition, records deleted by age only, never compacted.

    Raises:
        BrokerAway: no broker answers, or it refuses.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=CONNECT_MILLISECONDS)
    except KafkaError as error:
        raise BrokerAway(f"Kafka at {bootstrap} cannot be reached: {type(error).__name__}.") from error
    try:
        for topic in topics:
            new = NewTopic(
                name=topic, num_partitions=1, replication_factor=replication, topic_configs=dict(TOPIC_SETTINGS)
            )
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics([new])
    except KafkaError as error:
        raise BrokerAway(f"Kafka at {bootstrap} refuses to make a topic: {type(error).__name__}.") from error
    finally:
        admin.close()
