"""Start it all: a broker, a database, two towns of three services each, a member in each town.

    Kafka ─ topics ─┐
    PostgreSQL ─────┴▶ homes and registry ─▶ ledgers, directories, federations ─▶ members ─▶ addresses

The servers are those of the tests: what TIMEBANK_TEST_KAFKA and TIMEBANK_TEST_POSTGRES name, else Kafka's jars and an
installed PostgreSQL or the wheel's. (A container is not used here: it would not end by its process id.)
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from deploy.local.down import down
from deploy.local.state import LocalTrouble, Process, State, read_state
from deploy.local.towns import SERVICES, LocalTown, add_client, enrol, get_token, is_ready, make_network
from deploy.servers.child import Child
from deploy.servers.find import KAFKA_VARIABLE, POSTGRES_VARIABLE, RunningDatabase
from deploy.servers.kafka import KafkaBroker
from deploy.servers.postgres import PostgresServer
from timebank_contracts.names import inbox_topic
from timebank_federation.broker_kafka import make_topics

NETWORK: Final = "local.timebank.wales"
FIRST_PORT: Final = 8111
PORTS_PER_TOWN: Final = 10
MEMBERS: Final = {"aberdare": ("alys", "Alys Rhedyn", False), "barry": ("bryn", "Bryn Tywod", True)}
"""By town: handle, name, and whether they consent to be paid from other towns."""
READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 5.0
Tell = Callable[[str], None]


def up(folder: Path, *, first_port: int, tell: Tell) -> None:
    """Start everything and wait until it answers; when a part does not start, what did is ended again.

    Args:
        folder: for homes, logs and state; must not hold anything else.
        first_port: of the first town's ledger.
        tell: gets lines for a person.

    Raises:
        LocalTrouble: it is up half, or a port is in use.
        ServerMissing, ServerTrouble: a server or service does not start.
    """
    state = read_state(folder)
    if state is not None and state.told and all(process.running() for process in state.processes):
        tell("It is up already; `make down` ends it.")
        for line in state.told:
            tell(line)
        return
    if state is not None:
        raise LocalTrouble("What was started before is not whole any more: `make down`, then `make up`.")
    towns = [
        LocalTown(name=name, home=folder / name / "home", ports=_ports(first_port + PORTS_PER_TOWN * number))
        for number, name in enumerate(MEMBERS)
    ]
    _refuse_ports_in_use(towns)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    state = State(folder)
    state.save()
    try:
        _start_all(state, towns, tell)
    except BaseException:
        down(folder)
        raise
    for line in state.told:
        tell(line)


def _ports(first: int) -> dict[str, int]:
    return {service: first + number for number, service in enumerate(SERVICES)}


def _refuse_ports_in_use(towns: list[LocalTown]) -> None:
    for town in towns:
        for service in SERVICES:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", town.ports[service]))
                except OSError as error:
                    raise LocalTrouble(
                        f"Port {town.ports[service]}, for the {service} of {town.name}, is in use ({error.strerror}). "
                        "End what listens there, or take others: python -m deploy.local up --first-port 18111"
                    ) from error


def _start_all(state: State, towns: list[LocalTown], tell: Tell) -> None:
    kafka = _start_broker(state, tell)
    journal = _start_database(state, tell)
    make_topics(kafka, [inbox_topic(NETWORK, town.name) for town in towns])
    make_network(NETWORK, towns, folder=state.folder)
    waiting: list[tuple[LocalTown, str, Child]] = []
    for town in towns:
        add_client(town, state.folder / town.name / "client.form")
        variables = town.environment(journal=journal, kafka=kafka, poll_seconds=POLL_SECONDS)
        waiting += [(town, service, _start_service(state, town, service, variables)) for service in SERVICES]
    for town, service, child in waiting:
        child.wait_ready(partial(is_ready, town.url(service)), seconds=READY_SECONDS)
        tell(f"{town.name}: {service} at {town.url(service)}")
    for town in towns:
        handle, name, payable = MEMBERS[town.name]
        token = get_token(town, state.folder / town.name / "client.form")
        enrol(town, token, handle, name=name, payable_from_other_towns=payable)
        tell(f"{town.name}: enrolled {handle}")
    state.told = _told(state.folder, towns)
    state.save()


def _start_broker(state: State, tell: Tell) -> str:
    named = os.environ.get(KAFKA_VARIABLE)
    if named:
        return named
    directory = state.folder / "kafka"
    broker = KafkaBroker(
        directory,
        detached=True,
        on_start=lambda pid: state.started(Process("Kafka", pid, str(directory), "SIGTERM")),
    ).start()
    tell(broker.describe())
    return broker.bootstrap


def _start_database(state: State, tell: Tell) -> str:
    name = f"local_{secrets.token_hex(4)}"
    named = os.environ.get(POSTGRES_VARIABLE)
    if named:
        return RunningDatabase(named).create_database(name)
    # Started by root it runs as `nobody`, who may not be able to enter this checkout.
    directory = Path(tempfile.mkdtemp(prefix="timebank-local-postgres-"))
    state.folders.append(str(directory))
    state.save()
    database = PostgresServer(
        directory=directory,
        detached=True,
        on_start=lambda pid: state.started(Process("PostgreSQL", pid, str(directory), "SIGINT")),
    ).start()
    tell(database.describe())
    return database.create_database(name)


def _start_service(state: State, town: LocalTown, service: str, variables: dict[str, str]) -> Child:
    child = Child(
        f"the {service} of {town.name}",
        town.command(service),
        directory=state.folder,
        log=state.folder / town.name / f"{service}.log",
        detached=True,
        environment={**os.environ, **variables},
    )
    state.started(Process(child.name, child.pid, str(town.home), "SIGTERM"))
    return child


def _told(folder: Path, towns: list[LocalTown]) -> list[str]:
    lines = ["", "Two towns are up. Their APIs (each with /openapi.json, /readyz and /metrics):"]
    for town in towns:
        lines.append(f"  {town.name:10}" + "  ".join(f"{service} {town.url(service)}" for service in SERVICES))
        lines.append(f"  {'':10}form that asks for a token: {folder / town.name / 'client.form'}")
    first = towns[0]
    return [
        *lines,
        f"Logs and homes: {folder}",
        "A token for the first town; the README goes on from here:",
        f"  curl -s --data @{folder / first.name / 'client.form'} {first.url('directory')}/v1/token",
        "`make down` ends everything and removes it.",
    ]
