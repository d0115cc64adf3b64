"""From town to town: transfers posted in batches at Aberdare, received at Barry, counted when Aberdare settled them.

Two nodes, each a process of its own, real Kafka and PostgreSQL between and under them; or both in one process on the
embedded broker and SQLite. Afterwards both logs are exported and audited: a figure of wrong books is no figure.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from deploy.bench.bench_audit import add_verified
from deploy.bench.exchanges import account, bodies
from deploy.bench.load import Posted, apart, post_batches
from deploy.bench.nodes import RunningTown, export, running_towns
from deploy.bench.processor import PROCESS
from deploy.bench.setting import BenchTrouble, Setting
from deploy.bench.table import percentile
from timebank_contracts.entries import TransferSettled, decode_entry
from timebank_contracts.tiles import decode_bundle

WAYS = ("embedded.sqlite", "kafka.postgresql")
TRANSFERS, TRANSFERS_QUICK = 40_000, 1_000
LATENCIES, LATENCIES_QUICK = 50, 5
CONNECTIONS = 2
SETTLE_SECONDS = 300.0
LOOK_SECONDS = 0.1
LONG_POLLS_MAX = 20
TOWNS = ["aberdare", "barry"]
CORES = 2
SPENT_MICROS_MIN = 0.5
"""Threads that do less are not told of."""


def bench_towns(setting: Setting) -> None:
    """Settled transfers a second under load, and the time that one transfer takes while nothing else happens."""
    for way in WAYS:
        if setting.wants(f"town_to_town.{way}"):
            _bench_way(setting, way)


def _bench_way(setting: Setting, way: str) -> None:
    broker, store = way.split(".")
    with ExitStack() as stack:
        kafka = setting.bootstrap() if broker == "kafka" else None
        urls = [stack.enter_context(setting.journal_url(store)) for _ in TOWNS]
        with running_towns(setting, TOWNS, urls=urls, kafka=kafka) as [payers, payees]:
            answer = payees.ask("POST", f"/v1/accounts/{account(0)}/aliases", json={})
            alias = payees.home.identity.node, answer.json()["alias"]
            _bench_latency(setting, way, payers, alias)
            _bench_load(setting, way, [payers, payees] if kafka else [payers], alias)
            plans = [town.plan for town in (payers, payees)]
        folder = setting.new_folder()
        exports = [export(plan, folder / plan.folder.name) for plan in plans]
        name = f"audit.verify_two_towns.{store}.entries_per_s"
        add_verified(setting, name, exports, f"both towns of {way}, every entry with its message")


def _bench_latency(setting: Setting, way: str, town: RunningTown, alias: tuple[str, str]) -> None:
    count = setting.count(LATENCIES, quick=LATENCIES_QUICK)
    seconds = [_settle_one(town, body) for body in bodies(count, datetime.now(UTC), alias=alias)]
    note = f"{count} transfers, one after the other: request, three commits, two ways, until its entry can be read"
    setting.figures.add(f"town_to_town.{way}.idle_latency_p50_ms", 1e3 * percentile(seconds, 50), "ms", note)


def _settle_one(town: RunningTown, body: dict[str, Any]) -> float:
    """Post one transfer and follow the journal until it is settled; returns the seconds."""
    began = time.perf_counter()
    answer = town.ask("POST", "/v1/transfers", json=body)
    transfer, after = answer.json()["id"], int(answer.headers["X-Position"]) - 1
    for _ in range(LONG_POLLS_MAX):
        page = town.ask("GET", "/v1/journal", params={"after": after, "limit": 64, "wait_seconds": 5})
        for raw in decode_bundle(page.content):
            entry = decode_entry(raw)
            if isinstance(entry, TransferSettled) and entry.data.transfer == transfer:
                return time.perf_counter() - began
            after = entry.n
    raise BenchTrouble(f"{transfer} was not settled.")


def _bench_load(setting: Setting, way: str, towns: list[RunningTown], alias: tuple[str, str]) -> None:
    town = towns[0]
    some = bodies(setting.count(TRANSFERS, quick=TRANSFERS_QUICK), datetime.now(UTC), alias=alias)
    before = stream_of(town)["outgoing"]["n"]
    used = _used(setting, towns)
    with apart(
        post_batches,
        town.plan.port,
        town.token,
        some,
        connections=CONNECTIONS,
        run=secrets.token_hex(4),
    ) as done:
        ended = wait_settled(town, before + len(some))
        posted: Posted = done.result()
    spent = {name: 1e6 * (now - used.get(name, 0.0)) / len(some) for name, now in _used(setting, towns).items()}
    spent["load"] = 1e6 * posted.cpu_seconds / len(some)
    note = (
        f"{len(some):,} transfers, posted within {posted.ended - posted.began:.1f} s, "
        f"all settled after {ended - posted.began:.1f} s"
    )
    setting.figures.add(f"town_to_town.{way}.settled_per_s", len(some) / (ended - posted.began), "transfers/s", note)
    _add_spent(setting, f"town_to_town.{way}", spent)


def _used(setting: Setting, towns: list[RunningTown]) -> dict[str, float]:
    """Processor seconds so far, of each process and, behind a dot, of each kind of thread of a node."""
    used = setting.servers_cpu()
    for town in towns:
        for thread, seconds in town.cpu_by_thread().items():
            used[f"{town.plan.folder.name}.{thread}".removesuffix(f".{PROCESS}")] = seconds
    return used


def _add_spent(setting: Setting, name: str, spent: dict[str, float]) -> None:
    """Keep what a settled transfer costs: of each process, in all, and how many two cores could do of them."""
    for part, micros in sorted(spent.items()):
        if micros >= SPENT_MICROS_MIN:
            setting.figures.add(f"{name}.cpu.{part}", micros, "µs", "processor time for each settled transfer")
    total = sum(micros for part, micros in spent.items() if "." not in part)
    setting.figures.add(f"{name}.cpu", total, "µs", "processor time for each settled transfer, all processes")
    rate = CORES * 1e6 / total
    setting.figures.add(f"{name}.possible_per_s", rate, "transfers/s", f"{CORES} cores with nothing else to do")


def wait_settled(town: RunningTown, count: int) -> float:
    """Look until every message was sent and every transfer decided; returns the moment (monotonic seconds)."""
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        stream = stream_of(town)
        if stream["outgoing"]["n"] == count and not stream["open_transfers"]:
            return time.monotonic()
        time.sleep(LOOK_SECONDS)
    raise BenchTrouble(f"After {SETTLE_SECONDS:.0f} s the towns still have open transfers.")


def stream_of(town: RunningTown) -> dict[str, Any]:
    """The stream to the one peer, as the ledger tells it."""
    found: dict[str, Any] = town.ask("GET", "/v1/streams").json()["streams"][0]
    return found
