"""`make up` and `make down`: nothing is started twice, nothing is left behind, whatever crashed in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.state import Process, State, read_state
from deploy.servers.child import free_port
from tests.e2e.running_towns import ROOT, until


def local(what: str, folder: Path, *, first_port: int) -> subprocess.CompletedProcess[str]:
    """Run `python -m deploy.local` to its end."""
    command = ["-m", "deploy.local", what, "--folder", str(folder), "--first-port", str(first_port)]
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = local("up", folder, first_port=port - 1)
    assert said.returncode == 1
    assert said.stderr.startswith(f"Port {port}, for the directory of aberdare, is in use")
    assert "--first-port" in said.stderr
    assert not folder.exists()


def test_down_without_up_says_so(tmp_path: Path) -> None:
    said = local("down", tmp_path / "local", first_port=0)
    assert (said.returncode, said.stdout) == (0, "Nothing was running.\n")


def test_down_ends_no_process_that_only_has_the_number_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    State(folder, [Process("Kafka", os.getpid(), "the command line of a broker", "SIGKILL")], [], ["up"]).save()
    said = local("down", folder, first_port=0)
    assert (said.returncode, said.stdout) == (0, "Nothing was running.\n")
    assert not folder.exists()


@pytest.mark.servers
@pytest.mark.slow
def test_up_twice_starts_nothing_twice_and_down_ends_all_after_crashes(tmp_path: Path) -> None:
    folder, port = tmp_path / "local", free_port()
    first = local("up", folder, first_port=port)
    try:
        assert first.returncode == 0, first.stdout + first.stderr
        state = read_state(folder)
        assert state is not None
        assert {process.name for process in state.processes} >= {"the ledger of barry", "the federation of aberdare"}
        for secret in ("state.json", "operator.key", "aberdare/client.form", "barry/client.form"):
            assert (folder / secret).stat().st_mode & 0o777 == 0o600, secret
        again = local("up", folder, first_port=port)
        assert again.stdout.startswith("It is up already")
        assert read_state(folder) == state

        for process in state.processes[-2:]:
            os.kill(process.pid, signal.SIGKILL)
        until(lambda: not any(each.running() for each in state.processes[-2:]), seconds=20, what="two have crashed")
        half = local("up", folder, first_port=port)
        assert (half.returncode, half.stderr.split(":")[0]) == (1, "What was started before is not whole any more")
    finally:
        down = local("down", folder, first_port=port)
    assert down.returncode == 0, down.stderr
    assert not any(process.running() for process in state.processes)
    assert not folder.exists()
    assert not any(Path(extra).exists() for extra in state.folders)


@pytest.mark.servers
@pytest.mark.slow
def test_an_up_that_is_killed_leaves_what_down_can_end(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    command = ["-m", "deploy.local", "up", "--folder", str(folder), "--first-port", str(free_port())]
    started = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until(lambda: started.poll() is not None or _started(folder), seconds=90, what="a first server starts")
    finally:
        started.kill()
        started.wait()
    state = read_state(folder)
    assert state is not None
    down = local("down", folder, first_port=0)
    assert down.returncode == 0, down.stderr
    assert not any(process.running() for process in state.processes)
    assert not folder.exists()


def _started(folder: Path) -> int:
    try:
        return len(json.loads((folder / "state.json").read_text("utf-8"))["processes"])
    except FileNotFoundError:
        return 0
