"""A node that would lose, double or forge refuses to start, exits with status 2, and says what to change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.servers.find import OwnDatabase
from tests.e2e.forked import Forked
from tests.e2e.running_towns import timebank
from timebank_node.cli import main

NETWORK = "refusals.timebank.wales"


def make_node(folder: Path, *, network: str = NETWORK, node: str = "aberdare") -> Path:
    """A node of a network of one, as its operators would make it; returns its home."""
    home, key, registry = folder / node, folder / f"{node}.key", folder / f"{node}-registry.json"
    commands: list[list[str | Path]] = [
        ["node", "init", home, "--network", network, "--node", node, "--url", "http://127.0.0.1:9"],
        ["keys", "new", key],
        ["network", "sign", home / "node.json", "--operator", key, "--out", registry],
        ["node", "accept", home, registry],
    ]
    for arguments in commands:
        done = timebank(*arguments)
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose journal has its first entries."""
    home = make_node(tmp_path_factory.mktemp("node"))
    assert timebank("node", "export", home, home / "log").returncode == 0
    return home


@pytest.fixture
def home(made: Path) -> Iterator[Path]:
    """The same home for each test, as it was."""
    kept = {path: (path.read_bytes(), path.stat().st_mode) for path in made.rglob("*") if path.is_file()}
    yield made
    for path in made.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
    for path, (content, mode) in kept.items():
        path.write_bytes(content)
        path.chmod(mode)


def refused(home: Path, *options: str, service: str = "ledger", environment: dict[str, str] | None = None) -> str:
    """Serve, which must end at once with status 2; returns the one sentence that is not a record of the log."""
    command = ["serve", service, str(home), "--port", "0", *options]
    serving = Forked(main, command, log=home.parent / "refused.log", variables=environment or {})
    ended = serving.wait(seconds=60)
    serving.stop()
    assert ended == 2, serving.written()
    lines = [line for line in serving.written().splitlines() if not line.startswith("{")]
    assert len(lines) == 1, serving.written()
    assert lines[0].startswith("timebank: ")
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("use", ["event", "log", "token", "tag"])
def test_a_key_that_others_can_read_is_refused(home: Path, use: str) -> None:
    key = home / "keys" / f"{use}.key"
    key.chmod(0o644)
    assert f"chmod 600 {key}" in refused(home)


@pytest.mark.slow
def test_a_journal_shorter_than_its_head_file_is_refused(home: Path) -> None:
    with sqlite3.connect(home / "journal.db") as journal:
        journal.execute("DELETE FROM stored_events WHERE originator_version = 3")
    journal.close()
    said = refused(home)
    assert "was rolled back. Restore the newer journal" in said


@pytest.mark.slow
def test_a_lost_journal_is_refused_not_begun_anew(home: Path) -> None:
    for path in home.glob("journal.db*"):
        path.unlink()
    assert "Restore the newer journal" in refused(home)


