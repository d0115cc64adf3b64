"""Three Apache Kafka brokers on loopback, each a controller as well: what stands the loss of one.

Their ports are chosen before the first one starts, since each must know the others' at once.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .child import free_port
from .kafka import KafkaBroker, new_cluster_id

BROKERS: Final = 3
HEAP_MEGABYTES: Final = 192

_SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "controller.quorum.election.timeout.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
    # A broker that is gone leaves the in-sync replicas sooner.
    "replica.lag.time.max.ms": "5000",
}


class KafkaCluster:
    """Brokers 1 to 3; a context manager that starts and stops them.

    Args:
        directory: a new one for data, settings and logs; kept. By default a temporary one, removed by `stop`.
        settings: further lines for `server.properties`, over ours.
        heap_megabytes: each JVM's heap.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        heap_megabytes: int = HEAP_MEGABYTES,
    ) -> None:
        self._temporary = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="timebank-kafka-")) if directory is None else directory
        numbers = range(1, BROKERS + 1)
        ports = {number: {name: free_port() for name in ("PLAINTEXT", "CONTROLLER")} for number in numbers}
        controllers = {number: f"127.0.0.1:{ports[number]['CONTROLLER']}" for number in numbers}
        voters = ",".join(f"{number}@{controllers[number]}:{new_cluster_id()}" for number in numbers)
        cluster = new_cluster_id()
        self.brokers: list[KafkaBroker] = []
        for number in numbers:
            place = self.directory / str(number)
            place.mkdir(parents=True)
            (place / "ports.json").write_text(json.dumps(ports[number]), "utf-8")
            own = {"node.id": str(number), "controller.quorum.bootstrap.servers": ",".join(controllers.values())}
            broker = KafkaBroker(
                place,
                settings={**_SETTINGS, **own, **(settings or {})},
                format_options=["--initial-controllers", voters],
                cluster_id=cluster,
                heap_megabytes=heap_megabytes,
            )
            self.brokers.append(broker)

    @property
    def bootstrap(self) -> str:
        """`host:port,…` for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> Self:
        """Start all at once: none is ready before two are. Raises: as `KafkaBroker.start`."""
        try:
            for broker in self.brokers:
                broker.begin()
            for broker in self.brokers:
                broker.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all; a temporary directory is removed."""
        for broker in self.brokers:
            broker.kill()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
