"""The compose file: no default image or password, secrets as files, towns apart, every process checked and bounded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "deploy" / "compose.yaml"
TEXT = FILE.read_text("utf-8")
SAID: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = SAID["services"]
TOWNS = ("aberdare", "barry")
ROOMS = ("ledger", "directory", "federation", "console")
SHARED = {"kafka", "kafka-rights"}
"""What no town has for itself: the broker, and what gives rights at it and ends."""


def networks(service: str) -> set[str]:
    return set(SERVICES[service]["networks"])


def test_each_town_has_a_process_for_each_service_and_a_database_of_its_own() -> None:
    expected = {f"{town}-{part}" for town in TOWNS for part in (*ROOMS, "database")}
    assert set(SERVICES) == expected | SHARED


def test_both_towns_are_the_same_but_for_their_names_and_ports() -> None:
    start, middle = TEXT.index("  aberdare-database:\n"), TEXT.index("  barry-database:\n")
    without_comments = [
        [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        for part in (TEXT[start:middle], TEXT[middle : TEXT.index("\nnetworks:")])
    ]
    first, second = without_comments
    renamed = [
        line.replace("aberdare", "barry").replace("ABERDARE", "BARRY").replace(":-811", ":-812") for line in first
    ]
    assert renamed == second


def test_no_image_password_or_cluster_has_a_default() -> None:
    for name, service in SERVICES.items():
        assert re.match(r"^\$\{[A-Z_]+:\?[^}]+\}$", service["image"]), name
        assert "build" not in service
        for variable, value in service["environment"].items():
            if re.search(r"PASSWORD|SECRET|JOURNAL_URL", variable):
                assert variable.endswith("_FILE"), variable
                assert value.startswith("/run/secrets/")
    assert set(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT)) == {
        ("ADDRESS", "127.0.0.1"),
        *((f"{t}_{n}_PORT", f"81{i}{p}") for t, i in (("ABERDARE", 1), ("BARRY", 2)) for n, p in PORTS.items()),
    }


PORTS = {"LEDGER": 1, "DIRECTORY": 2, "PUBLIC": 3, "PAGE": 4}


def test_a_secret_is_a_file_and_reaches_only_whom_it_is_for() -> None:
    for name, secret in SAID["secrets"].items():
        assert set(secret) == {"file"}, name
        readers = [service for service, said in SERVICES.items() if name in said.get("secrets", [])]
        assert len(readers) == 1, name
        assert readers[0].split("-")[0] == name.split("-")[0], "no town gets another's"


def test_a_town_reaches_another_only_at_its_public_port_and_through_kafka() -> None:
    for mine in SERVICES:
        for other in SERVICES:
            if mine.split("-")[0] == other.split("-")[0] or SHARED & {mine, other}:
                continue
            shared = networks(mine) & networks(other)
            assert shared <= {"between"}
    on_between = {name for name in SERVICES if "between" in networks(name)}
    assert on_between == SHARED | {f"{town}-{room}" for town in TOWNS for room in ("federation", "directory")}
    assert SAID["networks"]["between"]["internal"] is True


@pytest.mark.parametrize("town", TOWNS)
def test_a_directory_asks_other_towns_and_does_not_listen_to_them(town: str) -> None:
    directory = SERVICES[f"{town}-directory"]
    command = directory["command"]
    own = command[command.index("--host") + 1]
    assert directory["networks"] == {town: {"aliases": [own]}, "between": {}}


@pytest.mark.parametrize("town", TOWNS)
def test_a_database_is_seen_by_its_ledger_alone_and_never_published(town: str) -> None:
    data = f"{town}-data"
    assert {name for name in SERVICES if data in networks(name)} == {f"{town}-database", f"{town}-ledger"}
    assert SAID["networks"][data]["internal"] is True
    assert "ports" not in SERVICES[f"{town}-database"]


def test_every_process_is_restarted_bounded_and_has_a_log_that_ends() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("no" if name == "kafka-rights" else "unless-stopped"), name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["stop_grace_period"] in ("30s", "60s"), name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_our_own_processes_have_no_capability_and_a_root_that_cannot_be_written() -> None:
    for town in TOWNS:
        for room in ROOMS:
            service = SERVICES[f"{town}-{room}"]
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["command"][:3] == ["timebank", "serve", room]
            assert "TIMEBANK_HEALTH_URL" in service["environment"]


def test_who_depends_on_another_waits_until_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ends = other == "kafka-rights"
            condition = "service_completed_successfully" if ends else "service_healthy"
            assert how == {"condition": condition}, f"{name} on {other}"
    assert "healthcheck" in SERVICES["kafka"]
    for town in TOWNS:
        assert "healthcheck" in SERVICES[f"{town}-database"]
        assert set(SERVICES[f"{town}-federation"]["depends_on"]) == {
            f"{town}-ledger",
            f"{town}-directory",
            "kafka-rights",
        }


def test_nobody_speaks_with_the_broker_without_a_certificate_and_what_is_public_is_no_secret() -> None:
    said = SERVICES["kafka"]["environment"]
    assert {part.split(":")[1] for part in said["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")} == {"SSL"}
    assert said["KAFKA_SSL_CLIENT_AUTH"] == "required"
    assert said["KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND"] == "false"
    assert "ANONYMOUS" not in said["KAFKA_SUPER_USERS"]
    clients = [name for name, service in SERVICES.items() if "TIMEBANK_FEDERATION_KAFKA" in service["environment"]]
    assert set(clients) == {"kafka-rights", *(f"{town}-federation" for town in TOWNS)}
    for name in clients:
        client = SERVICES[name]
        assert client["environment"]["TIMEBANK_FEDERATION_KAFKA_SECURITY_PROTOCOL"] == "SSL"
        [key] = client["secrets"]
        assert client["environment"]["TIMEBANK_FEDERATION_KAFKA_KEY_FILE"] == f"/run/secrets/{key}"
    assert not any("key" in said["file"] for said in SAID["configs"].values())


def test_the_town_page_is_published_for_this_machine_only() -> None:
    for town in TOWNS:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[f"{town}-console"]["ports"])


def _has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _has_compose(), reason="docker compose is not installed")
def test_compose_itself_reads_the_file_and_refuses_it_without_an_image(tmp_path: Path) -> None:
    said = {"TIMEBANK_IMAGE": "t", "KAFKA_IMAGE": "k", "POSTGRES_IMAGE": "p", "KAFKA_CLUSTER_ID": "c" * 22}
    said["TOWN_FILES"] = str(tmp_path)
    path = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

    def config(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--file", str(FILE), "config", "--quiet"]
        return subprocess.run(command, env=path | variables, capture_output=True, text=True, timeout=60, check=False)

    assert config(said).returncode == 0
    for name in said:
        refused = config({other: value for other, value in said.items() if other != name})
        assert refused.returncode != 0
        assert f"required variable {name} is missing" in refused.stderr
