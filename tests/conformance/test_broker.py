"""One suite over every broker: the one inside the process, and Apache Kafka.

What is promised is little, because nothing rests on it: order, reading from the first record on, and an error for
whatever was not stored. Case K-3: a topic that was deleted and made again is another topic.
"""

from __future__ import annotations

import gc
import logging
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from deploy.servers.find import OwnBroker
from timebank_federation.broker import (
    RECORD_BYTES_MAX,
    BrokerAway,
    BrokerRecord,
    EmbeddedBroker,
    Inbox,
    Outbox,
    TopicAway,
)
from timebank_federation.broker_kafka import (
    CONSUMER_SETTINGS,
    PRODUCER_SETTINGS,
    TOPIC_SETTINGS,
    KafkaInbox,
    KafkaOutbox,
    make_topics,
)

PATIENCE_SECONDS = 60.0


class AnyBroker:
    """What the suite asks of a broker; each test has a topic of its own."""

    def __init__(self, outbox: Outbox, inbox: Callable[[str], Inbox], delete: Callable[[str], None]) -> None:
        self.topic = f"timebank.test.inbox.{uuid.uuid4().hex[:12]}"
        self.outbox = outbox
        self.delete = delete
        self._make_inbox = inbox
        self._inboxes: list[Inbox] = []

    def inbox(self) -> Inbox:
        made = self._make_inbox(self.topic)
        self._inboxes.append(made)
        return made

    def send(self, *values: bytes) -> None:
        for value in values:
            self.outbox.send(self.topic, key="barry", value=value)

    def close(self) -> None:
        for inbox in self._inboxes:
            inbox.close()
        self.outbox.close()


def embedded() -> AnyBroker:
    broker = EmbeddedBroker()
    return AnyBroker(broker.outbox(), broker.inbox, broker.delete_topic)


def kafka(bootstrap: str) -> AnyBroker:
    return AnyBroker(
        KafkaOutbox(bootstrap),
        lambda topic: KafkaInbox(bootstrap, topic),
        lambda topic: delete_at_kafka(bootstrap, topic),
    )


def delete_at_kafka(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.delete_topics([topic])
    until = time.monotonic() + PATIENCE_SECONDS
    while topic in admin.list_topics():
        assert time.monotonic() < until, "the topic was not deleted"
    admin.close()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.servers)])
def broker(request: pytest.FixtureRequest) -> Iterator[AnyBroker]:
    one = embedded() if request.param == "embedded" else kafka(request.getfixturevalue("kafka_bootstrap"))
    yield one
    one.close()


def read(inbox: Inbox, count: int) -> list[bytes]:
    """The next `count` records; fails when they do not come."""
    found: list[bytes] = []
    until = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} records came"
        found += [record.value for record in inbox.poll(timeout_seconds=0.2)]
    return found


def made(broker: AnyBroker) -> Inbox:
    """An inbox whose topic exists."""
    inbox = broker.inbox()
    assert inbox.poll(timeout_seconds=0) == []
    return inbox


def test_records_come_in_the_order_in_which_they_were_sent(broker: AnyBroker) -> None:
    inbox = made(broker)
    sent = [b"record %d" % number for number in range(700)]
    broker.send(*sent)
    assert read(inbox, 700) == sent


def test_a_record_says_who_sent_it_and_where_it_stands(broker: AnyBroker) -> None:
    inbox = made(broker)
    broker.send(b"one", b"\x00\xff\n")
    records: list[BrokerRecord] = []
    while len(records) < 2:
        records += inbox.poll(timeout_seconds=0.2)
    assert [(record.offset, record.key, record.value) for record in records] == [
        (0, "barry", b"one"),
        (1, "barry", b"\x00\xff\n"),
    ]


def test_a_reader_that_starts_again_reads_from_the_first_record(broker: AnyBroker) -> None:
    inbox = made(broker)
    broker.send(b"one", b"two")
    assert read(inbox, 2) == [b"one", b"two"]
    inbox.close()
    assert read(broker.inbox(), 2) == [b"one", b"two"]


def test_a_reader_that_reconnects_goes_on_where_it_was(broker: AnyBroker) -> None:
    inbox = made(broker)
    broker.send(b"one")
    assert read(inbox, 1) == [b"one"]
    inbox.close()
    broker.send(b"two")
    assert read(inbox, 1) == [b"two"]


def test_the_largest_record_is_carried_and_a_larger_one_refused_without_loss(broker: AnyBroker) -> None:
    inbox = made(broker)
    with pytest.raises(TopicAway):
        broker.send(bytes(RECORD_BYTES_MAX + 8192))
    broker.send(bytes(RECORD_BYTES_MAX), b"after")
    assert [len(value) for value in read(inbox, 2)] == [RECORD_BYTES_MAX, 5]


def test_sending_to_an_unknown_topic_is_an_error_and_makes_none(broker: AnyBroker) -> None:
    for _ in range(2):
        with pytest.raises(TopicAway):
            broker.send(b"lost?")
    inbox = made(broker)
    broker.send(b"now it is there")
    assert read(inbox, 1) == [b"now it is there"]


