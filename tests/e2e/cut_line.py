"""The line between a ledger and PostgreSQL, which a test may cut: it reads what passes.

    `lose_answer()`   the next append is done by the server, and its answer never arrives
    `lose_question()` the next append never reaches the server

Either way the line ends there, and new connections pass. The session that appends is the one that prepared the insert.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from tests.e2e.line import Connection, Cut, Line, Passage

STATEMENT = b"INSERT INTO stored_events"
DONE = b"INSERT 0 "


def server_of(dsn: str) -> tuple[str, int]:
    """Host and port of a database's address."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def through(dsn: str, line: Line) -> str:
    """The address of the same database, through a line."""
    parts = urlsplit(dsn)
    access = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{access}@{line.address}"))


class CutLine(Line):
    """Listens until `close`; `dsn` leads through it."""

    def __init__(self, dsn: str) -> None:
        self._losing: Literal["answer", "question"] | None = None
        self.cut = threading.Event()
        """A line was cut as ordered."""
        super().__init__(server_of(dsn))
        self.dsn = through(dsn, self)

    def lose_answer(self) -> None:
        """Let the next append be done, and cut the line before its answer passes."""
        self.cut.clear()
        self._losing = "answer"

    def lose_question(self) -> None:
        """Cut the line before the next append passes."""
        self.cut.clear()
        self._losing = "question"

    def opened(self, connection: Connection) -> Passage:
        """A session begins."""
        return _Session(self)

    def lose(self, what: str) -> None:
        """Cut here if this is what is to be lost."""
        if self._losing == what:
            self._losing = None
            self.cut.set()
            raise Cut


class _Session:
    """One connection to the database."""

    def __init__(self, line: CutLine) -> None:
        self._line = line
        self._appends = False

    def to_server(self, data: bytes) -> bytes:
        self._appends |= STATEMENT in data
        if self._appends:
            self._line.lose("question")
        return data

    def to_client(self, data: bytes) -> bytes:
        if self._appends and DONE in data:
            self._line.lose("answer")
        return data


@contextmanager
def cut_line(dsn: str) -> Iterator[CutLine]:
    """A line to a server that ends with the block."""
    line = CutLine(dsn)
    try:
        yield line
    finally:
        line.close()
