"""All scenarios, the network that they run on, and the lines that are printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos import scenarios_kafka, scenarios_lines, scenarios_processes, scenarios_storage
from tests.chaos.network import Network, Servers
from tests.chaos.run import Result, Scenario
from tests.e2e.small_disk import SmallDisk, small_disk

SCENARIOS: tuple[Scenario, ...] = (
    *scenarios_processes.SCENARIOS,
    *scenarios_lines.SCENARIOS,
    *scenarios_kafka.SCENARIOS,
    *scenarios_storage.SCENARIOS,
)
DISK_MEGABYTES = 192
BROKER_MEGABYTES = 512


@contextmanager
def open_servers(folder: Path) -> Iterator[Servers]:
    """The running broker and database; they end with the block."""
    with ExitStack() as stack:
        disk: SmallDisk | None = None
        if os.geteuid() == 0:
            disk = stack.enter_context(small_disk(folder / "kafka" / "data", megabytes=BROKER_MEGABYTES))
        servers = Servers(folder, disk=disk)
        stack.callback(servers.stop)
        servers.start()
        yield servers


@contextmanager
def open_network(servers: Servers, folder: Path, with_kafka: bool) -> Iterator[Network]:
    """Three running towns with their members; they end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        disk: SmallDisk | None = None
        if os.geteuid() == 0:
            disk = stack.enter_context(small_disk(folder / "disk", megabytes=DISK_MEGABYTES))
        network = Network(servers, folder, disk=disk, with_kafka=with_kafka)
        stack.callback(network.close)
        network.start()
        yield network


def show(result: Result) -> None:
    """One line for a scenario, and one for each violation."""
    verdict = "skipped: " + result.skipped if result.skipped else "FAIL" if result.violations else "PASS"
    print(
        f"{result.name:22}{result.answered:6} sent, {result.attempts:6} calls, {result.unknown:4} unknown; "
        f"final after {result.final_seconds:5.1f} s, {result.seconds:5.1f} s in all  {verdict}",
        flush=True,
    )
    for violation in result.violations:
        print(f"    {violation}", flush=True)
