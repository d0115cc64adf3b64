"""The same two servers in Docker, by testcontainers, where a daemon of this machine already has the image.

Rules: nothing is pulled; ports are published on loopback only. The images are those of `apache/kafka` and
`postgres`, or what TIMEBANK_TEST_KAFKA_IMAGE and TIMEBANK_TEST_POSTGRES_IMAGE name; they are spoken to by the
environment variables that these images document.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .child import free_port, wait_until
from .databases import DatabaseServer
from .errors import ServerTrouble

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

KAFKA_IMAGES = ("apache/kafka:4.4.0", "apache/kafka:4.3.0", "apache/kafka:4.2.0", "apache/kafka:4.1.1")
POSTGRES_IMAGES = ("postgres:17", "postgres:18", "postgres:16", "postgres:15")
READY_SECONDS = 120

_SOCKET = "/var/run/docker.sock"
_PING_SECONDS = 5
_KAFKA_PORT = 9092
_STARTED = b"Kafka Server started"
_KAFKA_ENVIRONMENT = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": f"PLAINTEXT://:{_KAFKA_PORT},CONTROLLER://:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_BROKER_SESSION_TIMEOUT_MS": "1500",
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "300",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
}


def kafka_image(environment: Mapping[str, str] = os.environ) -> str | None:
    """The Kafka image that a daemon here has, or None."""
    return _first_present(environment.get("TIMEBANK_TEST_KAFKA_IMAGE"), KAFKA_IMAGES)


def postgres_image(environment: Mapping[str, str] = os.environ) -> str | None:
    """The PostgreSQL image that a daemon here has, or None."""
    return _first_present(environment.get("TIMEBANK_TEST_POSTGRES_IMAGE"), POSTGRES_IMAGES)


class KafkaContainer:
    """One broker in a container; `start` it, and `stop` it in the end."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._port = free_port()
        self._starts_seen = 0
        environment = {**_KAFKA_ENVIRONMENT, "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.bootstrap}"}
        self._container = _container(image, environment, inside=_KAFKA_PORT, outside=self._port)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    def describe(self) -> str:
        return f"Apache Kafka (testcontainers, {self._image}, {self.bootstrap})"

    def start(self) -> KafkaContainer:
        _start(self._container, self.describe())
        self._wait()
        return self

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        self._container.get_wrapped_container().restart()
        self._wait()

    def stop(self) -> None:
        self._container.stop()

    def _wait(self) -> None:
        def started() -> bool:
            logs: bytes = self._container.get_wrapped_container().logs()
            return logs.count(_STARTED) > self._starts_seen

        _await(self._container, started, self.describe())
        self._starts_seen += 1


class PostgresContainer(DatabaseServer):
    """One PostgreSQL server in a container; `start` it, and `stop` it in the end."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._port = free_port()
        self._password = secrets.token_urlsafe(24)
        environment = {
            "POSTGRES_USER": "timebank",
            "POSTGRES_DB": "postgres",
            "POSTGRES_PASSWORD": self._password,
            "POSTGRES_INITDB_ARGS": "--data-checksums --encoding=UTF8 --locale=C",
        }
        self._container = _container(image, environment, inside=5432, outside=self._port)

    @property
    def dsn(self) -> str:
        return f"postgresql://timebank:{self._password}@127.0.0.1:{self._port}/postgres"

    def describe(self) -> str:
        return f"PostgreSQL (testcontainers, {self._image}, 127.0.0.1:{self._port})"

    def start(self) -> PostgresContainer:
        _start(self._container, self.describe())
        _await(self._container, self.answers, self.describe())
        return self

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()

    def restart(self) -> None:
        self._container.get_wrapped_container().restart()
        _await(self._container, self.answers, self.describe())

    def stop(self) -> None:
        self._container.stop()


def _first_present(named: str | None, usual: tuple[str, ...]) -> str | None:
    host = os.environ.get("DOCKER_HOST", f"unix://{_SOCKET}")
    # A daemon elsewhere would publish its ports elsewhere.
    if not host.startswith("unix://") or not Path(host.removeprefix("unix://")).exists():
        return None
    # Imported late: development dependencies, slow to import.
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415  (it ships no types)
    from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]  # noqa: PLC0415  (as above)
    from requests import RequestException  # noqa: PLC0415  (as above)

    client = None
    try:
        client = docker.from_env(timeout=_PING_SECONDS)
        for image in [named] if named else usual:
            try:
                client.images.get(image)
            except ImageNotFound:
                continue
            return image
    except (DockerException, RequestException):
        return None
    finally:
        if client is not None:
            client.close()
    return None


def _container(image: str, environment: dict[str, str], *, inside: int, outside: int) -> DockerContainer:
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  (as above)
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  (as above)

    # Its reaper removes our containers when we are killed; without its image it would have to be pulled.
    testcontainers_config.ryuk_disabled = _first_present(testcontainers_config.ryuk_image, ()) is None
    container = DockerContainer(image, env=environment)
    # On loopback only; docker takes the pair, the annotation of testcontainers knows bare ports alone.
    ports: dict[str, Any] = container.ports
    ports[f"{inside}/tcp"] = ("127.0.0.1", outside)
    return container


def _start(container: DockerContainer, what: str) -> None:
    from docker.errors import DockerException  # noqa: PLC0415  (as above)

    try:
        container.start()
    except DockerException as error:
        container.stop()
        raise ServerTrouble(f"{what} could not be started: {error}") from error


def _await(container: DockerContainer, ready: Callable[[], bool], what: str) -> None:
    wrapped = container.get_wrapped_container()

    def over() -> bool:
        wrapped.reload()
        return wrapped.status in ("exited", "dead")

    if wait_until(lambda: ready() or over(), seconds=READY_SECONDS) and not over():
        return
    why = "ended" if over() else f"was not ready after {READY_SECONDS} s"
    logs: bytes = wrapped.logs(tail=30)
    container.stop()
    raise ServerTrouble(f"{what} {why}; its log ends:\n{logs.decode('utf-8', 'replace')}")
