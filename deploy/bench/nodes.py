"""Running towns for the benches: real nodes, each a process of its own, on homes that are made for the run.

The rooms, the wiring and the server are those of `timebank node serve`; only the policy is wide, the members are
opened before the load, and the embedded broker joins two towns of one process.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from deploy.bench.bench_journal import submit_all
from deploy.bench.exchanges import POLICY, members
from deploy.bench.processor import PROCESS, by_thread
from deploy.bench.setting import BenchTrouble, Setting
from deploy.servers.child import free_port
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity, inbox_topic
from timebank_contracts.tokens import TOKEN_SECONDS_MAX, TokenKey, audience
from timebank_federation.broker import EmbeddedBroker
from timebank_federation.broker_kafka import make_topics
from timebank_federation.registries import Registries
from timebank_kit.clock import SystemClock
from timebank_kit.garbage import spare_what_stands
from timebank_kit.web import RunningServer
from timebank_ledger.app import OpenLedger
from timebank_node.compose import PEER_SECONDS, Surroundings, compose_ledger, open_town
from timebank_node.home import Home, make_home, open_home
from timebank_node.network import first_registry

START_SECONDS = 180.0
STOP_SECONDS = 60.0
HTTP_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A town to run: where it lives, and what its environment says."""

    folder: Path
    port: int
    environ: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class RunningTown:
    """A town that answers."""

    plan: Plan
    home: Home
    http: httpx.Client
    pipe: Connection
    """To its process."""
    pid: int
    """Of its process."""

    def cpu_seconds(self) -> float:
        """What its process has used of the machine so far."""
        return self.cpu_by_thread()[PROCESS]

    def cpu_by_thread(self) -> dict[str, float]:
        """The same, by kind of thread: see `processor.by_thread`."""
        self.pipe.send("cpu")
        found: dict[str, float] = self.pipe.recv()
        return found

    @property
    def token(self) -> str:
        """A new token of an operator who may do everything that the benches do."""
        node, network = self.home.identity.node, self.home.identity.network
        return TokenKey(self.home.seed("token"), self.home.key("token").public).issue(
            issuer=f"{node}/directory",
            subject="bench",
            audience=audience(network, node),
            scopes=frozenset({"operate", "transfers:write", "audit:read"}),
            accounts=None,
            now_seconds=int(time.time()),
            seconds=TOKEN_SECONDS_MAX,
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer of the town; raises `BenchTrouble` for any but a success."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": secrets.token_hex(8)}
        answer = self.http.request(method, path, headers=headers, **options)
        if not answer.is_success:
            raise BenchTrouble(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer


@contextmanager
def running_towns(
    setting: Setting, names: Sequence[str], *, urls: Sequence[str], kafka: str | None
) -> Iterator[list[RunningTown]]:
    """Towns of one network that answer; they are stopped at the end.

    Args:
        names: of the towns.
        urls: of their journals.
        kafka: a process for each town, and this broker between them; None: one process, and the broker inside it.
    """
    network = f"r{secrets.token_hex(4)}.bench.timebank.wales"
    plans = make_towns(setting, network, names, urls)
    if kafka is not None:
        make_topics(kafka, [inbox_topic(network, name) for name in names])
        for plan in plans:
            plan.environ["TIMEBANK_FEDERATION_KAFKA"] = kafka
    with ExitStack() as stack:
        groups = [plans] if kafka is None else [[plan] for plan in plans]
        ways = [stack.enter_context(_process(together, embedded=kafka is None)) for together in groups]
        towns = []
        for number, plan in enumerate(plans):
            http = httpx.Client(base_url=f"http://127.0.0.1:{plan.port}", timeout=HTTP_SECONDS)
            stack.callback(http.close)
            pid, pipe = ways[number % len(ways)]
            towns.append(RunningTown(plan=plan, home=open_home(plan.folder), http=http, pipe=pipe, pid=pid))
        yield towns


def make_towns(setting: Setting, network: str, names: Sequence[str], urls: Sequence[str]) -> list[Plan]:
    """Homes of a new network, with its registry."""
    folder = setting.new_folder()
    plans, described = [], []
    for name, url in zip(names, urls, strict=True):
        port = free_port()
        home = make_home(
            folder / name,
            Identity(network, name, "g1"),
            url=f"http://127.0.0.1:{port}",
            limit=LIMIT_MAX,
            random=secrets.token_bytes,
        )
        described.append(home.described)
        plans.append(Plan(folder=home.folder, port=port, environ={"TIMEBANK_LEDGER_JOURNAL_URL": url}))
    registry = first_registry(network, described, operators=[SigningKey(secrets.token_bytes(32))], k=1)
    for plan in plans:
        Registries(plan.folder / "registry").add(registry)
    return plans


@contextmanager
def opened_ledger(plan: Plan) -> Iterator[OpenLedger]:
    """The ledger of a town that does not run, in this process; closed well at the end."""
    with httpx.Client() as peer_http:
        ledger = compose_ledger(open_home(plan.folder), _surroundings(plan, peer_http, None))
        try:
            yield ledger
        finally:
            ledger.close()


def export(plan: Plan, folder: Path) -> Path:
    """Export the log of a town that is stopped; returns the folder."""
    home = open_home(plan.folder)
    with opened_ledger(plan) as ledger:
        ledger.export(folder, vkey=home.vkey, registries=Registries(home.registry_folder).envelopes)
    return folder


@contextmanager
def _process(plans: list[Plan], *, embedded: bool) -> Iterator[tuple[int, Connection]]:
    """A process that serves these towns, by its id and a pipe to it.

    Its end of the pipe is closed when we die, and then it ends too.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, plans, embedded), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise BenchTrouble(f"The towns did not start within {START_SECONDS:.0f} s.")
        ours.recv()
        assert process.pid is not None, "it answered"
        yield process.pid, ours
    except EOFError as error:
        raise BenchTrouble("A town's process ended at its start; see what it wrote.") from error
    finally:
        ours.close()
        process.join(STOP_SECONDS)
        process.kill()


def serve(pipe: Connection, plans: list[Plan], embedded: bool) -> None:
    """Serve towns in this process until the other end of the pipe is closed."""
    broker = EmbeddedBroker() if embedded else None
    with ExitStack() as stack:
        peer_http = stack.enter_context(httpx.Client(timeout=PEER_SECONDS))
        towns = []
        for plan in plans:
            town = open_town(open_home(plan.folder), _surroundings(plan, peer_http, broker))
            stack.callback(town.close)
            submit_all(town.ledger.writer, list(members()))
            stack.callback(RunningServer(town.app, port=plan.port).stop)
            towns.append(town)
        for town in towns:
            town.start()
        spare_what_stands()
        pipe.send("ready")
        with suppress(EOFError, KeyboardInterrupt):
            while pipe.recv() == "cpu":
                pipe.send(by_thread())


def _surroundings(plan: Plan, peer_http: httpx.Client, broker: EmbeddedBroker | None) -> Surroundings:
    return Surroundings(
        clock=SystemClock(),
        random=secrets.token_bytes,
        environ=plan.environ,
        peer_http=peer_http,
        broker=broker,
        policy=POLICY,
    )
