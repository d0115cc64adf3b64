"""The demo's three towns: homes and registry from a seed, all rooms in this process, and the way they are asked.

They are asked over HTTP like any town, through a transport inside the process, so that one path is tried and not two.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity, inbox_topic
from timebank_federation.broker import EmbeddedBroker
from timebank_federation.registries import Registries
from timebank_kit.clock import Clock, ManualClock, SystemClock
from timebank_kit.web import AsgiBridge
from timebank_node.bootstrap import TownPolicy
from timebank_node.chance import Seeded
from timebank_node.compose import Surroundings, Town, open_town
from timebank_node.home import Home, make_home
from timebank_node.network import first_registry

FIRST_PORT: Final = 8101
PUMP_ROUNDS_MAX: Final = 10_000
DECIDE_SECONDS_MAX: Final = 300.0
CONNECT_SECONDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class TownPlan:
    """A town as the season describes it; limits in minutes."""

    name: str
    title: str
    policy: TownPolicy
    pair_limit: int


class ByAddress(httpx.BaseTransport):
    """Sends a request to the town that has the address, inside this process."""

    def __init__(self) -> None:
        self.bridges: dict[str, AsgiBridge] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        bridge = self.bridges.get(f"{request.url.host}:{request.url.port}")
        if bridge is None:
            raise httpx.ConnectError("There is no such town in this process.", request=request)
        return bridge.handle_request(request)


@dataclass(frozen=True, kw_only=True)
class DemoTown:
    """A running town of the demo."""

    name: str
    title: str
    home: Home
    town: Town
    http: httpx.Client

    def headers(self, *scopes: str, key: str | None = None) -> dict[str, str]:
        """Headers of an operator with these scopes, and an Idempotency-Key for a command."""
        headers = {"Authorization": f"Bearer {self.town.directory.token(*scopes, subject='demo-broker')}"}
        return headers if key is None else {**headers, "Idempotency-Key": key}

    def get(self, path: str) -> Any:
        """The JSON at a path, as an operator and auditor sees it."""
        answer = self.http.get(path, headers=self.headers("operate", "accounts:read", "reports:read", "audit:read"))
        answer.raise_for_status()
        return answer.json()


@dataclass(frozen=True, kw_only=True)
class DemoNetwork:
    """Three running towns, and what moves them."""

    towns: dict[str, DemoTown]
    clock: Clock
    threaded: bool
    """Real servers: federation's threads run. Else the demo itself makes each step, always in the same order."""

    def move_to(self, moment: datetime) -> None:
        """Let it be `moment`, where the demo sets the clock."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(max(0.0, (moment - self.clock.now()).total_seconds()))

    def pump(self) -> None:
        """Let every message on its way arrive and be answered (nothing to do where threads run)."""
        if self.threaded:
            return
        towns = [town.town.federation for town in self.towns.values()]
        for _ in range(PUMP_ROUNDS_MAX):
            moved = sum(federation.sender.step(wait_seconds=0) for federation in towns)
            for federation in towns:
                assert federation.inbox is not None
                moved += federation.receiver.step(federation.inbox, timeout_seconds=0)
            if not moved:
                return
        raise AssertionError("the towns never come to rest")

    def decide_all(self) -> int:
        """Wait until no transfer is on its way; returns how many still are when the time is over."""
        self.pump()
        until = time.monotonic() + DECIDE_SECONDS_MAX
        while (left := self._open()) and self.threaded and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def _open(self) -> int:
        return sum(row["open_transfers"] for town in self.towns.values() for row in town.get("/v1/positions")["rows"])


@contextmanager
def open_network(
    plans: list[TownPlan],
    folder: Path,
    *,
    seed: int,
    season_starts: datetime | None,
    kafka: str | None,
    postgres: str | None,
    run: str,
) -> Iterator[DemoNetwork]:
    """Make and open the towns; everything is closed at the end.

    Args:
        plans: the towns.
        folder: holds their homes.
        seed: of every key and id.
        season_starts: where the demo's clock begins; None: the machine's clock.
        kafka: host:port of a real broker; None: the one inside the process.
        postgres: DSN of a real database; None: SQLite in the homes.
        run: goes into the network's name where servers are shared with other runs; "" for none.
    """
    network = f"{run + '.' if run else ''}demo.timebank.wales"
    homes = []
    for number, plan in enumerate(plans):
        homes.append(
            make_home(
                folder / plan.name,
                Identity(network, plan.name, "g1"),
                url=f"http://127.0.0.1:{FIRST_PORT + number}",
                limit=plan.pair_limit,
                random=Seeded(seed, f"home {plan.name}"),
            )
        )
    operators = [SigningKey(Seeded(seed, f"operator {number}")(32)) for number in range(2)]
    registry = first_registry(network, [home.described for home in homes], operators=operators, k=2)
    for home in homes:
        Registries(home.registry_folder).add(registry)
    clock: Clock = SystemClock() if season_starts is None else ManualClock(season_starts.astimezone(UTC))
    environ: dict[str, str] = {}
    if kafka is not None:
        from timebank_federation.broker_kafka import make_topics  # noqa: PLC0415 - the client loads where it is used

        make_topics(kafka, [inbox_topic(network, plan.name) for plan in plans])
        environ["TIMEBANK_FEDERATION_KAFKA"] = kafka
    if postgres is not None:
        environ["TIMEBANK_LEDGER_JOURNAL_URL"] = _own_schema(postgres, run)
    by_address = ByAddress()
    broker = EmbeddedBroker() if kafka is None else None
    towns: dict[str, DemoTown] = {}
    try:
        for plan, home in zip(plans, homes, strict=True):
            around = Surroundings(
                clock=clock,
                random=Seeded(seed, f"ids {plan.name}"),
                environ=environ,
                peer_http=httpx.Client(transport=by_address),
                broker=broker,
                policy=plan.policy,
            )
            towns[plan.name] = _open(plan, home, around, by_address)
        threaded = kafka is not None
        if threaded:
            for town in towns.values():
                town.town.start()
        yield DemoNetwork(towns=towns, clock=clock, threaded=threaded)
    finally:
        for town in towns.values():
            town.town.close()
        for bridge in by_address.bridges.values():
            bridge.close()


def _own_schema(dsn: str, run: str) -> str:
    """Make a schema for this run, as a database's journals belong to one network; returns the URL of its journals."""
    import psycopg  # noqa: PLC0415 - the driver loads where it is used
    from psycopg import sql  # noqa: PLC0415

    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(run)))
    except psycopg.Error as error:
        raise Malformed(f"PostgreSQL cannot be used for the demo: {str(error).strip().splitlines()[0]}") from error
    return f"{dsn}{'&' if '?' in dsn else '?'}options=-csearch_path%3D{run}"


def _open(plan: TownPlan, home: Home, around: Surroundings, by_address: ByAddress) -> DemoTown:
    town = open_town(home, around, title=plan.title)
    bridge = AsgiBridge(town.app)
    by_address.bridges[home.described.url.removeprefix("http://")] = bridge
    http = httpx.Client(transport=bridge, base_url=home.described.url, timeout=60.0)
    return DemoTown(name=plan.name, title=plan.title, home=home, town=town, http=http)
