"""A line between a client and a server on loopback, which a subclass may disturb: a proxy.

Each connection has two threads. `Line.opened` gives each connection the `Passage` that its bytes pass.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Protocol

CHUNK_BYTES = 65_536
CONNECT_SECONDS = 10.0
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed is reset."""


class Cut(Exception):
    """The connection ends here, at both ends."""


class Passage(Protocol):
    """What the bytes of one connection pass, each direction in a thread of its own; `Cut` ends the connection."""

    def to_server(self, data: bytes) -> bytes:
        """What the server gets of what the client sent."""

    def to_client(self, data: bytes) -> bytes:
        """What the client gets of what the server sent."""


class Connection:
    """One connection through the line."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.ended = threading.Event()

    def carry(self, source: socket.socket, target: socket.socket, passes: Callable[[bytes], bytes]) -> None:
        """Carry bytes until an end closes, or `Cut`."""
        with contextlib.suppress(OSError, Cut):
            while data := source.recv(CHUNK_BYTES):
                target.sendall(passes(data))
        self.end()

    def end(self) -> None:
        """Reset both ends."""
        self.ended.set()
        for each in (self.client, self.server):
            end(each)


class Line:
    """Listens until `close`; a connection is carried to the server, chunk by chunk.

    Args:
        server: host and port.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._connections: list[Connection] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="line", daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port` that leads through it."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> list[Connection]:
        """Those that have not ended."""
        with self._lock:
            self._connections = [each for each in self._connections if not each.ended.is_set()]
            return list(self._connections)

    def opened(self, connection: Connection) -> Passage:
        """A connection was opened; returns what its bytes pass. `Cut`: it is not carried at all."""
        raise Cut

    def close(self) -> None:
        """End every connection, and take no more."""
        end(self._listening)
        for each in self.connections:
            each.end()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            # The server may be slow to answer: others must not wait for it.
            threading.Thread(target=self._open, args=(client,), name="line", daemon=True).start()

    def _open(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=CONNECT_SECONDS)
            server.settimeout(None)
        except OSError:
            end(client)
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, server)
        with self._lock:
            self._connections.append(connection)
        try:
            passage = self.opened(connection)
        except Cut:
            connection.end()
            return
        threading.Thread(
            target=connection.carry, args=(client, server, passage.to_server), name="line", daemon=True
        ).start()
        connection.carry(server, client, passage.to_client)


def end(line: socket.socket) -> None:
    """Close a socket whatever its state; the other end is told at once."""
    with contextlib.suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
