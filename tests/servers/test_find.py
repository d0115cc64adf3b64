"""The order of search: what the environment names comes first, and is never ended."""

from __future__ import annotations

import pytest

from deploy.servers.containers import kafka_image, postgres_image
from deploy.servers.find import KAFKA_VARIABLE, POSTGRES_VARIABLE, find_broker, find_database
from deploy.servers.postgres import find_binaries, installed_binaries, wheel_binaries
from deploy.servers.run import Servers


def test_a_broker_that_the_environment_names_is_used_and_never_ended() -> None:
    broker, line = find_broker({KAFKA_VARIABLE: "kafka.example:9092"})
    broker.stop()
    assert broker.bootstrap == "kafka.example:9092"
    assert line == "Apache Kafka named by TIMEBANK_TEST_KAFKA (kafka.example:9092)"


@pytest.mark.servers
def test_a_database_that_the_environment_names_is_used_and_never_ended(postgres_dsn: str) -> None:
    database, line = find_database({POSTGRES_VARIABLE: postgres_dsn})
    database.stop()
    assert database.dsn == postgres_dsn
    assert line.endswith("named by TIMEBANK_TEST_POSTGRES")
    assert postgres_dsn not in line
    again, _ = find_database({POSTGRES_VARIABLE: postgres_dsn})
    name = "named_by_the_environment"
    assert again.create_database(name).endswith(f"/{name}")
    again.drop_database(name)


def test_a_docker_daemon_elsewhere_is_not_asked() -> None:
    elsewhere = {"DOCKER_HOST": "tcp://docker.example:2375"}
    assert kafka_image(elsewhere) is None
    assert postgres_image(elsewhere) is None


def test_an_installed_postgresql_comes_before_the_wheel() -> None:
    assert find_binaries() == (installed_binaries() or wheel_binaries())


def test_a_run_without_such_tests_says_that_no_server_was_started() -> None:
    assert Servers().report() == [
        "broker: not started: no test needs one",
        "database: not started: no test needs one",
    ]
