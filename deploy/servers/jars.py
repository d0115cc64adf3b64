"""Kafka's jars: named with their hashes in `jars.lock`, fetched once, kept in the user's cache.

Rule: nothing runs whose SHA-256 is not in the lock. The Maven repository is jgo's own default; where a
network has its own, `TIMEBANK_MAVEN_REPOSITORY` names it. `python -m deploy.servers.jars` fetches,
`python -m deploy.servers.jars --relock` resolves Kafka's dependencies anew and rewrites the lock.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ServerMissing, ServerTrouble

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
# Without it Kafka's log lines go nowhere. Resolved apart: two roots in one resolution mix versions.
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"
LOCK = Path(__file__).with_name("jars.lock")

_THREADS = 6
_TIMEOUT_SECONDS = 60
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def line(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version} {self.sha256}\n"


def kafka_version() -> str:
    """The version of Kafka that the lock names."""
    return KAFKA.rsplit(":", 1)[1]


def read_lock(path: Path = LOCK) -> list[Jar]:
    """Read a lock.

    Returns: its jars, in file order.
    Raises: ServerTrouble when a line is not `group:artifact:version sha256`.
    """
    jars = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        coordinate, _, digest = line.partition(" ")
        parts = coordinate.split(":")
        if len(parts) != 3 or len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            raise ServerTrouble(
                f"{path.name}, line {number}, is not `group:artifact:version sha256`: "
                "write the lock anew with `python -m deploy.servers.jars --relock`."
            )
        jars.append(Jar(parts[0], parts[1], parts[2], digest))
    return jars


def cache_directory() -> Path:
    """Where this user's copy of the jars is kept."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "timebank" / f"kafka-{kafka_version()}"


def fetch(jars: Sequence[Jar] | None = None, directory: Path | None = None, *, repository: str | None = None) -> Path:
    """Bring every jar into `directory` unless it is there with the right hash.

    Args:
        jars: what to fetch; by default all of `jars.lock`.
        directory: by default `cache_directory()`; it may be shared by several processes at once.
        repository: the Maven repository's URL; by default `TIMEBANK_MAVEN_REPOSITORY`, else jgo's own.
    Returns: the directory.
    Raises: ServerMissing when the network gives a jar to nobody here; ServerTrouble on a wrong hash.
    """
    wanted = read_lock() if jars is None else list(jars)
    directory = cache_directory() if directory is None else directory
    directory.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in wanted if _sha256(directory / jar.file_name) != jar.sha256]
    if not missing:
        return directory
    with tempfile.TemporaryDirectory(dir=directory, prefix="staging-") as staging:
        context = _context(Path(staging), repository)
        with ThreadPoolExecutor(_THREADS) as pool:
            for jar, path in zip(missing, pool.map(lambda jar: _download(context, jar), missing), strict=True):
                _check(jar, path)
                path.replace(directory / jar.file_name)
    return directory


def class_path() -> str:
    """Kafka's class path, fetched when it must be: exactly the jars of the lock, whatever else the cache holds.

    Raises: as `fetch`.
    """
    directory = fetch()
    return os.pathsep.join(str(directory / jar.file_name) for jar in read_lock())


def relock(path: Path = LOCK) -> int:
    """Resolve Kafka's dependencies, fetch them, and write their hashes to `path`.

    Returns: the number of jars.
    """
    with tempfile.TemporaryDirectory(prefix="timebank-relock-") as staging:
        context = _context(Path(staging), None)
        roots, below = context.resolver.resolve([context.create_dependency(KAFKA)])
        coordinates = {(d.groupId, d.artifactId, d.version) for d in (*roots, *below) if d.type == "jar"}
        group, artifact, version = LOG_BINDING.split(":")
        coordinates.add((group, artifact, version))
        unhashed = [Jar(*coordinate, "") for coordinate in sorted(coordinates)]
        with ThreadPoolExecutor(_THREADS) as pool:
            paths = list(pool.map(lambda jar: _download(context, jar), unhashed))
        lines = [
            Jar(jar.group, jar.artifact, jar.version, _sha256(file) or "").line()
            for jar, file in zip(unhashed, paths, strict=True)
        ]
    path.write_text(f"# {KAFKA}, what it needs, and a log binding.\n" + "".join(lines), "utf-8")
    return len(lines)


def _context(repo_cache: Path, repository: str | None) -> MavenContext:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  (a development dependency: only who fetches needs it)
    except ImportError as error:
        raise ServerMissing("Kafka's jars are fetched by jgo: install it with `pip install -e '.[dev]'`.") from error
    repository = repository or os.environ.get("TIMEBANK_MAVEN_REPOSITORY")
    return MavenContext(
        repo_cache=repo_cache,
        timeout=_TIMEOUT_SECONDS,
        remote_repos={"named": repository} if repository else None,
    )


def _download(context: MavenContext, jar: Jar) -> Path:
    from requests import RequestException  # noqa: PLC0415  (comes with jgo)

    trouble: Exception | None = None
    for _ in range(_ATTEMPTS):
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            return Path(artifact.resolve())
        except (RequestException, RuntimeError) as error:
            trouble = error
            Path(artifact.cached_path or "").unlink(missing_ok=True)
    raise ServerMissing(
        f"Kafka's {jar.file_name} could not be fetched ({type(trouble).__name__}): connect to the network, name a "
        "Maven repository in TIMEBANK_MAVEN_REPOSITORY, or name a running broker in TIMEBANK_TEST_KAFKA."
    ) from trouble


def _check(jar: Jar, path: Path) -> None:
    if _sha256(path) != jar.sha256:
        raise ServerTrouble(
            f"{jar.file_name} does not have the hash in {LOCK.name}: it was not kept. Fetch again on a network that "
            "you trust, and rewrite the lock only if the project means to change the jar."
        )


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    if sys.argv[1:] == ["--relock"]:
        print(f"{relock()} jars in {LOCK.name}")
    else:
        print(fetch())
