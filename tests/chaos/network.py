"""Three towns on one broker and one database, with a fault line on every way between them.

    client ─ line ─▶ ledger ◀─ line ─ federation ─ line ─▶ Kafka         a line for each town's way to the broker
                       │                  ▲
           PostgreSQL ◀┘ line             └─ line ─ the other towns      `FaultLine.set(asker=…)` tells them apart

Aberdare: a process for each service, its journal in PostgreSQL. Barry: the same, its home and SQLite journal on a small
disk. Caerphilly: one process for all, on SQLite. `heal` mends whatever a scenario broke, as an operator would.
"""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import psycopg

from deploy.local.towns import NODE, SERVICES, LocalTown, is_ready, make_network
from deploy.servers.child import Child, free_port
from deploy.servers.kafka import KafkaBroker
from deploy.servers.postgres import PostgresServer
from tests.chaos.fault_line import FaultLine
from tests.e2e.cut_line import server_of, through
from tests.e2e.running_towns import LIMIT_MINUTES, MEMBERS, READY_SECONDS, RunningTown, until
from tests.e2e.small_disk import SmallDisk
from timebank_contracts.names import inbox_topic
from timebank_federation.broker_kafka import make_topics

POLL_SECONDS = 0.5
FINAL_SECONDS = 60.0
WAL_MEGABYTES = 96
BROKER_SETTINGS = {
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
    "log.cleaner.backoff.ms": "500",
    "log.segment.delete.delay.ms": "500",
}
"""Old records are looked for twice a second instead of every five minutes."""
DIRECT = "PLAINTEXT"


class Servers:
    """The broker and the database that all scenarios share, and the line of each town to the broker."""

    def __init__(self, folder: Path, *, disk: SmallDisk | None = None) -> None:
        self.disk = disk
        """The broker's, mounted as its data folder; None where nobody may mount one."""
        protocols = {DIRECT: DIRECT} | {name.upper(): DIRECT for name in MEMBERS}
        # The directory keeps the ports: they are known before the broker is told what to advertise.
        ports = KafkaBroker(folder / "kafka", listeners=protocols)
        self.kafka_lines = {
            name: FaultLine(_address(ports.address(name.upper())), seed=number) for number, name in enumerate(MEMBERS)
        }
        ways = {name.upper(): line.address for name, line in self.kafka_lines.items()}
        advertised = ",".join(f"{name}://{way}" for name, way in {DIRECT: ports.bootstrap, **ways}.items())
        settings = {**BROKER_SETTINGS, "advertised.listeners": advertised}
        self.broker = KafkaBroker(folder / "kafka", settings=settings, listeners=protocols)
        self.database = PostgresServer()

    def start(self) -> None:
        """Start both."""
        self.broker.start()
        self.database.start()
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET max_wal_size = '{WAL_MEGABYTES}MB'")
            connection.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """End both."""
        for line in self.kafka_lines.values():
            line.close()
        self.broker.stop()
        self.database.stop()

    def empty_broker(self) -> None:
        """Kill the broker and throw away all that it had."""
        self.broker.kill()
        for each in (self.broker.directory / "data").iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()


