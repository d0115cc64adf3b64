"""The line between a ledger and PostgreSQL, which a test may cut: a proxy on loopback that reads what passes.

    `lose_answer()`   the next append is done by the server, and its answer never arrives
    `lose_question()` the next append never reaches the server

Either way the line ends there, and new connections pass. The session that appends is the one that prepared the insert.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

STATEMENT = b"INSERT INTO stored_events"
DONE = b"INSERT 0 "
CHUNK_BYTES = 65_536


class CutLine:
    """Listens until `close`; `dsn` leads through it."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = parts.hostname, parts.port
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        access = parts.netloc.rpartition("@")[0]
        self.dsn = urlunsplit(parts._replace(netloc=f"{access}@127.0.0.1:{port}"))
        self._losing: Literal["answer", "question"] | None = None
        self.cut = threading.Event()
        """A line was cut as ordered."""
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="cut-line", daemon=True).start()

    def lose_answer(self) -> None:
        """Let the next append be done, and cut the line before its answer passes."""
        self.cut.clear()
        self._losing = "answer"

    def lose_question(self) -> None:
        """Cut the line before the next append passes."""
        self.cut.clear()
        self._losing = "question"

    def close(self) -> None:
        """End every line, and take no more."""
        for each in [self._listening, *self._open]:
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            line = _Line(client, server)
            for pump in (line.to_server, line.to_client):
                threading.Thread(target=pump, args=(self._loses,), name="cut-line", daemon=True).start()

    def _loses(self, what: str) -> bool:
        if self._losing != what:
            return False
        self._losing = None
        self.cut.set()
        return True


class _Line:
    """One connection; a thread for each direction."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client, self._server = client, server
        self._appends = False

    def to_server(self, loses: Callable[[str], bool]) -> None:
        def passes(data: bytes) -> bool:
            self._appends |= STATEMENT in data
            return not (self._appends and loses("question"))

        self._pump(self._client, self._server, passes)

    def to_client(self, loses: Callable[[str], bool]) -> None:
        self._pump(self._server, self._client, lambda data: not (self._appends and DONE in data and loses("answer")))

    def _pump(self, source: socket.socket, target: socket.socket, passes: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if not passes(data):
                    break
                target.sendall(data)
        _end(self._client)
        _end(self._server)


def _end(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


@contextmanager
def cut_line(dsn: str) -> Iterator[CutLine]:
    """A line to a server that ends with the block."""
    line = CutLine(dsn)
    try:
        yield line
    finally:
        line.close()
