"""The outlet: it connects to the address that it judged, follows nothing, and ends in time."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from timebank_ledger.webhook_outlet import ADDRESSES_MAX, Answer, Outlet

PUBLIC = "93.184.216.34"
URL = "https://hooks.example.org/in"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Lines(httpcore.NetworkBackend):
    """A network whose other end says what it is told; it notes who was called, and may refuse some."""

    def __init__(self, *said: bytes, closed: Iterable[str] = (), on_read: Callable[[], None] = lambda: None) -> None:
        self._said = said
        self._closed = frozenset(closed)
        self._on_read = on_read
        self.called: list[tuple[str, int]] = []
        self.written = bytearray()
        self.names: list[str | None] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        assert timeout is not None
        self.called.append((host, port))
        if host in self._closed:
            raise httpcore.ConnectError("closed")
        return _Line(self, list(self._said))

    def reading(self) -> None:
        self._on_read()


class _Line(httpcore.NetworkStream):
    def __init__(self, network: Lines, said: list[bytes]) -> None:
        self._network = network
        self._said = said

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        assert timeout is not None
        self._network.reading()
        return self._said.pop(0) if self._said else b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._network.written += buffer

    def close(self) -> None:
        self._said.clear()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._network.names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> object:
        return None


def _outlet(network: httpcore.NetworkBackend, *addresses: str, monotonic: Callable[[], float] = lambda: 0.0) -> Outlet:
    return Outlet(
        monotonic=monotonic,
        tls=ssl.create_default_context,
        resolve=lambda host, port: list(addresses),
        network=network,
    )


def _post(outlet: Outlet, url: str = URL) -> Answer:
    return outlet.post(url, headers=[("Content-Type", "application/json")], body=b"{}")


def test_the_connection_goes_to_the_judged_address_under_the_target_s_name() -> None:
    network = Lines(OK)
    assert _post(_outlet(network, PUBLIC)) == Answer(200)
    assert network.called == [(PUBLIC, 443)]
    assert network.names == ["hooks.example.org"]
    head, _, body = bytes(network.written).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /in HTTP/1.1",
        b"Host: hooks.example.org",
        b"Content-Length: 2",
        b"Connection: close",
        b"Content-Type: application/json",
    ]
    assert body == b"{}"


def test_a_name_that_leads_inside_the_second_time_is_refused_then() -> None:
    """N-3: the name answers with a public address, then with a private one."""
    answers = iter([[PUBLIC], ["10.0.0.5"]])
    network = Lines(OK)
    outlet = Outlet(
        monotonic=lambda: 0.0,
        tls=ssl.create_default_context,
        resolve=lambda host, port: next(answers),
        network=network,
    )
    assert _post(outlet) == Answer(200)
    assert _post(outlet) == Answer(None, "target_refused")
    assert network.called == [(PUBLIC, 443)], "the name was asked for once, and that address was used"


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.5", "fe80::1%lo"]
)
def test_a_name_that_leads_inside_is_refused_where_the_connection_is_made(address: str) -> None:
    """N-3: also when a public address stands before it."""
    network = Lines(OK)
    assert _post(_outlet(network, address)) == Answer(None, "target_refused")
    assert _post(_outlet(network, PUBLIC, address)) == Answer(None, "target_refused")
    assert network.called == []


def test_a_url_that_was_taken_under_other_rules_is_judged_again() -> None:
    network = Lines(OK)
    assert _post(_outlet(network, PUBLIC), "http://127.0.0.1/") == Answer(None, "target_refused")
    assert network.called == []


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.5/\r\n\r\n", Answer(302)),
        (b"HTTP/1.1 410 Gone\r\n\r\n", Answer(410)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 120\r\n\r\n", Answer(503, retry_after="120")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{broken", Answer(200)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Answer(200)),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", Answer(204)),
        (b"SSH-2.0-none\r\n", Answer(None, "protocol")),
        (b"", Answer(None, "protocol")),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, Answer(None, "protocol")),
    ],
)
def test_an_answer_is_its_status_and_nothing_more(said: bytes, answer: Answer) -> None:
    """N-1: a redirect is not followed, and a broken body does not matter."""
    network = Lines(said)
    assert _post(_outlet(network, PUBLIC)) == answer
    assert len(network.called) == 1


def test_an_answer_that_drips_ends_in_time() -> None:
    now = [0.0]

    def drip() -> None:
        now[0] += 2

    network = Lines(*(bytes([byte]) for byte in OK), on_read=drip)
    assert _post(_outlet(network, PUBLIC, monotonic=lambda: now[0])) == Answer(None, "timeout")
    assert now[0] == 16


def test_further_addresses_are_tried_a_bounded_number_of_them() -> None:
    addresses = [f"93.184.216.{n}" for n in range(30, 40)]
    network = Lines(OK, closed=addresses[:1])
    assert _post(_outlet(network, *addresses)) == Answer(200)
    assert [host for host, _ in network.called] == addresses[:2]
    network = Lines(OK, closed=addresses)
    assert _post(_outlet(network, *addresses)) == Answer(None, "connection")
    assert len(network.called) == ADDRESSES_MAX


def test_a_name_without_an_address_is_a_failure_of_its_own() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    network = Lines(OK)
    outlet = Outlet(monotonic=lambda: 0.0, tls=ssl.create_default_context, resolve=nowhere, network=network)
    assert _post(outlet) == Answer(None, "name_unknown")
    assert _post(_outlet(network)) == Answer(None, "name_unknown")


class _Elsewhere(httpcore.SyncBackend):
    """The real network, but every address is a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return super().connect_tcp("127.0.0.1", self._port, timeout, local_address, socket_options)


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(PUBLIC))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


def _request(stream: ssl.SSLSocket) -> bytes:
    received = b""
    while not received.endswith(b"{}") and (part := stream.recv(65_536)):
        received += part
    return received


@contextmanager
def _tls_server(path: Path) -> Iterator[tuple[int, list[str]]]:
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda _, name, __: names.append(str(name))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            raw, _ = listening.accept()
            raw.settimeout(20)
            with raw:
                try:
                    with context.wrap_socket(raw, server_side=True) as stream:
                        if _request(stream).endswith(b"{}"):
                            stream.sendall(OK)
                except OSError:
                    pass  # The other side did not believe the certificate.

        listening.settimeout(20)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], names
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("certified", "believed", "answer"),
    [
        ("hooks.example.org", True, Answer(200)),
        ("hooks.example.org", False, Answer(None, "connection")),
        ("other.example.org", True, Answer(None, "connection")),
    ],
)
def test_the_certificate_must_be_the_name_s(tmp_path: Path, certified: str, believed: bool, answer: Answer) -> None:
    path = _certificate(tmp_path, certified)
    tls = ssl.create_default_context(cafile=str(path) if believed else None)
    with _tls_server(path) as (port, names):
        outlet = Outlet(
            monotonic=lambda: 0.0, tls=lambda: tls, resolve=lambda host, _: [PUBLIC], network=_Elsewhere(port)
        )
        assert _post(outlet) == answer
    assert names == ["hooks.example.org"]
