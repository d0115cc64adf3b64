"""What scenarios do to topics behind everybody's back: read, write, delete, set. On the broker's direct address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from tests.e2e.running_towns import until
from timebank_federation.broker_kafka import make_topics
from timebank_federation.topics import MESSAGE_BYTES_MAX

READ_MILLISECONDS = 2_000
PATIENCE_SECONDS = 60.0


class Topics:
    """The topics of one broker.

    Args:
        bootstrap: where it answers.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    @contextlib.contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            yield admin
        finally:
            admin.close()

    @contextlib.contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        try:
            yield consumer
        finally:
            consumer.close()

    def read(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Key and value of every record that is there now."""
        partition = TopicPartition(topic, 0)
        with self._consumer() as consumer:
            consumer.assign([partition])
            last = consumer.end_offsets([partition])[partition]
            records: list[tuple[bytes, bytes]] = []
            while consumer.position(partition) < last:
                for found in consumer.poll(timeout_ms=READ_MILLISECONDS).get(partition, []):
                    records.append((found.key or b"", found.value or b""))
            return records

    def write(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Append records."""
        producer = KafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", max_request_size=MESSAGE_BYTES_MAX, linger_ms=20
        )
        try:
            for key, value in records:
                producer.send(topic, key=key, value=value, partition=0)
            producer.flush(timeout=PATIENCE_SECONDS)
        finally:
            producer.close()

    def make(self, *topics: str) -> None:
        """Make topics as the plan says."""
        make_topics(self._bootstrap, topics)

    def forget(self, *topics: str) -> None:
        """Delete topics."""
        with self._admin() as admin:
            admin.delete_topics(list(topics))
            until(
                lambda: not set(topics) & set(admin.list_topics()),
                seconds=PATIENCE_SECONDS,
                what="the topics are deleted",
            )

    def set(self, topic: str, **settings: str) -> None:
        """Change settings of a topic, named with `_` in place of `.`."""
        changes = {name.replace("_", "."): value for name, value in settings.items()}
        with self._admin() as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])

    def widen(self, topic: str, *, partitions: int) -> None:
        """Give a topic more partitions."""
        with self._admin() as admin:
            admin.create_partitions({topic: partitions})

    def wait_given_up(self, topic: str) -> None:
        """Wait until the broker has deleted records by age."""
        partition = TopicPartition(topic, 0)
        with self._consumer() as consumer:
            until(
                lambda: consumer.beginning_offsets([partition])[partition] > 0,
                seconds=PATIENCE_SECONDS,
                what="the broker deletes records",
            )
