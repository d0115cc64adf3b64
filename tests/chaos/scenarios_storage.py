"""Storage and time: disks that are full, caches that are wrong, clocks that jump."""

from __future__ import annotations

import signal

from deploy.servers.child import wait_until
from tests.chaos.clock import Clock, preloaded
from tests.chaos.load import Load
from tests.chaos.network import Network
from tests.chaos.run import Scenario, Skipped
from tests.e2e.small_disk import SmallDisk

TOWN = "barry"
REFUSED_SECONDS = 30.0


def disk_of(disk: SmallDisk | None) -> SmallDisk:
    """The disk; without one the scenario is skipped."""
    if disk is None:
        raise Skipped("only root may mount a small disk")
    return disk


def full_disk(network: Network, load: Load) -> None:
    disk = disk_of(network.disk)
    for _ in range(2):
        disk.fill()
        load.during(6.0)
        disk.make_room()
        load.more(3)


def full_disk_killed(network: Network, load: Load) -> None:
    disk = disk_of(network.disk)
    disk.fill()
    load.during(3.0)
    for service in network[TOWN].services:
        network[TOWN].kill(service)
    disk.make_room()


def full_broker(network: Network, load: Load) -> None:
    disk = disk_of(network.servers.disk)
    disk.fill()
    load.during(15.0)
    disk.make_room()
    network.servers.broker.kill()


def index_lost(network: Network, load: Load) -> None:
    network[TOWN].kill("ledger")
    home = network[TOWN].town.home
    for file in home.glob("journal.db-index*"):
        file.unlink()
    network.restart(TOWN, "ledger")
    load.more(5)


def wrong_snapshot(network: Network, load: Load) -> None:
    home = network[TOWN].town.home
    network[TOWN].signal("ledger", signal.SIGTERM)
    wait_until(lambda: not network[TOWN].running("ledger"), seconds=REFUSED_SECONDS)
    snapshot = home / "snapshot"
    if snapshot.exists():
        raw = bytearray(snapshot.read_bytes())
        raw[len(raw) // 2] ^= 1
        snapshot.write_bytes(raw)
    else:
        snapshot.write_bytes(b"no snapshot")
    network.restart(TOWN, "ledger")
    load.more(5)


def _with_clock(network: Network) -> Clock:
    """Start the town again with a clock that can be set."""
    clock = Clock(network.folder / f"{TOWN}.clock")
    network[TOWN].variables.update(preloaded(clock))
    network[TOWN].stop()
    network.restart(TOWN)
    return clock


def _right_clock(network: Network) -> None:
    for variable in preloaded(None):
        network[TOWN].variables.pop(variable, None)
    network[TOWN].stop()


def clock_forward(network: Network, load: Load) -> None:
    _jump(network, load, days=1)


def clock_back(network: Network, load: Load) -> None:
    _jump(network, load, days=-1)


def _jump(network: Network, load: Load, *, days: int) -> None:
    clock = _with_clock(network)
    load.more(3)
    clock.set_days(days)
    load.during(8.0)
    # What its own sentence tells the operator: set the clock right, then start again.
    clock.set_days(0)
    _right_clock(network)


def started_a_day_behind(network: Network, load: Load) -> None:
    clock = Clock(network.folder / f"{TOWN}.clock")
    clock.set_days(-1)
    network[TOWN].stop()
    network[TOWN].variables.update(preloaded(clock))
    network[TOWN].start()
    refused = wait_until(lambda: not network[TOWN].running("ledger"), seconds=REFUSED_SECONDS)
    assert refused, "a ledger whose clock stands before its last entry does not start"
    _right_clock(network)


SCENARIOS = (
    Scenario(name="disk-full", fault="Disk full at each write site of a town.", run=full_disk),
    Scenario(name="disk-full-killed", fault="Disk full, then all processes at once.", run=full_disk_killed),
    Scenario(name="broker-disk-full", fault="The broker's disk is full, and it dies.", run=full_broker),
    Scenario(name="index-lost", fault="A read model is gone.", run=index_lost),
    Scenario(name="snapshot-wrong", fault="A wrong snapshot.", run=wrong_snapshot),
    Scenario(name="clock-forward", fault="A clock jumps a day ahead.", run=clock_forward),
    Scenario(name="clock-back", fault="A clock jumps a day back.", run=clock_back),
    Scenario(name="started-behind", fault="A clock a day behind at start.", run=started_a_day_behind),
)
