"""Apache Kafka behind the broker port; with `kafka_admin` the only file that imports its client.

The consumer's own defaults would lose records here (latest, auto-commit, read-uncommitted, topics made by accident);
each is overridden in `CONSUMER_SETTINGS`, which a test asserts. Its position is a hint: the chain is the truth.
Reading order: `KafkaOutbox`, `KafkaInbox`, `make_topics`; `broker_knock` says why there is no way in.
Source: design pages 2, 9 and 11; PROTOCOL.md K1 to K4.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from timebank_federation.broker import BrokerAway, BrokerRecord, TopicAway
from timebank_federation.broker_knock import NoWayIn, knock
from timebank_federation.broker_security import PLAIN, KafkaSecurity
from timebank_federation.inbox_place import InboxPlace
from timebank_federation.topics import (
    DAY_MILLISECONDS,
    MESSAGE_BYTES_MAX,
    PARTITIONS,
    RETENTION_DAYS,
    TopicRules,
)

SEND_SECONDS: Final = 20.0
CONNECT_MILLISECONDS: Final = 10_000
TOPIC_MILLISECONDS: Final = 3_000
"""How long the producer waits for word of a topic: what is longer holds up the segments to other peers."""
QUIET_POLLS: Final = 3
"""Polls without a record after which the broker is asked whether it is there: the client itself waits in silence."""
PROOF_MILLISECONDS: Final = 5_000
TOPIC_AGE_MILLISECONDS: Final = 5_000
"""How often the reader asks whether the topic is still the one that it was; a fetch by name does not tell."""
BROKERS_CHOICE: Final = -1
"""Replicas of a topic: as many as the brokers' own setting says."""
RETENTION_MILLISECONDS: Final = RETENTION_DAYS * DAY_MILLISECONDS

CONSUMER_SETTINGS: Final[dict[str, Any]] = {
    "group_id": None,
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "allow_auto_create_topics": False,
    "fetch_max_wait_ms": 100,
    "fetch_min_bytes": 1,
    "max_partition_fetch_bytes": 2 * 1024 * 1024,
    "max_poll_records": 16,
    "metadata_max_age_ms": TOPIC_AGE_MILLISECONDS,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": CONNECT_MILLISECONDS,
}
PRODUCER_SETTINGS: Final[dict[str, Any]] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "batch_size": 1024 * 1024,
    "max_request_size": MESSAGE_BYTES_MAX,
    "allow_auto_create_topics": False,
    "max_block_ms": TOPIC_MILLISECONDS,
    "delivery_timeout_ms": 15_000,
    "request_timeout_ms": 10_000,
    "bootstrap_timeout_ms": CONNECT_MILLISECONDS,
}
TOPIC_SETTINGS: Final[dict[str, str]] = {
    name: TopicRules().topic_settings[name]
    for name in ("cleanup.policy", "retention.ms", "max.message.bytes", "message.timestamp.type")
}
"""Of a topic that its own node makes; how many brokers hold it is theirs to say."""
_OF_ONE_TOPIC: Final = (MessageSizeTooLargeError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError)
_log = logging.getLogger(__name__)


class KafkaOutbox:
    """A producer that is made when it is first needed and given up after trouble."""

    def __init__(self, bootstrap: str, security: KafkaSecurity = PLAIN) -> None:
        self._bootstrap = bootstrap
        self._security = security
        self._producer: KafkaProducer | None = None

    def send(self, topic: str, *, key: str, value: bytes) -> None:
        try:
            if self._producer is None:
                knock(self._bootstrap, self._security)
                self._producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap, **PRODUCER_SETTINGS, **self._security.client_settings()
                )
            _find(self._producer, self._bootstrap, self._security, topic)
            future = self._producer.send(topic, key=key.encode("ascii"), value=value, partition=0)
            future.get(timeout=SEND_SECONDS)
        except TopicAuthorizationFailedError as error:
            # The client would say the same of every other topic from now on.
            self.close()
            raise TopicAway(
                f"Kafka at {self._bootstrap} lets this node not write to {topic}: run `timebank kafka apply` with the "
                "registry in force."
            ) from error
        except _OF_ONE_TOPIC as error:
            raise TopicAway(f"Kafka at {self._bootstrap} did not take a record: {type(error).__name__}.") from error
        except NoWayIn as reason:
            self.close()
            raise BrokerAway(f"Kafka at {self._bootstrap} cannot be used: {reason}.") from reason
        except KafkaError as error:
            self.close()
            raise BrokerAway(f"Kafka at {self._bootstrap} did not take a record: {type(error).__name__}.") from error

    def close(self) -> None:
        if self._producer is not None:
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=2)
            self._producer = None


def _find(producer: KafkaProducer, bootstrap: str, security: KafkaSecurity, topic: str) -> None:
    """The client says the same of a missing topic and of a broker that is gone: here they are told apart."""
    try:
        producer.partitions_for(topic)
    except KafkaTimeoutError as error:
        knock(bootstrap, security)
        raise UnknownTopicOrPartitionError(topic) from error


