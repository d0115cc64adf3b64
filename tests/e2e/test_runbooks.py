"""Every shell block of the runbooks of `deploy/runbooks` that this file knows is run as it stands.

A comment before a block says in which scripts it stands, `<!-- test: NAME, NAME -->`; blocks of one name are a script.
`containers` needs a Docker daemon and images that TIMEBANK_TEST_IMAGE, …_KAFKA_IMAGE and …_POSTGRES_IMAGE name, since
nothing may be fetched; `systemd` needs a machine that systemd started, and its units are judged in tests/deploy.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pages import SHELLS, blocks_of, copied_checkout, environment
from tests.e2e.running_towns import ROOT

RUNBOOKS = ROOT / "deploy" / "runbooks"
SECONDS_MAX = 280
IMAGES = {
    "TIMEBANK_IMAGE": "TIMEBANK_TEST_IMAGE",
    "KAFKA_IMAGE": "TIMEBANK_TEST_KAFKA_IMAGE",
    "POSTGRES_IMAGE": "TIMEBANK_TEST_POSTGRES_IMAGE",
}
ENDS = """
end() { for file in towns/*/running; do if [ -f "$file" ]; then kill $(cat "$file") 2> /dev/null || true; fi; done; }
trap end EXIT
"""
"""Whatever fails, nothing stays up."""


def script(page: str, name: str) -> str:
    """The blocks of one name, in order."""
    found = [
        block.text
        for block in blocks_of(RUNBOOKS / page)
        if block.language in SHELLS and name in block.mark.split(", ")
    ]
    assert found, f"{page} has no block {name}"
    return "".join(found)


def run(text: str, checkout: Path, **variables: str) -> str:
    """Run a script in a copy of the checkout; returns what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        env=environment(checkout, **variables),
    )
    logs = "".join(path.read_text("utf-8")[-1_500:] for path in checkout.glob("towns/*/log"))
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:] + logs
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources, with an environment that is this one's."""
    with copied_checkout(tmp_path) as copy:
        yield copy


@pytest.mark.parametrize(
    ("page", "names"),
    [("install.md", {"containers", "image", "processes", "systemd"})],
)
def test_every_block_of_a_runbook_says_which_script_it_belongs_to(page: str, names: set[str]) -> None:
    marks = [block.mark for block in blocks_of(RUNBOOKS / page) if block.language in SHELLS]
    assert {name for mark in marks for name in mark.split(", ")} == names


@pytest.mark.servers
@pytest.mark.slow
def test_two_towns_are_installed_as_processes_and_an_hour_is_paid_and_audited(
    checkout: Path, kafka_bootstrap: str, postgres_dsn: str
) -> None:
    said = run(ENDS + script("install.md", "processes"), checkout, KAFKA=kafka_bootstrap, POSTGRES=postgres_dsn)
    assert "aberdare.g1.barry.1: settled" in said
    assert said.splitlines()[-1].startswith("PASS")


@pytest.mark.slow
@pytest.mark.skipif(
    not all(os.environ.get(name) for name in IMAGES.values()),
    reason="name local images (deploy/image/local) in TIMEBANK_TEST_IMAGE, …_KAFKA_IMAGE, …_POSTGRES_IMAGE",
)
def test_two_towns_are_installed_in_containers_and_an_hour_is_paid(checkout: Path, tmp_path: Path) -> None:
    images = {name: os.environ[variable] for name, variable in IMAGES.items()}
    ends = "trap 'compose down --volumes > /dev/null 2>&1 || true' EXIT\n"
    said = run(ends + script("install.md", "containers"), checkout, TOWN_FILES=str(tmp_path / "files"), **images)
    assert "aberdare.g1.barry.1: settled" in said
