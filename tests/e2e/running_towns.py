"""Two towns as real processes, on a real database and broker, that a test may kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from deploy.local.towns import (
    SERVICES,
    LocalTown,
    add_client,
    enrol,
    get_token,
    is_ready,
    make_network,
)
from deploy.servers.child import Child, free_port
from timebank_contracts.names import inbox_topic
from timebank_federation.broker_kafka import make_topics

READY_SECONDS = 60.0
POLL_SECONDS = 0.5
LIMIT_MINUTES = 50_000
"""What a member, and a town, may owe: more than any test sends while the other town is away."""
MEMBERS = {"aberdare": "alys", "barry": "bryn", "caerphilly": "carys"}
PAIR = ("aberdare", "barry")
TIMEBANK = Path(sys.executable).with_name("timebank")
ROOT = Path(__file__).parents[2]


def until(found: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Ask again and again until the answer is true; fails with `what` when the time is over. Returns: the answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return answer


def timebank(
    *arguments: str | Path, environment: dict[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the `timebank` command to its end."""
    return subprocess.run(
        [sys.executable, str(TIMEBANK), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
    )


class RunningTown:
    """A town's processes: one for each service, or one for all."""

    def __init__(
        self,
        town: LocalTown,
        folder: Path,
        *,
        network: str,
        variables: dict[str, str],
        services: Sequence[str] = SERVICES,
    ) -> None:
        self.town = town
        self.services = tuple(services)
        self.name = town.name
        self.journal = f"{network}/{town.name}"
        self.account = ""
        self.variables = variables
        """What its processes are told when they start."""
        self._folder = folder
        self._children: dict[str, Child] = {}
        self._form = folder / f"{town.name}.form"
        self._token = ""
        add_client(town, self._form)

    def start(self, *services: str) -> None:
        """Start services (none named: all); they may not be ready yet."""
        for service in services or self.services:
            self._children[service] = Child(
                f"the {service} of {self.name}",
                self.town.command(service),
                directory=self._folder,
                log=self._folder / f"{self.name}-{service}.log",
                environment={**os.environ, **self.variables},
            )

    def wait_ready(self, *services: str) -> None:
        """Wait until services (none named: all) say that they are ready."""
        for service in services or self.services:
            url = self.town.url(service)
            self._children[service].wait_ready(partial(is_ready, url), seconds=READY_SECONDS)

    def kill(self, service: str) -> None:
        """SIGKILL, as a crash would."""
        self._children.pop(service).kill()

    def running(self, service: str) -> bool:
        """Whether a service runs, or stands still."""
        return service in self._children and self._children[service].running()

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to a service, such as SIGSTOP: it answers nothing, and closes nothing."""
        os.kill(self._children[service].pid, number)

    def stop(self) -> None:
        """End all that runs, federation first."""
        for service in reversed(self.services):
            if service in self._children:
                self._children.pop(service).stop(signal.SIGTERM, patience_seconds=20)

    def renew_token(self) -> str:
        """Get a token for the next 15 minutes; returns it."""
        self._token = get_token(self.town, self._form)
        return self._token

    def enrol(self) -> None:
        """Enrol the town's member, who may be paid from other towns."""
        handle = MEMBERS[self.name]
        self.renew_token()
        self.account = enrol(
            self.town,
            self._token,
            handle,
            name=handle.title(),
            payable_from_other_towns=True,
            floor=-LIMIT_MINUTES,
        )

    def ask(self, method: str, path: str, *, service: str = "ledger", **more: Any) -> httpx.Response:
        """One request with the client's token."""
        headers = {"Authorization": f"Bearer {self._token}", **more.pop("headers", {})}
        return httpx.request(method, f"{self.town.url(service)}{path}", headers=headers, timeout=20, **more)

    def resolve(self, peer: RunningTown) -> str:
        """The receiving address of the peer's member."""
        question = {"handle": MEMBERS[peer.name], "node": peer.name}
        answer = self.ask("POST", "/v1/payees/resolve", service="directory", json=question)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["alias"])

    def send(self, peer: RunningTown, alias: str, *, minutes: int, key: str) -> httpx.Response:
        """POST a transfer to the peer's member."""
        body = {
            "payer": self.account,
            "payee": {"node": peer.name, "alias": alias},
            "minutes": minutes,
            "purpose": "gift",
        }
        return self.ask("POST", "/v1/transfers", json=body, headers={"Idempotency-Key": key})

    def state_of(self, transfer: str) -> str:
        """The state of a transfer here."""
        answer = self.ask("GET", f"/v1/transfers/{transfer}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    def open_transfers(self) -> int:
        """How many transfers of this town are on their way."""
        rows = self.ask("GET", "/v1/positions").json()["rows"]
        return sum(int(row["open_transfers"]) for row in rows)

    def balance(self) -> int:
        """Minutes on the member's account."""
        return int(self.ask("GET", f"/v1/accounts/{self.account}").json()["balance"])

    def export(self, folder: Path) -> Path:
        """Export the log of the stopped town; returns where it is."""
        done = timebank("node", "export", self.town.home, folder / self.name, environment=self.variables)
        assert done.returncode == 0, done.stderr
        return folder / self.name


class RunningTowns:
    """Aberdare and Barry."""

    def __init__(self, aberdare: RunningTown, barry: RunningTown) -> None:
        self.aberdare, self.barry = aberdare, barry
        self.both = (aberdare, barry)

    def wait_decided(self, *, seconds: float) -> None:
        """Wait until every transfer has ended."""
        until(
            lambda: not any(town.open_transfers() for town in self.both),
            seconds=seconds,
            what="every transfer ends",
        )

    def audit(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Stop both towns, export their logs, and let the auditor verify them."""
        for town in self.both:
            town.stop()
        logs = [town.export(folder) for town in self.both]
        keys = [text for log in logs for text in ("--vkey", str(log / "vkey"))]
        return timebank("audit", "verify", *logs, *keys)


@contextmanager
def two_towns(
    folder: Path, *, journal: str | None = None, kafka: str | None = None, **variables: str
) -> Iterator[RunningTowns]:
    """Two towns of a network of their own, with a member each; their processes end with the block.

    Args:
        folder: for homes and logs.
        journal: URL of the database for both journals; None: each in a file in its home.
        kafka: host:port of the broker, None for none.
        variables: more settings of both towns.
    """
    network = f"run{uuid.uuid4().hex[:12]}.timebank.wales"
    ports = {(name, service): free_port() for name in PAIR for service in SERVICES}
    towns = [
        LocalTown(name=name, home=folder / name, ports={each: ports[name, each] for each in SERVICES}) for name in PAIR
    ]
    make_network(network, towns, folder=folder, pair_limit=LIMIT_MINUTES)
    if kafka is not None:
        make_topics(kafka, [inbox_topic(network, name) for name in PAIR])
    running = []
    try:
        for town in towns:
            url = f"sqlite:{town.home}/journal.db" if journal is None else journal
            said = town.environment(journal=url, kafka=kafka, poll_seconds=POLL_SECONDS)
            running.append(RunningTown(town, folder, network=network, variables={**said, **variables}))
            running[-1].start()
        for each in running:
            each.wait_ready()
            each.enrol()
        yield RunningTowns(*running)
    finally:
        for each in running:
            each.stop()
