"""The runbooks of a lost journal and of a town that is gone, run as they stand: transfers go on, or come back."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.towns import SERVICES, LocalTown, make_network
from deploy.servers.child import free_port
from tests.e2e.pages import blocks_of
from tests.e2e.running_towns import LIMIT_MINUTES, PAIR, POLL_SECONDS, ROOT, RunningTown, RunningTowns, until

MIRROR = ROOT / "deploy" / "runbooks" / "restore-from-mirror.md"
CLOSING = ROOT / "deploy" / "runbooks" / "close-a-town.md"
SECONDS_MAX = 60


def run(mark: str, folder: Path, town: RunningTown) -> str:
    """Run the block of this name; returns what it printed."""
    (text,) = [block.text for page in (MIRROR, CLOSING) for block in blocks_of(page) if block.mark == mark]
    around = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LEDGER": town.town.url("ledger"),
        "DIRECTORY": town.town.url("directory"),
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=around,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[RunningTowns]:
    """Two towns without a broker, each with a database of its own."""
    network = f"run{uuid.uuid4().hex[:12]}.timebank.wales"
    made = [
        LocalTown(name=name, home=tmp_path / name, ports={service: free_port() for service in SERVICES})
        for name in PAIR
    ]
    make_network(network, made, folder=tmp_path, pair_limit=LIMIT_MINUTES)
    running = []
    try:
        for town in made:
            journal = f"sqlite:{town.home}/journal.db"
            variables = town.environment(journal=journal, kafka=None, poll_seconds=POLL_SECONDS)
            running.append(RunningTown(town, tmp_path, network=network, variables=variables))
            running[-1].start()
        for each in running:
            each.wait_ready()
            each.enrol()
        yield RunningTowns(*running)
    finally:
        for each in running:
            each.stop()


def test_every_block_of_the_pages_is_run() -> None:
    assert {block.mark for block in blocks_of(MIRROR)} == {"keep", "restore", "export"}
    assert {block.mark for block in blocks_of(CLOSING)} == {"close"}


@pytest.mark.slow
def test_a_node_is_killed_its_database_deleted_and_transfers_go_on(tmp_path: Path, towns: RunningTowns) -> None:
    aberdare, barry = towns.both
    alias = aberdare.resolve(barry)
    assert aberdare.send(barry, alias, minutes=30, key="before").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    assert "of run" in run("keep", tmp_path, aberdare)
    for service in SERVICES:
        aberdare.kill(service)
    assert "Restored" in run("restore", tmp_path, aberdare)
    aberdare.start()
    aberdare.wait_ready()
    assert aberdare.balance() == -30
    again = aberdare.send(barry, alias, minutes=30, key="before")
    assert again.json()["minutes"] == 30, "the old key has its old answer"
    assert aberdare.balance() == -30
    assert aberdare.send(barry, alias, minutes=12, key="after").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    assert (aberdare.balance(), barry.balance()) == (-42, 42)
    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "PASS" in verdict.stdout
    assert "entries of run" in run("export", tmp_path, aberdare)


@pytest.mark.slow
def test_a_town_that_is_gone_is_closed_and_what_was_under_way_comes_back(tmp_path: Path, towns: RunningTowns) -> None:
    aberdare, barry = towns.both
    alias = aberdare.resolve(barry)
    assert aberdare.send(barry, alias, minutes=30, key="settled").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    for service in SERVICES:
        barry.kill(service)
    sent = aberdare.send(barry, alias, minutes=12, key="open")
    assert (sent.status_code, aberdare.balance()) == (201, -42)
    run("close", tmp_path, aberdare)
    until(lambda: aberdare.balance() == -30, seconds=90, what="the open transfer comes back")
    told = aberdare.ask("GET", f"/v1/transfers/{sent.json()['id']}").json()
    assert (told["state"], told["reason"]) == ("returned", "peer_closed")
    assert aberdare.send(barry, alias, minutes=1, key="later").json()["code"] == "peer_suspended"
    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "returned from a town that the registry closed" in verdict.stdout
