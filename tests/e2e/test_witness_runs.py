"""The runbook of witnesses, run as it stands: two towns and a witness that is no town, as processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.towns import is_ready
from deploy.servers.child import Child, free_port
from tests.e2e.pages import blocks_of, run_block
from tests.e2e.running_towns import (
    ROOT,
    TIMEBANK,
    RunningTowns,
    timebank,
    two_towns,
    until,
)

PAGE = ROOT / "deploy" / "runbooks" / "witness.md"
NAME = "witness.example/w1"


def run(mark: str, folder: Path, **variables: str) -> str:
    """Run the block of this name; returns what it printed."""
    return run_block(mark, PAGE, folder=folder, **variables)


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[RunningTowns]:
    """Two towns without a broker, each with a database in its home, that ask witnesses every second."""
    with two_towns(tmp_path, TIMEBANK_FEDERATION_WITNESS_SECONDS="1") as running:
        yield running


def test_every_block_of_the_page_is_run() -> None:
    assert [block.mark for block in blocks_of(PAGE)] == ["make", "name", "accept"]


@pytest.mark.slow
def test_a_witness_is_added_goes_away_comes_back_and_stops_a_town_that_was_restored(
    tmp_path: Path, towns: RunningTowns
) -> None:
    aberdare, barry = towns.both
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    assert "Made the witness" in run("make", tmp_path, WITNESS=url)
    run("name", tmp_path)
    assert "version 2" in run("accept", tmp_path)

    def serve() -> Child:
        command = [sys.executable, str(TIMEBANK), "witness", "serve", str(tmp_path / "witness"), "--port", str(port)]
        child = Child("the witness", command, directory=tmp_path, log=tmp_path / "witness.log", environment=os.environ)
        child.wait_ready(lambda: is_ready(url), seconds=60)
        return child

    def cosigned() -> int:
        answer = httpx.get(f"{aberdare.town.url('federation')}/v1/cosigned", timeout=20)
        return int(answer.text.split("\n")[1]) if answer.status_code == 200 else 0

    def length() -> int:
        return int(aberdare.ask("GET", "/v1/streams").json()["position"])

    # Nobody answers for the witness yet, and transfers flow.
    alias = aberdare.resolve(barry)
    assert aberdare.send(barry, alias, minutes=30, key="without").status_code in (201, 202)
    towns.wait_decided(seconds=60)
    assert cosigned() == 0
    witness = serve()
    try:
        until(lambda: cosigned() == length(), seconds=90, what="the newest checkpoint is cosigned")
        aberdare.stop()
        said = timebank("node", "export", aberdare.town.home, tmp_path / "exported" / "aberdare", seconds=60)
        assert "cosigned by 1 witness." in said.stdout, said.stdout + said.stderr
        shutil.copytree(aberdare.town.home, tmp_path / "backup")
        aberdare.start()
        aberdare.wait_ready()
        body = {"account": "heard-by-the-witness-only", "kind": "member"}
        opened = aberdare.ask("POST", "/v1/accounts", json=body, headers={"Idempotency-Key": "later"})
        assert opened.status_code == 201, opened.text
        until(lambda: cosigned() == length(), seconds=60, what="the new entry is cosigned")
        aberdare.stop()
        shutil.rmtree(aberdare.town.home)
        shutil.copytree(tmp_path / "backup", aberdare.town.home)
        aberdare.start()
        ready = f"{aberdare.town.url('ledger')}/readyz"
        until(lambda: NAME in _text(ready), seconds=90, what="the restored town stops")
        assert aberdare.ask("GET", f"/v1/accounts/{aberdare.account}").status_code == 200, "it reads on"
        aberdare.stop()
        done = timebank("serve", "ledger", aberdare.town.home, "--port", str(free_port()), seconds=60)
        assert done.returncode == 2
        assert "were published" in done.stderr
    finally:
        witness.stop(signal.SIGTERM, patience_seconds=20)


def _text(url: str) -> str:
    try:
        return httpx.get(url, timeout=20).text
    except httpx.HTTPError:
        return ""
