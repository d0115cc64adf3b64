"""The page of the kit, run as it stands: a node in a process of its own, the kit in another, over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from deploy.local.towns import LocalTown, add_client, enrol, get_token, is_ready
from deploy.servers.child import Child, free_port
from tests.e2e.pages import blocks_of
from tests.e2e.running_towns import ROOT, until

PAGE = ROOT / "docs" / "conformance.md"
READY_SECONDS = 120.0
RUN_SECONDS = 240.0
BLOCKS = {block.mark: block.text for block in blocks_of(PAGE)}


def environment(port: int) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NODE_PORT": str(port),
        "COLUMNS": "200",
    }


def bash(mark: str, folder: Path, port: int) -> Child:
    """The block of this name, running."""
    return Child(
        mark,
        ["bash", "-euo", "pipefail", "-c", BLOCKS[mark]],
        directory=folder,
        log=folder / f"{mark}.log",
        environment=environment(port),
    )


def end(child: Child) -> None:
    """End a block and what it started: a shell that is ended leaves its command behind."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    child.stop(signal.SIGTERM, patience_seconds=20)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[int]:
    """The node of the page, with its member; gives its port."""
    port = free_port()
    child = bash("node", tmp_path, port)
    try:
        child.wait_ready(partial(is_ready, f"http://127.0.0.1:{port}"), seconds=READY_SECONDS)
        ports = dict.fromkeys(("ledger", "directory", "federation"), port)
        town = LocalTown(name="tested", home=tmp_path / "tested", ports=ports)
        add_client(town, tmp_path / "form")
        enrol(town, get_token(town, tmp_path / "form"), "bryn", name="Bryn", payable_from_other_towns=True)
        yield port
    finally:
        end(child)


def test_every_block_of_the_page_is_run() -> None:
    assert set(BLOCKS) == {"node", "kit", "accept"}


@pytest.mark.slow
def test_the_page_begins_to_test_our_node(tmp_path: Path, node: int) -> None:
    """Two processes over HTTP, through three checks; `test_node.py` has the whole run, in one process."""
    kit = bash("kit", tmp_path, node)
    try:
        until((tmp_path / "registry-1.json").exists, seconds=READY_SECONDS, what="the kit's registry")
        accept = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", BLOCKS["accept"]],
            cwd=tmp_path,
            env=environment(node),
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )
        assert accept.returncode == 0, accept.stderr
        said = tmp_path / "kit.log"
        until(lambda: "4 of 19:" in said.read_text(), seconds=RUN_SECONDS, what="the kit's third check")
    finally:
        end(kit)
    assert "The node holds the kit's registry." in said.read_text()
