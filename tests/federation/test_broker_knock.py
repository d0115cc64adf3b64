"""Why there is no way in: each cause has its sentence, and none takes longer than a few seconds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.servers.certificates import Authority
from timebank_federation.broker_knock import NoWayIn, knock
from timebank_federation.broker_security import PLAIN, KafkaSecurity


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Somebody who answers whatever is said with the same bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join(timeout=10)


def refused(bootstrap: str, security: KafkaSecurity = PLAIN) -> str:
    with pytest.raises(NoWayIn) as reason:
        knock(bootstrap, security)
    return str(reason.value)


@pytest.mark.parametrize("bootstrap", ["", "nowhere", "127.0.0.1:port"])
def test_an_address_that_is_none_is_refused(bootstrap: str) -> None:
    assert refused(bootstrap)


def test_where_nobody_listens_it_is_said() -> None:
    assert "refused" in refused("127.0.0.1:1")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x01x", b"\xff\xff\xff\xff"])
def test_another_protocol_is_no_broker(answer: bytes) -> None:
    with answering(answer) as bootstrap:
        assert refused(bootstrap).startswith("it does not answer as a broker at this port")


@pytest.mark.parametrize("answer", [b"", b"\x00\x00", b"\x00\x00\x00\x10half"])
def test_who_hangs_up_is_told_to_look_at_the_protocol(answer: bytes) -> None:
    with answering(answer) as bootstrap:
        assert refused(bootstrap).startswith("it ends the connection at once")


def test_tls_at_a_port_without_is_told_to_look_at_the_protocol(tmp_path: Path) -> None:
    security = KafkaSecurity(protocol="SSL", ca_file=Authority(tmp_path).certificate)
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as bootstrap:
        assert refused(bootstrap, security).startswith("it does not speak TLS at this port")


def test_one_broker_that_lets_us_in_is_enough() -> None:
    with answering(b"\x00\x00\x00\x0a" + bytes(10)) as bootstrap:
        knock(f"127.0.0.1:1,{bootstrap}", PLAIN)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (b"\x00\x21", "it does not know SCRAM-SHA-512 at this port"),
        (b"\x00\x00" + bytes(8), "it does not let barry in by SCRAM-SHA-512"),
    ],
)
def test_a_login_that_is_refused_has_its_sentence(answers: bytes, sentence: str) -> None:
    """Beyond TLS, which the tests of a real broker have: here the line is plain."""
    security = KafkaSecurity(user="barry", password="secret")
    with logging_in(answers) as bootstrap:
        assert refused(bootstrap, security).startswith(sentence)


@contextmanager
def logging_in(handshake: bytes) -> Iterator[str]:
    """A broker that answers SaslHandshake as given, and any authentication with "authentication failed"."""
    answers = [bytes(6), handshake, b"\x00\x3a" + b"\xff\xff" + bytes(4)]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                for answer in answers:
                    if not line.recv(65_536):
                        return
                    line.sendall((len(answer) + 4).to_bytes(4, "big") + bytes(4) + answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join(timeout=10)
