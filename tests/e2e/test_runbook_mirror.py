"""The runbooks of a lost journal and of a town that is gone, run as they stand: transfers go on, or come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.towns import SERVICES
from tests.e2e.pages import blocks_of, run_block
from tests.e2e.running_towns import ROOT, RunningTown, RunningTowns, two_towns, until

MIRROR = ROOT / "deploy" / "runbooks" / "restore-from-mirror.md"
CLOSING = ROOT / "deploy" / "runbooks" / "close-a-town.md"
RETURNING = ROOT / "deploy" / "runbooks" / "come-back.md"


def run(mark: str, folder: Path, town: RunningTown) -> str:
    """Run the block of this name; returns what it printed."""
    services = {"LEDGER": town.town.url("ledger"), "DIRECTORY": town.town.url("directory")}
    return run_block(mark, MIRROR, CLOSING, RETURNING, folder=folder, **services)


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[RunningTowns]:
    """Two towns without a broker, each with a database of its own."""
    with two_towns(tmp_path) as running:
        yield running


def test_every_block_of_the_pages_is_run() -> None:
    assert {block.mark for block in blocks_of(MIRROR)} == {"keep", "restore", "export"}
    assert {block.mark for block in blocks_of(CLOSING)} == {"close"}
    assert {block.mark for block in blocks_of(RETURNING)} == {"lost", "return"}


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


@pytest.mark.slow
def test_a_town_that_lost_what_it_published_comes_back_and_no_minute_is_lost(
    tmp_path: Path, towns: RunningTowns
) -> None:
    """PROTOCOL.md X7 to X12: page 6, rows 11 and 13."""
    aberdare, barry = towns.both
    there, here = aberdare.resolve(barry), barry.resolve(aberdare)
    assert aberdare.send(barry, there, minutes=30, key="mirrored").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    run("keep", tmp_path, aberdare)
    assert aberdare.send(barry, there, minutes=12, key="lost").status_code in (201, 202)
    assert barry.send(aberdare, here, minutes=5, key="decided-and-lost").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    for service in SERVICES:
        aberdare.kill(service)
    run("lost", tmp_path, aberdare)
    assert "goes on from" in run("return", tmp_path, aberdare)
    aberdare.start()
    aberdare.wait_ready()
    until(lambda: not _returning(aberdare), seconds=90, what="everything is put back")
    assert (aberdare.balance(), barry.balance()) == (-30 - 12 + 5, 30 + 12 - 5)
    assert aberdare.send(barry, there, minutes=1, key="after").json()["id"].split(".")[1] == "g2"
    towns.wait_decided(seconds=60)
    assert (aberdare.balance(), barry.balance()) == (-38, 38)
    verdict = towns.audit(tmp_path / "logs")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "PASS" in verdict.stdout


def _returning(town: RunningTown) -> list[str]:
    """The peers with which something is still to be put back."""
    streams = town.ask("GET", "/v1/streams").json()["streams"]
    return [stream["peer"] for stream in streams if stream["returning"] is not None]
