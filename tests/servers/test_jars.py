"""Nothing runs whose hash is not in the lock."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.servers.child import free_port
from deploy.servers.errors import ServerMissing, ServerTrouble
from deploy.servers.jars import KAFKA, LOG_BINDING, Jar, fetch, read_lock

CONTENT = b"not really a jar"
JAR = Jar("org.example.timebank", "sample", "1.2", hashlib.sha256(CONTENT).hexdigest())


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing on the test's output."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A Maven repository on loopback that holds one jar."""
    place = tmp_path / "repository" / "org/example/timebank/sample/1.2"
    place.mkdir(parents=True)
    (place / "sample-1.2.jar").write_bytes(CONTENT)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "repository"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_jar_with_the_hash_of_the_lock_is_kept(repository: str, tmp_path: Path) -> None:
    directory = fetch([JAR], tmp_path / "cache", repository=repository)
    assert [path.name for path in directory.iterdir()] == ["sample-1.2.jar"]
    assert (directory / "sample-1.2.jar").read_bytes() == CONTENT


def test_a_jar_with_another_hash_is_refused_and_not_kept(repository: str, tmp_path: Path) -> None:
    changed = Jar(JAR.group, JAR.artifact, JAR.version, "0" * 64)
    with pytest.raises(ServerTrouble, match=r"sample-1\.2\.jar does not have the hash in jars\.lock"):
        fetch([changed], tmp_path / "cache", repository=repository)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_jar_in_the_cache_is_fetched_anew(repository: str, tmp_path: Path) -> None:
    directory = fetch([JAR], tmp_path / "cache", repository=repository)
    (directory / "sample-1.2.jar").write_bytes(b"damaged")
    fetch([JAR], directory, repository=repository)
    assert (directory / "sample-1.2.jar").read_bytes() == CONTENT


def test_a_whole_cache_needs_no_network(repository: str, tmp_path: Path) -> None:
    directory = fetch([JAR], tmp_path / "cache", repository=repository)
    assert fetch([JAR], directory, repository=f"http://127.0.0.1:{free_port()}") == directory


def test_no_network_and_no_cache_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerMissing, match="connect to the network, name a Maven repository in"):
        fetch([JAR], tmp_path / "cache", repository=f"http://127.0.0.1:{free_port()}")


def test_the_lock_names_kafka_and_its_log_binding_once_each() -> None:
    named = [f"{jar.group}:{jar.artifact}:{jar.version}" for jar in read_lock()]
    assert KAFKA in named
    assert LOG_BINDING in named
    assert len({name.rsplit(":", 1)[0] for name in named}) == len(named)


def test_a_lock_with_a_broken_line_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text("org.example:sample:1.2 abc\n", "utf-8")
    with pytest.raises(ServerTrouble, match="line 1, is not"):
        read_lock(lock)
