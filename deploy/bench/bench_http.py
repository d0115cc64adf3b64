"""One town over HTTP: a node in a process of its own, a client in another."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from deploy.bench.exchanges import bodies
from deploy.bench.load import apart, post_batches, post_singles
from deploy.bench.nodes import RunningTown, running_towns
from deploy.bench.setting import Setting
from deploy.bench.table import percentile
from deploy.bench.yardstick import COMMIT_SECONDS, running_yardstick

STORES = ("sqlite", "postgresql")
SINGLES, SINGLES_QUICK = 20_000, 300
SINGLE_CONNECTIONS = 64
YARDSTICK = "http_single.yardstick.requests_per_s"
BATCHED, BATCHED_QUICK = 60_000, 2_000
BATCH_CONNECTIONS = 4


def bench_http(setting: Setting) -> None:
    """Requests a second of one transfer each, and transfers a second in batches of a thousand."""
    if setting.wants("http_single.yardstick"):
        _bench_yardstick(setting)
    for store in STORES:
        if setting.wants(f"http_single.{store}") or setting.wants(f"http_batch.{store}"):
            with (
                setting.journal_url(store) as url,
                running_towns(setting, ["aberdare"], urls=[url], kafka=None) as [town],
            ):
                if setting.wants(f"http_single.{store}"):
                    _bench_single(setting, store, town)
                if setting.wants(f"http_batch.{store}"):
                    _bench_batch(setting, store, town)


def _bench_yardstick(setting: Setting) -> None:
    some = bodies(setting.count(SINGLES, quick=SINGLES_QUICK), datetime.now(UTC))
    with (
        running_yardstick() as port,
        apart(post_singles, port, "none", some, connections=SINGLE_CONNECTIONS, run="yardstick") as done,
    ):
        posted = done.result()
    note = f"a bare FastAPI route that waits {1e3 * COMMIT_SECONDS:.0f} ms, {SINGLE_CONNECTIONS} connections"
    setting.figures.add(YARDSTICK, len(some) / (posted.ended - posted.began), "requests/s", note)
    p99 = 1e3 * percentile(posted.seconds, 99)
    setting.figures.add("http_single.yardstick.p99_ms", p99, "ms", "of the same requests")


def _bench_single(setting: Setting, store: str, town: RunningTown) -> None:
    some = bodies(setting.count(SINGLES, quick=SINGLES_QUICK), datetime.now(UTC))
    used = town.cpu_seconds()
    with apart(
        post_singles,
        town.plan.port,
        town.token,
        some,
        connections=SINGLE_CONNECTIONS,
        run=secrets.token_hex(4),
    ) as done:
        posted = done.result()
    cpu = 1e6 * (town.cpu_seconds() - used) / len(some)
    name = f"http_single.{store}"
    note = (
        f"{len(some):,} transfers, one a request, {SINGLE_CONNECTIONS} connections; CPU of the node {cpu:.0f} µs each"
    )
    setting.figures.add(f"{name}.requests_per_s", len(some) / (posted.ended - posted.began), "requests/s", note)
    setting.figures.add(f"{name}.p50_ms", 1e3 * percentile(posted.seconds, 50), "ms", "of the same requests")
    setting.figures.add(f"{name}.p99_ms", 1e3 * percentile(posted.seconds, 99), "ms", "of the same requests")
    setting.figures.add_times(f"{name}.of_yardstick", f"{name}.requests_per_s", YARDSTICK)


def _bench_batch(setting: Setting, store: str, town: RunningTown) -> None:
    some = bodies(setting.count(BATCHED, quick=BATCHED_QUICK), datetime.now(UTC))
    used = town.cpu_seconds()
    with apart(
        post_batches,
        town.plan.port,
        town.token,
        some,
        connections=BATCH_CONNECTIONS,
        run=secrets.token_hex(4),
    ) as done:
        posted = done.result()
    cpu = 1e6 * (town.cpu_seconds() - used) / len(some)
    note = (
        f"{len(some):,} transfers, 1,000 a request, {BATCH_CONNECTIONS} connections; CPU of the node {cpu:.0f} µs each"
    )
    rate = len(some) / (posted.ended - posted.began)
    setting.figures.add(f"http_batch.{store}.transfers_per_s", rate, "transfers/s", note)