@pytest.mark.slow
def test_another_networks_database_is_refused(home: Path, tmp_path: Path) -> None:
    other = make_node(tmp_path, network="elsewhere.timebank.wales")
    said = refused(other, environment={"TIMEBANK_LEDGER_JOURNAL_URL": f"sqlite:{home / 'journal.db'}"})
    assert f"holds journals of {NETWORK} and none of elsewhere.timebank.wales" in said
    assert "name this network's database" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TIMEBANK_LEDGER_JURNAL_URL", "memory:", "is not a setting"),
        ("TIMEBANK_LEDGER_QUEUE_LIMIT", "many", "TIMEBANK_LEDGER_QUEUE_LIMIT cannot be used"),
        ("TIMEBANK_LEDGER_JOURNAL_URL", "mysql://x", "postgresql://user:password@host:port/database"),
        ("TIMEBANK_LEDGER_JOURNAL_URL", "postgresql://127.0.0.1:9/x", "PostgreSQL cannot be reached"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(home: Path, name: str, value: str, says: str) -> None:
    assert says in refused(home, environment={name: value})


LEDGER = {"TIMEBANK_DIRECTORY_LEDGER_URL": "http://127.0.0.1:9", "TIMEBANK_FEDERATION_LEDGER_URL": "http://127.0.0.1:9"}
DIRECTORY = {"TIMEBANK_FEDERATION_DIRECTORY_URL": "http://127.0.0.1:9"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "environment", "says"),
    [
        ("directory", {}, "Set TIMEBANK_DIRECTORY_LEDGER_URL to the address of that service"),
        ("directory", {"TIMEBANK_DIRECTORY_LEDGER_URL": "127.0.0.1:8101"}, "write it as http://host:port"),
        ("directory", {**LEDGER, "TIMEBANK_DIRECTORY_DATABSE": "x"}, "TIMEBANK_DIRECTORY_DATABSE is not a setting"),
        ("directory", {**LEDGER, "TIMEBANK_DIRECTORY_DATABASE": "nosql:x"}, "TIMEBANK_DIRECTORY_DATABASE names"),
        ("federation", {}, "Set TIMEBANK_FEDERATION_LEDGER_URL to the address of that service"),
        ("federation", LEDGER, "Set TIMEBANK_FEDERATION_DIRECTORY_URL to the address of that service"),
        ("federation", {**LEDGER, **DIRECTORY, "TIMEBANK_FEDERATION_POLL_SECONDS": "0"}, "POLL_SECONDS cannot be used"),
        ("federation", {**LEDGER, **DIRECTORY, "TIMEBANK_FEDERATION_KAFKA": "kafka"}, "write it as host:port"),
        ("federation", {"TIMEBANK_FEDRATION_KAFKA": "x"}, "did you mean TIMEBANK_FEDERATION_…?"),
    ],
)
def test_a_directory_or_federation_alone_is_refused_by_its_own_settings(
    home: Path, service: str, environment: dict[str, str], says: str
) -> None:
    assert says in refused(home, service=service, environment=environment)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["directory", "federation"])
def test_a_directory_or_federation_alone_refuses_a_key_that_others_can_read(home: Path, service: str) -> None:
    key = home / "keys" / "event.key"
    key.chmod(0o640)
    assert f"chmod 600 {key}" in refused(home, service=service, environment={**LEDGER, **DIRECTORY})


@pytest.mark.slow
def test_an_address_that_is_taken_is_refused_by_name(home: Path) -> None:
    said = refused(home, "--host", "192.0.2.1")
    assert "The address 192.0.2.1, port 0 cannot be bound" in said


@pytest.mark.slow
def test_a_file_with_a_database_password_that_others_can_read_is_refused(home: Path, tmp_path: Path) -> None:
    url = tmp_path / "journal.url"
    url.write_text("postgresql://timebank:hunter2@127.0.0.1:9/x")
    url.chmod(0o644)
    said = refused(home, environment={"TIMEBANK_LEDGER_JOURNAL_URL_FILE": str(url)})
    assert f"chmod 600 {url}" in said
    assert "hunter2" not in said


@pytest.mark.slow
def test_a_second_home_of_a_node_is_refused_at_the_first_ones_journal(home: Path, tmp_path: Path) -> None:
    second = make_node(tmp_path)
    kept = (home / "registry" / "1.json").read_bytes()
    (second / "registry" / "1.json").write_bytes(kept)
    said = refused(second, environment={"TIMEBANK_LEDGER_JOURNAL_URL": f"sqlite:{home / 'journal.db'}"})
    assert "is not one that is described for aberdare; restore the right key" in said


@pytest.mark.slow
def test_a_town_page_that_others_could_open_is_refused(home: Path) -> None:
    environment = {
        "TIMEBANK_CONSOLE_LEDGER_URL": "http://127.0.0.1:9",
        "TIMEBANK_CONSOLE_DIRECTORY_URL": "http://127.0.0.1:9",
        "TIMEBANK_CONSOLE_CLIENT_SECRET": "a secret of a client",
    }
    page = home / "node.json"
    assert "has no sign-in yet" in refused(page, "--host", "0.0.0.0", service="console", environment=environment)
    del environment["TIMEBANK_CONSOLE_CLIENT_SECRET"]
    assert "TIMEBANK_CONSOLE_CLIENT_SECRET cannot be used" in refused(page, service="console", environment=environment)


@pytest.mark.servers
@pytest.mark.slow
def test_a_postgresql_without_fsync_is_refused(home: Path, private_postgres: OwnDatabase) -> None:
    dsn = private_postgres.create_database("unsafe")
    with psycopg.connect(private_postgres.dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    said = refused(home, environment={"TIMEBANK_LEDGER_JOURNAL_URL": dsn})
    assert "fsync = off and would lose what it acknowledged. Set fsync = on" in said
