"""The outlet: sends a webhook to its target, and to nowhere else.

    post ─▶ resolve, once ─▶ is every address public? ─▶ connect to that very address ─▶ TLS for the name ─▶ POST

The address is judged where the connection is made, so a name that changes between two looks gains nothing. No redirect
is followed, no proxy is asked, and nothing of an answer but its status and `Retry-After` is read: a broken body counts.
Source: cases N-1, N-3; standardwebhooks.com, "Server side request forgery".
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from typing import Any, Final, NamedTuple

import httpcore
import httpx

from timebank_ledger.webhook_target import Target, TargetRefused, address_of, is_public, parse_target

SECONDS_MAX: Final = 15.0
"""For one delivery, from looking up the name to the answer's head."""
ADDRESSES_MAX: Final = 4
Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as this machine's resolver says; raises OSError when there are none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@cache
def trusted() -> ssl.SSLContext:
    """The authorities of the public web, read once."""
    return httpx.create_ssl_context()


class Answer(NamedTuple):
    """What came back: a status, or why none did."""

    status: int | None
    failure: str | None = None
    """timeout, connection, protocol, name_unknown or target_refused."""
    retry_after: str | None = None


class Outlet:
    """Sends to targets, and to nowhere else.

    Args:
        monotonic: seconds that only grow.
        tls: gives whose certificates are believed, when they are needed first.
        allow_loopback: see `parse_target`.
        resolve: asked once for each connection.
        network: makes the connections.
        seconds_max: for one delivery.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        tls: Callable[[], ssl.SSLContext],
        allow_loopback: bool = False,
        resolve: Resolve = resolve,
        network: httpcore.NetworkBackend | None = None,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._monotonic = monotonic
        self._tls = tls
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._network = network or httpcore.SyncBackend()
        self._seconds_max = seconds_max

    def post(self, url: str, *, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """Send a body once, over a connection of its own; an answer of any kind, or none, is returned, not raised."""
        try:
            target = parse_target(url, allow_loopback=self._allow_loopback)
        except TargetRefused:
            return Answer(None, "target_refused")
        until = self._monotonic() + self._seconds_max
        host = f"[{target.host}]" if ":" in target.host else target.host
        default = target.port == (443 if target.scheme == "https" else 80)
        fixed = [
            ("Host", host if default else f"{host}:{target.port}"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        where = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        try:
            connection = httpcore.HTTPConnection(
                where.origin,
                ssl_context=self._tls() if target.scheme == "https" else None,
                network_backend=_Checked(self._network, self._resolve, target, lambda: until - self._monotonic()),
            )
            with (
                closing(connection),
                connection.stream("POST", where, headers=[*fixed, *headers], content=body) as answer,
            ):
                _positive(until - self._monotonic())
                said = next((value for name, value in answer.headers if name.lower() == b"retry-after"), None)
                return Answer(answer.status, retry_after=None if said is None else said.decode("latin-1"))
        except TargetRefused:
            return Answer(None, "target_refused")
        except _NameUnknown:
            return Answer(None, "name_unknown")
        except httpcore.TimeoutException:
            return Answer(None, "timeout")
        except httpcore.NetworkError:
            return Answer(None, "connection")
        except httpcore.ProtocolError:
            return Answer(None, "protocol")


class _NameUnknown(Exception):
    """The name has no address."""


class _Checked(httpcore.NetworkBackend):
    """Connects to the addresses that it has judged, within the time that is left."""

    def __init__(
        self, network: httpcore.NetworkBackend, resolve: Resolve, target: Target, left_seconds: Callable[[], float]
    ) -> None:
        self._network = network
        self._resolve = resolve
        self._target = target
        self._left_seconds = left_seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port)

    def _connect(self, address: str, port: int) -> httpcore.NetworkStream:
        stream = self._network.connect_tcp(address, port, timeout=_positive(self._left_seconds()))
        return _Bounded(stream, self._left_seconds)

    def _addresses(self, host: str, port: int) -> list[str]:
        """All of them are public, or nothing is sent: a private address beside a public one is no mistake."""
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise _NameUnknown(host) from error
        for one in found:
            address = address_of(one)
            good = address is not None and (address.is_loopback if self._target.is_local else is_public(address))
            if not good:
                raise TargetRefused("The name has an address that is not public.")
        if not found:
            raise _NameUnknown(host)
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]


class _Bounded(httpcore.NetworkStream):
    """A stream whose steps all end within the time that is left, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, left_seconds: Callable[[], float]) -> None:
        self._stream = stream
        self._left_seconds = left_seconds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_positive(self._left_seconds()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_positive(self._left_seconds()))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _positive(self._left_seconds())
        stream = self._stream.start_tls(ssl_context, server_hostname=server_hostname, timeout=left)
        return _Bounded(stream, self._left_seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise httpcore.ReadTimeout("The time for one delivery is over.")
    return seconds