class Network:
    """The towns, and every line.

    Args:
        servers: running.
        folder: for homes and logs.
        disk: Barry's, None where nobody may mount one.
        with_kafka: False: the towns only ask each other.
    """

    def __init__(self, servers: Servers, folder: Path, *, disk: SmallDisk | None, with_kafka: bool = True) -> None:
        self.servers, self.folder, self.disk, self.with_kafka = servers, folder, disk, with_kafka
        self.name = f"chaos{uuid.uuid4().hex[:12]}.timebank.wales"
        self.doors: dict[str, FaultLine] = {}
        self.clients: dict[str, FaultLine] = {}
        self.ledgers: dict[str, FaultLine] = {}
        self.towns: dict[str, RunningTown] = {}
        self.extra = ExitStack()
        """What a scenario started beside the towns; ended by `heal`."""
        dsn = servers.database.create_database(f"chaos_{uuid.uuid4().hex[:12]}")
        self.journal_line = FaultLine(server_of(dsn), seed=100)
        self.journals: dict[str, str] = {"aberdare": dsn}
        towns = [self._town(number, name) for number, name in enumerate(MEMBERS)]
        make_network(self.name, towns, folder=folder, pair_limit=LIMIT_MINUTES)
        if with_kafka:
            make_topics(servers.broker.bootstrap, [inbox_topic(self.name, town.name) for town in towns])
        for town in towns:
            self.towns[town.name] = RunningTown(
                town,
                folder,
                network=self.name,
                variables=self._variables(town),
                services=[NODE] if town.name == "caerphilly" else SERVICES,
            )

    def _town(self, number: int, name: str) -> LocalTown:
        home = (self.disk.folder if self.disk is not None and name == "barry" else self.folder) / name
        ports = {service: free_port() for service in SERVICES}
        if name == "caerphilly":
            ports = dict.fromkeys([*SERVICES, NODE], free_port())
        self.doors[name] = FaultLine(("127.0.0.1", ports["federation"]), seed=200 + number)
        self.clients[name] = FaultLine(("127.0.0.1", ports["ledger"]), seed=300 + number)
        self.ledgers[name] = FaultLine(("127.0.0.1", ports["ledger"]), seed=400 + number)
        self.journals.setdefault(name, f"sqlite:{home}/journal.db")
        return LocalTown(name=name, home=home, ports=ports, public_url=f"http://{self.doors[name].address}")

    def _variables(self, town: LocalTown) -> dict[str, str]:
        url = self.journals[town.name]
        if town.name == "aberdare":
            url = f"{through(url, self.journal_line)}?options=-cstatement_timeout%3D4000"
        kafka = self.servers.kafka_lines[town.name].address if self.with_kafka else None
        said = town.environment(journal=url, kafka=kafka, poll_seconds=POLL_SECONDS)
        said["TIMEBANK_FEDERATION_LEDGER_URL"] = f"http://{self.ledgers[town.name].address}"
        if town.name != "caerphilly":
            return said
        own = ("TIMEBANK_LEDGER_JOURNAL_URL", "TIMEBANK_FEDERATION_KAFKA", "TIMEBANK_FEDERATION_POLL_SECONDS")
        return {name: value for name, value in said.items() if name in own}

    def __getitem__(self, name: str) -> RunningTown:
        return self.towns[name]

    @property
    def lines(self) -> list[FaultLine]:
        """Every line of this network, and those to the broker."""
        own = [*self.doors.values(), *self.clients.values(), *self.ledgers.values(), self.journal_line]
        return [*own, *self.servers.kafka_lines.values()]

    def topic(self, name: str) -> str:
        """The inbox topic of a town."""
        return inbox_topic(self.name, name)

    def start(self) -> None:
        """Start all towns and enrol their members."""
        for town in self.towns.values():
            town.start()
        for town in self.towns.values():
            town.wait_ready()
            town.enrol()

    def restart(self, town: str, *services: str) -> None:
        """Start services again that were killed, and wait until they are ready."""
        self[town].start(*services)
        self[town].wait_ready(*services)

    def twin(self, town: str, service: str) -> None:
        """Start a service a second time, on a port of its own: the accident that an operator may have."""
        original = self[town]
        second = LocalTown(name=town, home=original.town.home, ports={service: free_port()})
        child = Child(
            f"the second {service} of {town}",
            second.command(service),
            directory=self.folder,
            log=self.folder / f"{town}-{service}-twin.log",
            environment={**os.environ, **original.variables},
        )
        self.extra.callback(child.stop, signal.SIGTERM)
        child.wait_ready(partial(is_ready, second.url(service)), seconds=READY_SECONDS)

    def heal(self) -> None:
        """Mend everything; returns when every service says that it is ready."""
        self.extra.close()
        for line in self.lines:
            line.heal()
        if self.disk is not None:
            self.disk.make_room()
        if self.servers.disk is not None:
            self.servers.disk.make_room()
        if not self.servers.broker.running():
            self.servers.broker.restart()
        if not self.servers.database.answers():
            self.servers.database.restart()
        stopped = {
            town.name: [service for service in town.services if not town.running(service)]
            for town in self.towns.values()
        }
        for name, services in stopped.items():
            if services:
                self[name].start(*services)
        for town in self.towns.values():
            town.wait_ready()

    def wait_final(self) -> None:
        """Wait until every transfer has ended; fails after a minute."""
        until(
            lambda: all(_open_transfers(town) == 0 for town in self.towns.values()),
            seconds=FINAL_SECONDS,
            what="every transfer ends",
        )

    def open_transfers(self) -> dict[str, int | None]:
        """By town: how many transfers are on their way; None: it does not answer."""
        return {name: _open_transfers(town) for name, town in self.towns.items()}

    def signal(self, town: str, number: signal.Signals) -> None:
        """Send a signal to every process of a town."""
        for service in self[town].services:
            self[town].signal(service, number)

    def close(self) -> None:
        """End the towns and their lines."""
        self.extra.close()
        for town in self.towns.values():
            town.stop()
        for line in [*self.doors.values(), *self.clients.values(), *self.ledgers.values(), self.journal_line]:
            line.close()


def _open_transfers(town: RunningTown) -> int | None:
    try:
        answer = town.ask("GET", "/v1/positions")
        if answer.status_code == 401:
            town.renew_token()
            return None
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    return sum(int(row["open_transfers"]) for row in answer.json()["rows"])


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
