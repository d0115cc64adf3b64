"""Every shell block of the README is run as it stands, in a copy of this checkout that has its environment.

A comment before a block says how: `<!-- test: NAME -->`. Blocks of one name are one script. `targets` are not run from
inside a test run: they must exist in the Makefile. `serves URL` starts the block, waits for the URL, interrupts it.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.e2e.pages import SHELLS, blocks_of, copied_checkout, environment
from tests.e2e.running_towns import ROOT, until

SECONDS_MAX = 240


class Script(NamedTuple):
    """A shell block: the script it belongs to, the address it serves on (empty: it ends by itself), its lines."""

    name: str
    serves: str
    text: str


def blocks() -> list[Script]:
    """All shell blocks of the README, in order."""
    found = []
    for block in blocks_of(ROOT / "README.md"):
        if block.language in SHELLS:
            assert block.mark, f"say how this block is tested:\n{block.text}"
            name, _, serves = block.mark.partition(", serves ")
            found.append(Script(name, serves, block.text))
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources, with an environment that is this one's."""
    with copied_checkout(tmp_path) as copy:
        yield copy


def run(name: str, checkout: Path, **variables: str) -> str:
    """Run the script of this name, block after block; returns what it printed."""
    around = environment(checkout, **variables)
    said, script = "", ""
    for block in [block for block in blocks() if block.name == name]:
        if block.serves:
            said += _run_to_the_end(script, checkout, around)
            script = ""
            _serve_and_interrupt(block, checkout, around)
        else:
            script += block.text
    assert script, f"the README has no block {name} that ends by itself"
    return said + _run_to_the_end(script, checkout, around)


def _run_to_the_end(script: str, checkout: Path, around: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        env=around,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout


def _serve_and_interrupt(block: Script, checkout: Path, around: dict[str, str]) -> None:
    server = subprocess.Popen(["bash", "-c", f"exec {block.text}"], cwd=checkout, env=around)
    try:
        until(lambda: server.poll() is not None or _answers(block.serves), seconds=60, what=block.serves)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def test_every_block_of_the_readme_is_run_by_a_test() -> None:
    assert {block.name for block in blocks()} == {
        "demo",
        "targets",
        "towns",
        "node",
        "audit",
        "own file",
        "real servers",
    }


def test_the_make_targets_of_the_readme_exist_and_ci_runs_its_two_commands() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    lines = [line for block in blocks() if block.name == "targets" for line in block.text.splitlines()]
    assert lines
    for line in lines:
        assert re.fullmatch(r"make [a-z-]+( [A-Z]+=\w+)?", line)
        assert line.split()[1] in targets
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in ci if line.startswith("make ")] == ["make demo", "make test"]


def test_the_files_and_rooms_that_the_readme_names_are_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
    six = re.findall(r"^\| [1-6] \| \[(\w+\.py)\]", text, re.MULTILINE)
    assert len(six) == 6


@pytest.mark.slow
def test_make_demo_ends_with_the_auditors_verdict(checkout: Path) -> None:
    said = run("demo", checkout)
    assert "The life of transfer" in said
    assert said.splitlines()[-1].startswith("PASS")


@pytest.mark.slow
def test_a_node_of_ones_own_is_made_serves_and_is_audited(checkout: Path) -> None:
    assert run("node", checkout).splitlines()[-1].startswith("PASS")


@pytest.mark.slow
def test_the_demos_logs_are_audited_together(checkout: Path) -> None:
    assert run("audit", checkout).splitlines()[-1].startswith("PASS")


@pytest.mark.slow
def test_a_file_of_ones_own_is_run(checkout: Path) -> None:
    said = run("own file", checkout)
    assert "Lines of the file: 3 = 2 rows + 0 that cannot be read + 1 heading." in said


@pytest.mark.servers
@pytest.mark.slow
def test_the_demo_runs_on_the_servers_that_are_named(checkout: Path, kafka_bootstrap: str, postgres_dsn: str) -> None:
    said = run("real servers", checkout, KAFKA=kafka_bootstrap, POSTGRES=postgres_dsn)
    assert said.splitlines()[-1].startswith("PASS")


@pytest.mark.servers
@pytest.mark.slow
def test_two_towns_come_up_settle_a_payment_made_with_curl_and_go_down(checkout: Path) -> None:
    said = run("towns", checkout)
    assert "aberdare.g1.barry.1: settled" in said
    for town in ("aberdare", "barry"):
        assert f"local.timebank.wales/{town}/g1\n" in said, "a checkpoint"
    assert said.splitlines()[-1].startswith("Ended: the federation of barry")
    assert not (checkout / "build" / "local").exists()