class KafkaInbox:
    """Reads partition 0 of one topic from the first record that the broker keeps, or from where it was read to.

    Args:
        place: the file that keeps how far; None: every start reads the whole topic.
    """

    def __init__(
        self, bootstrap: str, topic: str, security: KafkaSecurity = PLAIN, *, place: Path | None = None
    ) -> None:
        self._bootstrap = bootstrap
        self._security = security
        self._topic = topic
        self._partition = TopicPartition(topic, 0)
        self._consumer: KafkaConsumer | None = None
        self._place = InboxPlace(place)
        known = self._place.load()
        self._topic_id: str | None = None if known is None else known[0]
        self._next = 0 if known is None else known[1]
        self._quiet = 0
        self.made_again = 0
        self.given_up = 0

    def poll(self, *, timeout_seconds: float) -> Sequence[BrokerRecord]:
        try:
            if self._consumer is None:
                self._consumer = self._connect()
            if self._topic_id is not None:
                # Who asks for more has taken what was given before.
                self._place.save(self._topic_id, self._next)
            found = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000))
            self._quiet = 0 if found else self._quiet + 1
            if self._quiet >= QUIET_POLLS:
                self._quiet = 0
                self._consumer.end_offsets([self._partition], timeout_ms=PROOF_MILLISECONDS)
            if _topic_id(self._consumer, self._topic) != self._topic_id:
                # Deleted and made again: before what was read now there may be records that nobody has read.
                self.close()
                return []
        except TopicAuthorizationFailedError as error:
            self.close()
            raise BrokerAway(
                f"Kafka at {self._bootstrap} lets this node not read {self._topic}: run `timebank kafka apply` "
                "with the registry in force."
            ) from error
        except NoWayIn as reason:
            self.close()
            raise BrokerAway(f"Kafka at {self._bootstrap} cannot be used: {reason}.") from reason
        except (KafkaError, ValueError) as error:
            self.close()
            raise BrokerAway(f"Kafka at {self._bootstrap} cannot be read: {type(error).__name__}.") from error
        records = [
            BrokerRecord(record.offset, (record.key or b"").decode("ascii", "replace"), record.value or b"")
            for record in found.get(self._partition, [])
        ]
        if records:
            self._miss(records[0].offset)
            self._next = records[-1].offset + 1
        return records

    def _miss(self, first: int) -> None:
        """Take notice of records that the broker gave up before they were read; the stream shows what was in them."""
        if first > self._next > 0:
            self.given_up += first - self._next
            _log.warning("records given up by the broker", extra={"topic": self._topic, "count": first - self._next})

    def _connect(self) -> KafkaConsumer:
        knock(self._bootstrap, self._security)
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap, **CONSUMER_SETTINGS, **self._security.client_settings()
        )
        try:
            if not consumer.partitions_for_topic(self._topic):
                make_topics(self._bootstrap, [self._topic], security=self._security)
            consumer.assign([self._partition])
            first = consumer.beginning_offsets([self._partition])[self._partition]
            last = consumer.end_offsets([self._partition])[self._partition]
        except BaseException:
            consumer.close()
            raise
        found = _topic_id(consumer, self._topic)
        # The hint counts for the topic that it was taken from; the chain tells what is new.
        if found == self._topic_id:
            self._miss(min(first, last))
        elif self._topic_id is not None:
            self.made_again += 1
            _log.warning("topic made again", extra={"topic": self._topic, "id": found, "before": self._topic_id})
        known = found == self._topic_id and first <= self._next <= last
        self._next = self._next if known else first
        consumer.seek(self._partition, self._next)
        self._topic_id = found
        return consumer

    def close(self) -> None:
        if self._consumer is not None:
            with contextlib.suppress(KafkaError):
                self._consumer.close()
            self._consumer = None


def _topic_id(consumer: KafkaConsumer, topic: str) -> str | None:
    """The id under which the broker knows the topic now; the client has no public name for it (see `test_broker`)."""
    found = consumer._cluster.topic_id(topic)
    return None if found is None else str(found)


def make_topics(
    bootstrap: str,
    topics: Sequence[str],
    *,
    replication: int = BROKERS_CHOICE,
    security: KafkaSecurity = PLAIN,
) -> None:
    """Make the inbox topics that do not exist yet: one partition, records deleted by age only, never compacted.

    Raises:
        BrokerAway: no broker answers, or it refuses.
    """
    admin = open_admin(bootstrap, security)
    try:
        for topic in topics:
            new = NewTopic(
                name=topic,
                num_partitions=PARTITIONS,
                replication_factor=replication,
                topic_configs=dict(TOPIC_SETTINGS),
            )
            with contextlib.suppress(TopicAlreadyExistsError):
                admin.create_topics([new])
    except TopicAuthorizationFailedError as error:
        raise BrokerAway(
            f"Kafka at {bootstrap} shows this node no topic {topic} and lets it make none: run `timebank kafka apply` "
            "with the registry in force."
        ) from error
    except KafkaError as error:
        raise BrokerAway(f"Kafka at {bootstrap} refuses to make a topic: {type(error).__name__}.") from error
    finally:
        admin.close()


def open_admin(bootstrap: str, security: KafkaSecurity) -> KafkaAdminClient:
    """An administrator's client that has found the brokers; to be closed. Raises `BrokerAway`."""
    try:
        knock(bootstrap, security)
        return KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=CONNECT_MILLISECONDS, **security.client_settings()
        )
    except NoWayIn as reason:
        raise BrokerAway(f"Kafka at {bootstrap} cannot be used: {reason}.") from reason
    except KafkaError as error:
        raise BrokerAway(f"Kafka at {bootstrap} cannot be reached: {type(error).__name__}.") from error