@pytest.mark.parametrize("anew", [3, 10])
def test_a_topic_made_again_is_read_from_its_beginning(broker: AnyBroker, anew: int) -> None:
    """Case K-3: with fewer records than were read before, and with more."""
    inbox = made(broker)
    broker.send(*[b"old %d" % number for number in range(5)])
    read(inbox, 5)
    broker.delete(broker.topic)
    made(broker).close()
    sent = [b"new %d" % number for number in range(anew)]
    broker.send(*sent)
    found: list[bytes] = []
    while found[-anew:] != sent:
        found += read(inbox, 1)


def test_a_deleted_topic_is_made_again_by_its_reader(broker: AnyBroker) -> None:
    inbox = made(broker)
    broker.send(b"one")
    read(inbox, 1)
    broker.delete(broker.topic)
    until = time.monotonic() + PATIENCE_SECONDS
    while raised(lambda: broker.send(b"two")) is not None:
        assert time.monotonic() < until, "the reader did not make its topic"
        raised(lambda: inbox.poll(timeout_seconds=0.2))
    assert read(inbox, 1) == [b"two"]


def test_the_embedded_broker_keeps_its_last_records_only() -> None:
    broker = EmbeddedBroker(records_max=3)
    inbox = broker.inbox("t")
    for number in range(5):
        broker.outbox().send("t", key="a", value=b"%d" % number)
    assert [(record.offset, record.value) for record in inbox.poll(timeout_seconds=0)] == [
        (2, b"2"),
        (3, b"3"),
        (4, b"4"),
    ]


# The client drops sockets without closing them while a broker is away.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.servers
def test_a_killed_broker_is_away_and_then_works_again(
    kafka_broker: OwnBroker, caplog: pytest.LogCaptureFixture
) -> None:
    # What the client logs would be kept to the end of the run, and its sockets with it.
    caplog.set_level(logging.CRITICAL, logger="kafka")
    _away_and_back(kafka_broker)
    gc.collect()


def _away_and_back(own: OwnBroker) -> None:
    broker = kafka(own.bootstrap)
    inbox = made(broker)
    broker.send(b"before")
    assert read(inbox, 1) == [b"before"]
    own.kill()
    assert raised(lambda: broker.send(b"during")) is BrokerAway
    assert raised(lambda: read(inbox, 1)) is BrokerAway
    own.restart()
    until = time.monotonic() + PATIENCE_SECONDS
    while raised(lambda: broker.send(b"after")) is not None:
        assert time.monotonic() < until, "the broker did not come back"
    found: list[bytes] = []
    while b"after" not in found:
        assert time.monotonic() < until, "nothing came after the restart"
        raised(lambda: found.extend(record.value for record in inbox.poll(timeout_seconds=0.5)))
    assert b"before" not in found
    broker.close()


def raised(call: Callable[[], object]) -> type[BrokerAway] | None:
    """The kind of trouble that a call met; the trouble itself is let go, with all that its trace holds."""
    try:
        call()
    except BrokerAway as away:
        return type(away)
    return None


def test_where_no_broker_listens_the_error_says_where() -> None:
    nowhere = "127.0.0.1:1"
    outbox, inbox = KafkaOutbox(nowhere), KafkaInbox(nowhere, "t")
    with pytest.raises(BrokerAway, match=nowhere):
        outbox.send("t", key="a", value=b"")
    with pytest.raises(BrokerAway, match=nowhere):
        inbox.poll(timeout_seconds=0)
    with pytest.raises(BrokerAway, match=nowhere):
        make_topics(nowhere, ["t"])


def test_the_client_s_defaults_that_would_lose_records_are_overridden() -> None:
    """Design page 9; PROTOCOL.md K3, K4."""
    demanded = {
        "group_id": None,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
    }
    assert demanded.items() <= CONSUMER_SETTINGS.items()
    assert {"acks": "all", "enable_idempotence": True}.items() <= PRODUCER_SETTINGS.items()
    assert PRODUCER_SETTINGS["allow_auto_create_topics"] is False
    assert PRODUCER_SETTINGS["max_request_size"] > RECORD_BYTES_MAX
    assert {
        "cleanup.policy": "delete",
        "retention.ms": str(14 * 24 * 3600 * 1000),
        "max.message.bytes": "528384",
        "message.timestamp.type": "LogAppendTime",
    } == TOPIC_SETTINGS


def test_the_client_knows_every_setting() -> None:
    assert CONSUMER_SETTINGS.keys() <= KafkaConsumer.DEFAULT_CONFIG.keys()
    assert PRODUCER_SETTINGS.keys() <= KafkaProducer.DEFAULT_CONFIG.keys()


@pytest.mark.servers
def test_a_topic_is_made_with_one_partition_and_the_settings_of_the_protocol(kafka_bootstrap: str) -> None:
    """PROTOCOL.md K2, K3."""
    topic = f"timebank.test.inbox.{uuid.uuid4().hex[:12]}"
    make_topics(kafka_bootstrap, [topic])
    make_topics(kafka_bootstrap, [topic])
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    (described,) = admin.describe_topics([topic])
    assert len(described["partitions"]) == 1
    told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    admin.close()
    for name, value in TOPIC_SETTINGS.items():
        assert f"'{name}'" in str(told)
        assert value in str(told)
