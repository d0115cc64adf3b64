"""What is seen of a peer from outside, and in what words what is wrong is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from deploy.servers.certificates import VALID_DAYS, Authority, Pair
from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode
from timebank_kit.clock import ManualClock
from timebank_node.chance import Seeded
from timebank_node.home import make_home
from timebank_node.peer_visit import APART_SECONDS_MAX, CERTIFICATE_DAYS_MIN, PeerVisitor, Visit, certificate_end

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NOTE = sign_checkpoint(Checkpoint("timebank.example/barry/g1", 7, bytes(32)), SigningKey(bytes(range(32))))


class Peer(httpx.BaseTransport):
    """A peer's door that says what it is told to say."""

    def __init__(self, *, version: str = "3", date: datetime | None = NOW, checkpoint: bytes = NOTE) -> None:
        self._headers = {"X-Registry-Version": version}
        if date is not None:
            self._headers["Date"] = format_datetime(date)
        self._checkpoint = checkpoint

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = self._checkpoint if request.url.path == "/checkpoint" else b"signed"
        return httpx.Response(200, headers=self._headers, content=content, request=request)


@pytest.fixture
def barry(tmp_path: Path) -> RegisteredNode:
    identity = Identity("timebank.example", "barry", "g1")
    return make_home(tmp_path / "barry", identity, url="https://barry.example", random=Seeded(1, "barry")).described


def seen(node: RegisteredNode, peer: Peer, *, held: int = 3, days: int = 80) -> Visit:
    visitor = PeerVisitor(
        httpx.Client(transport=peer),
        clock=ManualClock(NOW),
        held=held,
        certificate=lambda host, port: NOW + timedelta(days=days),
    )
    return visitor.visit(node)


def test_a_peer_in_order_is_told_in_one_line(barry: RegisteredNode) -> None:
    found = seen(barry, Peer())
    fine = ["registry 3", "clock within 20 s", "certificate for 80 days", "checkpoint of 7 entries"]
    assert found == Visit(None, [], fine)


def test_a_newer_registry_at_the_peer_is_told(barry: RegisteredNode) -> None:
    (sentence,) = seen(barry, Peer(version="4")).wrong
    assert "version 4 of the registry, this home 3" in sentence


@pytest.mark.parametrize("version", ["", "1.0", "-1", "9" * 17], ids=["none", "fraction", "sign", "long"])
def test_something_else_than_a_node_at_the_address_is_told(barry: RegisteredNode, version: str) -> None:
    (sentence,) = seen(barry, Peer(version=version)).wrong
    assert "something else than a node answers at https://barry.example" in sentence


@pytest.mark.parametrize(("seconds", "way"), [(75, "behind"), (-75, "ahead of")])
def test_clocks_that_are_apart_are_told_with_the_way(barry: RegisteredNode, seconds: int, way: str) -> None:
    (sentence,) = seen(barry, Peer(date=NOW + timedelta(seconds=seconds))).wrong
    assert f"This machine's clock is 75 s {way} that of barry" in sentence


def test_a_clock_within_bounds_or_unsaid_is_no_fault(barry: RegisteredNode) -> None:
    assert not seen(barry, Peer(date=NOW + timedelta(seconds=APART_SECONDS_MAX))).wrong
    assert not seen(barry, Peer(date=None)).wrong


def test_a_certificate_that_ends_soon_is_told(barry: RegisteredNode) -> None:
    (sentence,) = seen(barry, Peer(), days=CERTIFICATE_DAYS_MIN - 1).wrong
    assert "its certificate ends in 13 days" in sentence


def test_a_checkpoint_that_is_none_is_told(barry: RegisteredNode) -> None:
    (sentence,) = seen(barry, Peer(checkpoint=b"nothing of the kind")).wrong
    assert "its checkpoint cannot be read" in sentence


@contextmanager
def serving(pair: Pair) -> Iterator[int]:
    """A port on loopback where one client after another is shown a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain:
                    try:
                        context.wrap_socket(plain, server_side=True).close()
                    except OSError:
                        continue

        thread = threading.Thread(target=shake_hands, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_certificate_s_end_is_read_from_the_server_and_only_where_it_is_believed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(authority.issue("barry")) as port:
        left = certificate_end("127.0.0.1", port, context=ours) - datetime.now(UTC)
        assert timedelta(days=VALID_DAYS - 1) < left <= timedelta(days=VALID_DAYS)
        with pytest.raises(ssl.SSLCertVerificationError):
            certificate_end("127.0.0.1", port)
    with serving(authority.issue("late", expired=True)) as port, pytest.raises(ssl.SSLCertVerificationError):
        certificate_end("127.0.0.1", port, context=ours)
