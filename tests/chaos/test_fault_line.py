"""The line does to a connection what its weather says, and to no other."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.fault_line import CUT, SILENT, FaultLine, Weather

PATIENCE_SECONDS = 10.0
QUESTION = b"GET /v1/streams/barry/g1/aberdare?after=0 HTTP/1.1\r\n\r\n"


@pytest.fixture
def line() -> Iterator[FaultLine]:
    """A line to a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_echo, args=(listening,), daemon=True).start()
        line = FaultLine(listening.getsockname())
        yield line
        line.close()


def _echo(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_send_back, args=(connection,), daemon=True).start()


def _send_back(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        while data := _received(connection):
            connection.sendall(data)


def _received(connection: socket.socket) -> bytes:
    """What came; nothing when the connection was closed or reset."""
    try:
        return connection.recv(1000)
    except ConnectionError:
        return b""


def ask(line: FaultLine, question: bytes = b"hello") -> bytes:
    """A connection of its own: what comes back."""
    try:
        with socket.create_connection(("127.0.0.1", line.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(question)
            return _received(connection)
    except ConnectionError:
        return b""


def test_a_fair_line_passes_everything(line: FaultLine) -> None:
    assert ask(line) == b"hello"


def test_a_cut_line_ends_connections_until_it_is_healed(line: FaultLine) -> None:
    with socket.create_connection(("127.0.0.1", line.port), timeout=PATIENCE_SECONDS) as before:
        before.sendall(b"hello")
        assert _received(before) == b"hello"
        line.set(CUT)
        assert _received(before) == b""
    assert ask(line) == b""
    line.heal()
    assert ask(line) == b"hello"


def test_what_a_silent_line_holds_arrives_when_it_is_healed(line: FaultLine) -> None:
    line.set(SILENT)
    with socket.create_connection(("127.0.0.1", line.port), timeout=PATIENCE_SECONDS) as waiting:
        waiting.sendall(b"late")
        line.heal()
        assert _received(waiting) == b"late"


def test_an_answer_is_lost_torn_or_corrupted(line: FaultLine) -> None:
    line.set(Weather(lost_answers=1.0))
    assert ask(line) == b""
    line.set(Weather(torn_answers=1.0))
    assert ask(line) in (b"", b"he"), "the reset may overtake what was sent before it"
    line.set(Weather(flipped_answers=1.0))
    wrong = ask(line)
    assert len(wrong) == 5
    assert sum((one ^ other).bit_count() for one, other in zip(wrong, b"hello", strict=True)) == 1


def test_only_the_town_that_is_meant_is_cut_off(line: FaultLine) -> None:
    line.set(CUT, asker="aberdare")
    assert ask(line, QUESTION) == b""
    assert ask(line, QUESTION.replace(b"aberdare", b"caerphilly")) != b""
