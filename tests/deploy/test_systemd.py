"""The units: closed as far as a server can be, secrets as credentials, started again, ended in time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from timebank_console.settings import ConsoleSettings
from timebank_directory.settings import DirectorySettings
from timebank_federation.settings import FederationSettings
from timebank_ledger.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
SERVED = {
    "timebank@": "node serve",
    "timebank-ledger@": "serve ledger",
    "timebank-directory@": "serve directory",
    "timebank-federation@": "serve federation",
    "timebank-console@": "serve console",
}
CLOSED = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "UMask": "0077",
}


def lines(path: Path) -> list[tuple[str, str]]:
    """The settings of a unit, in order."""
    return [
        (name, value)
        for name, _, value in (line.partition("=") for line in path.read_text("utf-8").splitlines())
        if not name.startswith(("#", "["))
    ]


def said(path: Path) -> dict[str, str]:
    return dict(lines(path))


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_a_unit_for_each_process() -> None:
    assert {
        path.stem: said(path)["ExecStart"].removeprefix("/opt/timebank/bin/timebank ") for path in UNITS
    }.keys() == (SERVED.keys())
    for path in UNITS:
        assert said(path)["ExecStart"].startswith(f"/opt/timebank/bin/timebank {SERVED[path.stem]} ")


def test_a_unit_is_closed_as_far_as_a_server_can_be(unit: Path) -> None:
    found = said(unit)
    assert {name: found.get(name) for name in CLOSED} == CLOSED
    assert found.get("User") == "timebank" or found.get("DynamicUser") == "yes"


def test_a_unit_is_started_again_after_a_failure_and_ended_in_time(unit: Path) -> None:
    found = said(unit)
    assert found["Restart"] == "on-failure"
    assert 0 < int(found["StartLimitBurst"]) <= 20
    assert re.fullmatch(r"\d+s", found["TimeoutStopSec"])
    assert "MemoryMax" in found
    assert "TasksMax" in found


def test_a_secret_is_a_credential_and_never_a_variable(unit: Path) -> None:
    credentials = {value.partition(":")[0] for name, value in lines(unit) if name == "LoadCredential"}
    for name, value in lines(unit):
        if name == "Environment":
            variable, _, path = value.partition("=")
            assert variable.endswith("_FILE")
            assert path.removeprefix("%d/") in credentials
    text = unit.read_text("utf-8")
    assert not re.search(r"(PASSWORD|SECRET|JOURNAL_URL)=", text)


def test_the_page_cannot_read_the_towns_keys() -> None:
    found = said(FOLDER / "timebank-console@.service")
    assert found["DynamicUser"] == "yes"
    assert "StateDirectory" not in found


def test_one_process_for_all_and_a_process_for_each_never_run_together() -> None:
    whole = said(FOLDER / "timebank@.service")["Conflicts"].split()
    assert whole == [f"timebank-{room}@%i.service" for room in ("ledger", "directory", "federation")]


def test_every_variable_of_a_unit_and_of_the_example_exists() -> None:
    rooms = (Settings, DirectorySettings, FederationSettings, ConsoleSettings)
    known = {f"{room.model_config['env_prefix']}{name.upper()}" for room in rooms for name in room.model_fields}
    example = [line.partition("=")[0] for line in (FOLDER / "settings.example").read_text("utf-8").splitlines()]
    given = {name for name in example if name.startswith("TIMEBANK_")}
    for path in UNITS:
        given |= {value.partition("=")[0].removesuffix("_FILE") for name, value in lines(path) if name == "Environment"}
    assert len(given) > 7
    assert given <= known
    ports = {name for path in UNITS for name in re.findall(r"\$\{(\w+)\}", said(path)["ExecStart"])}
    assert ports <= set(example)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in Debian's package systemd")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    for path in UNITS:
        # The command is not installed where tests run; every other line is judged as it stands.
        text = path.read_text("utf-8").replace("/opt/timebank/bin/timebank", sys.executable)
        (tmp_path / path.name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "timebank" in line]
    assert ours == []
