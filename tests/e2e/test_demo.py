"""The demo as a user starts it: on real servers, with a file of their own, and left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from msgspec import UNSET

from tests.e2e.running_towns import TIMEBANK, timebank, until
from timebank_contracts.entries import decode_entry, entry_type
from timebank_contracts.tiles import decode_bundle

pytestmark = pytest.mark.slow
HEADING = "time,payer_town,payer,payee_town,payee,amount,purpose"
ROWS = [
    "2026-01-05T10:00Z,aberdare,alys,aberdare,bethan,1:30,service",
    "2026-01-05T11:00Z,aberdare,alys,barry,bryn,90,service",
    "2026-01-05T12:00Z,aberdare,alys,barry,bryn,45m,service",
    "2026-01-05T13:00Z,aberdare,alys,aberdare,alys,30m,service",
    "yesterday,aberdare,alys,barry,bryn,30m,service",
    "2026-01-05T15:00Z,barry,bryn,aberdare,alys,15m,wages",
]
BAD = {3: "amount", 6: "time", 7: "purpose"}
"""Line of the file → the column at fault."""


def test_a_file_of_ones_own_is_run_and_bad_rows_change_nothing(tmp_path: Path) -> None:
    file, logs = tmp_path / "own.csv", tmp_path / "logs"
    file.write_text("\n".join([HEADING, *ROWS]) + "\n", "utf-8")
    done = timebank("demo", "--transfers", file, "--out", logs)
    assert done.returncode == 0, done.stdout + done.stderr
    named = dict(re.findall(r"^Line (\d+), column (\w+): \S.* The line is left out\.$", done.stdout, re.MULTILINE))
    assert {int(line): column for line, column in named.items()} == BAD
    assert "Lines of the file: 7 = 3 rows + 3 that cannot be read + 1 heading." in done.stdout
    assert "line 5: alys@aberdare → alys@aberdare, self_transfer" in done.stdout
    assert _moved_in(logs / "aberdare") == [
        ("transfer.posted", 90),
        ("transfer.sent", 45),
        ("transfer.settled", 45),
    ]
    assert _moved_in(logs / "barry") == [("transfer.received", 45)]
    assert _moved_in(logs / "caernarfon") == []
    assert "PASS" in done.stdout


def _moved_in(log: Path) -> list[tuple[str, int]]:
    """Each entry of an exported log that moves minutes: its type, and how many."""
    bundles = sorted(path for path in (log / "tile" / "entries").rglob("*") if path.is_file())
    entries = [decode_entry(raw) for bundle in bundles for raw in decode_bundle(bundle.read_bytes())]
    return [
        (entry_type(entry), sum(minutes for _, minutes in entry.postings if minutes > 0))
        for entry in entries
        if entry.postings is not UNSET
    ]


@pytest.mark.servers
def test_the_demo_runs_on_real_servers_and_again_on_the_same(
    kafka_bootstrap: str, postgres_dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "own.csv"
    file.write_text("\n".join([HEADING, *ROWS]) + "\n", "utf-8")
    servers = ["--kafka", kafka_bootstrap, "--postgres", postgres_dsn]
    for season in (["--transfers", str(file)], []):
        done = timebank("demo", *servers, *season, seconds=200)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "journals in PostgreSQL" in done.stdout
    assert f"Apache Kafka at {kafka_bootstrap}" in done.stdout
    assert "PASS" in done.stdout


def test_the_demo_left_running_serves_its_towns_until_it_is_interrupted(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, str(TIMEBANK), "demo", "--serve"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "200"},
        )
    try:
        until(
            lambda: demo.poll() is not None or "Ctrl-C ends it." in log.read_text("utf-8"),
            seconds=150,
            what="the towns are served",
        )
        said = log.read_text("utf-8")
        towns = re.findall(r"(http://127\.0\.0\.1:\d+)/ \(the town\)", said)
        tokens = re.findall(r"an operator's token for 15 minutes: (\S+)", said)
        assert (len(towns), len(tokens)) == (3, 3), said[-2_000:]
        for url, token in zip(towns, tokens, strict=True):
            _serves(url, token)
    finally:
        demo.send_signal(signal.SIGINT)
        status = demo.wait(60)
    assert status == 0, log.read_text("utf-8")[-2_000:]


def _serves(url: str, token: str) -> None:
    page = httpx.get(f"{url}/", timeout=20)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert httpx.get(f"{url}/openapi.json", timeout=20).json()["openapi"].startswith("3.")
    checkpoint = httpx.get(f"{url}/checkpoint", timeout=20).text.splitlines()
    assert checkpoint[0].startswith("demo.timebank.wales/")
    assert int(checkpoint[1]) > 100
    assert httpx.get(f"{url}/v1/accounts", timeout=20).status_code == 401
    accounts = httpx.get(f"{url}/v1/accounts", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert accounts.status_code == 200
