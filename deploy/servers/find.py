"""Which broker and which database: sought in a fixed order, so that every run can say what it ran against.

    broker      TIMEBANK_TEST_KAFKA, a container, the jars
    database    TIMEBANK_TEST_POSTGRES, a container, an installed PostgreSQL 15 or later, the wheel

A container only where a Docker daemon of this machine already has the image (`containers`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .containers import KafkaContainer, PostgresContainer, kafka_image, postgres_image
from .databases import DatabaseServer
from .kafka import KafkaBroker
from .postgres import PostgresServer

KAFKA_VARIABLE = "TIMEBANK_TEST_KAFKA"
POSTGRES_VARIABLE = "TIMEBANK_TEST_POSTGRES"


class Broker(Protocol):
    """A broker that serves until `stop`."""

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""

    def describe(self) -> str:
        """One line for a person."""

    def stop(self) -> None:
        """End it, if it is ours."""


class Database(Protocol):
    """A PostgreSQL server that serves until `stop`; see `DatabaseServer` for the databases in it."""

    @property
    def dsn(self) -> str:
        """Of the maintenance database."""

    def dsn_of(self, database: str) -> str:
        """The address of `database`."""

    def create_database(self, name: str) -> str:
        """Make an empty database. Returns: its address."""

    def drop_database(self, name: str) -> None:
        """Remove a database."""

    def describe(self) -> str:
        """One line for a person."""

    def stop(self) -> None:
        """End it, if it is ours."""


class OwnBroker(Broker, Protocol):
    """A broker that a test may kill."""

    def kill(self) -> None:
        """SIGKILL."""

    def restart(self) -> None:
        """The same address, the same data."""


class OwnDatabase(Database, Protocol):
    """A PostgreSQL server that a test may kill."""

    def kill(self) -> None:
        """SIGKILL."""

    def pause(self) -> None:
        """SIGSTOP."""

    def resume(self) -> None:
        """SIGCONT."""

    def restart(self) -> None:
        """The same address, the same data."""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """Somebody else's broker: used, never ended."""

    bootstrap: str

    def describe(self) -> str:
        return f"Apache Kafka named by {KAFKA_VARIABLE} ({self.bootstrap})"

    def stop(self) -> None:
        """Leave it running."""


class RunningDatabase(DatabaseServer):
    """Somebody else's PostgreSQL: used, never ended. Its user must be allowed to create databases."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @property
    def dsn(self) -> str:
        return self._dsn

    def describe(self) -> str:
        return f"PostgreSQL {self.version()} named by {POSTGRES_VARIABLE}"

    def stop(self) -> None:
        """Leave it running."""


def find_broker(environment: Mapping[str, str] = os.environ) -> tuple[Broker, str]:
    """A running broker, and the line that says which.

    Args:
        environment: where the variables are looked up.
    Raises: ServerMissing when nothing here can run one; ServerTrouble when it does not start.
    """
    named = environment.get(KAFKA_VARIABLE)
    broker: Broker = RunningBroker(named) if named else start_broker(environment)
    return broker, broker.describe()


def start_broker(environment: Mapping[str, str] = os.environ) -> OwnBroker:
    """A broker of our own, whatever broker or database the environment names. Raises: as `find_broker`."""
    image = kafka_image(environment)
    return KafkaContainer(image).start() if image else KafkaBroker().start()


def find_database(environment: Mapping[str, str] = os.environ) -> tuple[Database, str]:
    """A running PostgreSQL, and the line that says which.

    Args:
        environment: where the variables are looked up.
    Raises: ServerMissing when nothing here can run one; ServerTrouble when it does not start.
    """
    named = environment.get(POSTGRES_VARIABLE)
    database: Database = RunningDatabase(named) if named else start_database(environment)
    return database, database.describe()


def start_database(environment: Mapping[str, str] = os.environ) -> OwnDatabase:
    """A PostgreSQL of our own, whatever broker or database the environment names. Raises: as `find_database`."""
    image = postgres_image(environment)
    return PostgresContainer(image).start() if image else PostgresServer().start()
