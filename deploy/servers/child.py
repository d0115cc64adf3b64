"""One server process: started in a session of its own, logged to a file, never left behind.

Rules: it dies with us even when we are killed (`tether`), unless it is `detached`, as `make up` wants it;
it is only ever signalled by its own process id; waiting is bounded. The thread that starts a tethered
process must live as long as the process should: Linux counts that thread as the parent.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ServerTrouble

# Below Linux's own range for outgoing connections: a client that keeps knocking at a dead server's port
# inside that range can end up connected to itself, and the restarted server finds its port taken.
_PORTS = range(15_000, 32_000)
_PORT_ATTEMPTS = 200
_LOG_TAIL_BYTES = 2_000
_PAUSE_SECONDS = 0.05
_TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True, slots=True)
class User:
    """Whom a process runs as."""

    uid: int
    gid: int


def free_port() -> int:
    """A loopback port that nobody listens on at this moment; the caller uses it soon."""
    for _ in range(_PORT_ATTEMPTS):
        port = random.choice(_PORTS)  # noqa: S311  (not a secret)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ServerTrouble(f"No free loopback port in {_PORTS.start}–{_PORTS.stop - 1}: end what listens there.")


def wait_until(ready: Callable[[], bool], *, seconds: float) -> bool:
    """Ask `ready` until it says yes. Returns: whether it did within `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


class Child:
    """A process that is, or was, running one command.

    Args:
        name: for sentences to people.
        command: program and arguments.
        directory: where it runs.
        log: its output is appended here.
        user: whom it runs as, when we are root and it must not be.
        detached: it outlives us; whoever starts it keeps its `pid`.
        death_signal: what it gets when we die first.
        environment: its variables; by default ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        log: Path,
        user: User | None = None,
        detached: bool = False,
        death_signal: signal.Signals = signal.SIGKILL,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._owner = os.getpid()
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(  # noqa: S603  (commands of this package, no shell)
                tethered(command, user=user, death_signal=None if detached else death_signal),
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not detached:
            atexit.register(self._end_at_exit)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` says yes.

        Raises: ServerTrouble with the end of the log when the process ends first or the time is up.
        """
        wait_until(lambda: not self.running() or ready(), seconds=seconds)
        if self.running() and ready():
            return
        why = f"was not ready after {seconds:g} s" if self.running() else f"ended with {self._process.returncode}"
        self.kill()
        raise ServerTrouble(f"{self.name} {why}; its log {self.log} ends:\n{self.written()[-_LOG_TAIL_BYTES:]}")

    def written(self) -> str:
        """What this process has logged so far."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode("utf-8", "replace")

    def stop(self, *signals: signal.Signals, patience_seconds: float = 10) -> None:
        """Ask the process to end, one signal after the other, and kill it when it ignores all."""
        for number in signals:
            if not self.running():
                break
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self._process.kill()
        self._process.wait(30)
        atexit.unregister(self._end_at_exit)

    def _end_at_exit(self) -> None:
        if os.getpid() == self._owner:  # a forked copy of us must not end our servers
            self.kill()


def children_of(parent: int) -> list[int]:
    """The ids of the processes that this one started, and that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold spaces and brackets.
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def run_once(command: Sequence[str], *, directory: Path, log: Path, user: User | None, seconds: float) -> None:
    """Run a command to its end, its output appended to `log`.

    Raises: ServerTrouble with the end of the log when it fails or takes longer than `seconds`.
    """
    child = Child(Path(command[0]).name, command, directory=directory, log=log, user=user)
    try:
        ended = wait_until(lambda: not child.running(), seconds=seconds)
    finally:
        child.kill()
    code = child._process.returncode
    if not ended or code != 0:
        raise ServerTrouble(f"{child.name} failed ({code}); its log {log} ends:\n{child.written()[-_LOG_TAIL_BYTES:]}")


def end_detached(pid: int, *, command_holds: str, first: signal.Signals, patience_seconds: float = 15) -> bool:
    """End a detached process by its id, if that id still is the process meant.

    Args:
        command_holds: a text that its command line must hold: process ids are used again.
        first: the signal that asks; SIGKILL follows after `patience_seconds`.
    Returns: whether such a process was running.
    """

    def gone() -> bool:
        try:
            # Our own ended child stays listed, with an empty command line, until it is waited for.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            return command_holds not in Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            return True

    if gone():
        return False
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait_until(gone, seconds=patience_seconds):
            break
    return True


def tethered(
    command: Sequence[str], *, user: User | None = None, death_signal: signal.Signals | None = signal.SIGKILL
) -> list[str]:
    """The command line that runs `command` as `user`, to die with this process (`None`: to outlive it)."""
    uid, gid = (user.uid, user.gid) if user else (-1, -1)
    number = int(death_signal) if death_signal else 0
    return [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(uid), str(gid), str(number), *command]
