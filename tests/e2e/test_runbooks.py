"""Every shell block of the runbooks of `deploy/runbooks` that this file knows is run as it stands.

A comment before a block says in which scripts it stands, `<!-- test: NAME, NAME -->`; blocks of one name are a script.
`containers` needs a Docker daemon and images that TIMEBANK_TEST_IMAGE, …_KAFKA_IMAGE and …_POSTGRES_IMAGE name, since
nothing may be fetched; `systemd` needs a machine that systemd started, and its units are judged in tests/deploy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy.servers.find import Database
from deploy.servers.postgres import find_binaries
from tests.e2e.pages import SHELLS, blocks_of, copied_checkout, environment
from tests.e2e.running_towns import ROOT

RUNBOOKS = ROOT / "deploy" / "runbooks"
SECONDS_MAX = 200
IMAGES = {
    "TIMEBANK_IMAGE": "TIMEBANK_TEST_IMAGE",
    "KAFKA_IMAGE": "TIMEBANK_TEST_KAFKA_IMAGE",
    "POSTGRES_IMAGE": "TIMEBANK_TEST_POSTGRES_IMAGE",
}


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
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(checkout, **variables),
        start_new_session=True,
    )
    try:
        out, errors = shell.communicate(timeout=SECONDS_MAX)
    finally:
        # Whatever failed, nothing stays up.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    logs = [
        path.read_text("utf-8")[-1_500:] for pattern in ("towns/log", "towns/*/log") for path in checkout.glob(pattern)
    ]
    assert shell.returncode == 0, "\n".join([out[-3_000:], errors[-3_000:], *logs])
    return out


@contextmanager
def two_databases(server: Database) -> Iterator[tuple[str, str]]:
    """The addresses of two empty databases, which are dropped in the end."""
    names = [f"backup_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    first, second = (server.create_database(name) for name in names)
    yield first, second
    for name in names:
        server.drop_database(name)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources, with an environment that is this one's."""
    with copied_checkout(tmp_path) as copy:
        yield copy


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("install.md", {"certificates", "containers", "image", "processes", "systemd"}),
        ("backup.md", {"sqlite", "postgres"}),
    ],
)
def test_every_block_of_a_runbook_says_which_script_it_belongs_to(page: str, names: set[str]) -> None:
    marks = [block.mark for block in blocks_of(RUNBOOKS / page) if block.language in SHELLS]
    assert {name for mark in marks for name in mark.split(", ")} == names


@pytest.mark.servers
@pytest.mark.slow
def test_two_towns_are_installed_as_processes_and_an_hour_is_paid_and_audited(
    checkout: Path, kafka_bootstrap: str, postgres_dsn: str
) -> None:
    said = run(script("install.md", "processes"), checkout, KAFKA=kafka_bootstrap, POSTGRES=postgres_dsn)
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


def check_restored(said: str) -> None:
    """What the page says of the restored town."""
    lines = said.splitlines()
    assert any("was rolled back" in line for line in lines), "the newest head file refuses the old journal"
    people = next(line for line in lines if '"alys"' in line)
    assert '"bethan"' in people
    assert "carys" not in people
    assert any(line.startswith("PASS") for line in lines)
    assert [line for line in lines if line.isdigit()] == ["60", "90", "105"]


@pytest.mark.slow
def test_a_town_on_sqlite_is_backed_up_lost_and_restored(checkout: Path) -> None:
    check_restored(run(script("backup.md", "sqlite"), checkout))


@pytest.mark.servers
@pytest.mark.slow
def test_a_town_on_postgresql_is_backed_up_lost_and_restored(checkout: Path, postgres_server: Database) -> None:
    tools = find_binaries().directory
    with two_databases(postgres_server) as (first, second):
        variables = {"POSTGRES": first, "RESTORED": second}
        # A dump is made by tools that are as new as the server, which this machine's first in the path need not be.
        text = f'export PATH="{tools}:$PATH"\n' + script("backup.md", "postgres")
        check_restored(run(text, checkout, **variables))
