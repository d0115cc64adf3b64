"""No server is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.servers.child import Child, User, end_detached, free_port, run_once, wait_until
from deploy.servers.errors import ServerTrouble

SLEEPER = ["/bin/sleep", "77"]
PARENT = """
import sys, time
from pathlib import Path
from deploy.servers.child import Child
directory = Path(sys.argv[1])
print(Child("sleeper", ["/bin/sleep", "77"], directory=directory, log=directory / "log").pid, flush=True)
time.sleep(77)
"""


def _is_sleeper(pid: int) -> bool:
    try:
        return b"/bin/sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert wait_until(lambda: _is_sleeper(pid), seconds=20)
        parent.kill()
    assert wait_until(lambda: not _is_sleeper(pid), seconds=20)


def test_a_detached_child_outlives_its_handle_and_is_ended_by_its_id(tmp_path: Path) -> None:
    child = Child("sleeper", SLEEPER, directory=tmp_path, log=tmp_path / "log", detached=True)
    assert wait_until(lambda: _is_sleeper(child.pid), seconds=20)
    assert not end_detached(child.pid, command_holds="another program", first=signal.SIGTERM)
    assert child.running()
    assert end_detached(child.pid, command_holds="/bin/sleep", first=signal.SIGTERM)
    assert not end_detached(child.pid, command_holds="/bin/sleep", first=signal.SIGTERM)
    child.kill()


def test_a_server_that_ends_before_it_is_ready_is_reported_with_its_log(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo the port is taken; exit 3"]
    child = Child("Server", command, directory=tmp_path, log=tmp_path / "log")
    with pytest.raises(ServerTrouble, match=r"(?s)Server ended with 3; .*the port is taken"):
        child.wait_ready(lambda: False, seconds=20)


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    child = Child("Server", SLEEPER, directory=tmp_path, log=tmp_path / "log")
    with pytest.raises(ServerTrouble, match="was not ready after 0 s"):
        child.wait_ready(lambda: False, seconds=0)
    assert not child.running()


def test_a_command_that_fails_is_reported_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServerTrouble, match=r"(?s)sh failed \(4\); .*no room"):
        run_once(
            ["/bin/sh", "-c", "echo no room; exit 4"], directory=tmp_path, log=tmp_path / "log", user=None, seconds=20
        )


def test_no_server_runs_as_root_or_with_roots_groups(tmp_path: Path) -> None:
    log = tmp_path / "log"
    user = User(65534, 65534) if os.geteuid() == 0 else None
    run_once(["/usr/bin/id"], directory=Path("/"), log=log, user=user, seconds=20)
    assert log.read_text("utf-8").startswith(f"uid={user.uid if user else os.geteuid()}")
    assert "root" not in log.read_text("utf-8")


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert all(15_000 <= free_port() < 32_000 for _ in range(50))
