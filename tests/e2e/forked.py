"""Processes that start at once: forked from one that has loaded the services already, which takes a second or two.

Each is a process like any other: it has its own memory, and may be stopped or killed. It dies with the test.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PATIENCE_SECONDS = 20.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["timebank_node.commands_node", "timebank_node.cli"])


class Forked:
    """A process that calls one function.

    Args:
        call: what it does; found by its module and name.
        arguments: for the function.
        log: its output is appended here.
        variables: are added to its environment.
    """

    def __init__(self, call: Callable[..., object], *arguments: Any, log: Path, variables: dict[str, str]) -> None:
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process = FORKS.Process(target=_run, args=(call, arguments, log, variables), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def wait(self, *, seconds: float) -> int | None:
        """Its exit status, 0 for a return; None when it still runs after `seconds`."""
        self._process.join(seconds)
        return self._process.exitcode

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not end."""
        self._process.terminate()
        self._process.join(PATIENCE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join(PATIENCE_SECONDS)

    def written(self) -> str:
        """What it has written so far."""
        return self.log.read_bytes()[self._log_start :].decode("utf-8", "replace")


def _run(call: Callable[..., object], arguments: tuple[Any, ...], log: Path, variables: dict[str, str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with log.open("ab") as output:
        for standard in (1, 2):
            os.dup2(output.fileno(), standard)
    os.environ.update(variables, COLUMNS="200")
    call(*arguments)
