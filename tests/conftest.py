"""Real servers for the tests that ask for them, and the lines that say which ran.

A test that needs Apache Kafka or PostgreSQL takes a fixture from here (and carries the marker `servers`, which
the fixture adds by itself). Servers start after collection, only when such a test was collected; with
pytest-xdist they start before the workers, which share them. A missing server fails the tests that need it;
TIMEBANK_SKIP_SERVERS=1 skips them instead, except where CI or TIMEBANK_REQUIRE_SERVERS is set.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from deploy.servers.errors import ServerMissing
from deploy.servers.find import (
    KAFKA_VARIABLE,
    POSTGRES_VARIABLE,
    Database,
    OwnBroker,
    OwnDatabase,
    RunningBroker,
    RunningDatabase,
    start_broker,
    start_database,
)
from deploy.servers.run import Servers

# A busy machine is no bug: no test judges how long something took.
hypothesis.settings.register_profile("timebank", deadline=None)
hypothesis.settings.load_profile("timebank")

BROKER_FIXTURES = frozenset({"kafka_bootstrap"})
DATABASE_FIXTURES = frozenset({"postgres_server", "postgres_dsn"})
OWN_FIXTURES = frozenset({"kafka_broker", "private_postgres"})


SERVERS = pytest.StashKey[Servers]()
REPORTED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    servers = Servers()
    config.stash[SERVERS] = servers
    shared: dict[str, Any] = getattr(config, "workerinput", {}).get("timebank_servers", {})
    if "bootstrap" in shared:
        servers.broker = RunningBroker(shared["bootstrap"])
    if "dsn" in shared:
        servers.database = RunningDatabase(shared["dsn"])
    servers.trouble.update(shared.get("trouble", {}))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = BROKER_FIXTURES | DATABASE_FIXTURES | OWN_FIXTURES
    for item in items:
        if ours.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    servers = config.stash[SERVERS]
    names = {name for item in items for name in getattr(item, "fixturenames", ())}
    if not config.option.collectonly:
        if names & BROKER_FIXTURES:
            servers.start_broker()
        if names & DATABASE_FIXTURES:
            servers.start_database()
    return servers.report()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before a worker of pytest-xdist starts: the controller collects nothing, so it reads the mark expression."""
    config: pytest.Config = node.config
    servers = config.stash[SERVERS]
    if not config.stash.get(REPORTED, False):
        if "not servers" not in (config.option.markexpr or ""):
            servers.start_broker()
            servers.start_database()
        for line in servers.report():
            config.get_terminal_writer().line(line)
        config.stash[REPORTED] = True
    shared: dict[str, Any] = {"trouble": servers.trouble}
    if servers.broker is not None:
        shared["bootstrap"] = servers.broker.bootstrap
    if servers.database is not None:
        shared["dsn"] = servers.database.dsn
    node.workerinput["timebank_servers"] = shared


def pytest_unconfigure(config: pytest.Config) -> None:
    servers = config.stash.get(SERVERS, None)
    if servers is not None:
        servers.stop()


def _refuse(sentence: str) -> None:
    required = os.environ.get("CI") == "true" or os.environ.get("TIMEBANK_REQUIRE_SERVERS") == "1"
    if os.environ.get("TIMEBANK_SKIP_SERVERS") == "1" and not required:
        pytest.skip(sentence)
    pytest.fail(sentence, pytrace=False)


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> str:
    """`host:port` of a real broker that all tests share: use topics with a name of your own."""
    servers = pytestconfig.stash[SERVERS]
    servers.start_broker()
    if servers.broker is None:
        _refuse(servers.trouble["broker"])
    assert servers.broker is not None
    return servers.broker.bootstrap


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Database:
    """The PostgreSQL that all tests share."""
    servers = pytestconfig.stash[SERVERS]
    servers.start_database()
    if servers.database is None:
        _refuse(servers.trouble["database"])
    assert servers.database is not None
    return servers.database


@pytest.fixture
def postgres_dsn(postgres_server: Database) -> Iterator[str]:
    """The address of a fresh database, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def kafka_broker() -> Iterator[OwnBroker]:
    """A broker of the test's own, which it may kill and restart."""
    try:
        broker = start_broker()
    except ServerMissing as error:
        _refuse(f"{error} ({KAFKA_VARIABLE} names one that must not be killed.)")
        raise
    yield broker
    broker.stop()


@pytest.fixture
def private_postgres() -> Iterator[OwnDatabase]:
    """A PostgreSQL of the test's own, which it may kill and restart."""
    try:
        database = start_database()
    except ServerMissing as error:
        _refuse(f"{error} ({POSTGRES_VARIABLE} names one that must not be killed.)")
        raise
    yield database
    database.stop()
