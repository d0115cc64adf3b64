"""Heads of requests end in time and in size, or their connection does."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from timebank_kit.heads import HeadLimit
from timebank_kit.web import RunningServer

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class ShortHeads(HeadLimit):
    head_seconds = 0.5


class LongHeads(HeadLimit):
    head_bytes_max = 1_000


def app() -> FastAPI:
    made = FastAPI()

    @made.api_route("/", methods=["GET", "POST"])
    async def answer() -> str:
        return "answered"

    return made


@pytest.fixture(params=[ShortHeads, LongHeads])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    running = RunningServer(app(), heads=request.param)
    yield running
    running.stop()


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def read_answer(line: socket.socket) -> bytes:
    """One answer of the application."""
    answer = b""
    while not answer.endswith(b'"answered"') and (part := line.recv(65_536)):
        answer += part
    return answer


@pytest.mark.parametrize("server", [ShortHeads], indirect=True)
@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET / HTTP/1.1\r\nx: "])
def test_a_connection_that_sends_no_whole_head_is_closed_when_its_time_is_over(
    server: RunningServer, begun: bytes
) -> None:
    with connect(server) as first:
        first.sendall(begun)
        assert first.recv(1_000) == b""
    with connect(server) as again:
        again.sendall(GET)
        assert read_answer(again).startswith(b"HTTP/1.1 200 ")
        again.sendall(begun or b"G")
        assert again.recv(1_000) == b"", "a connection that is used again has no more time"


@pytest.mark.parametrize("server", [LongHeads], indirect=True)
def test_a_head_without_an_end_is_refused_at_its_bound(server: RunningServer) -> None:
    with connect(server) as line:
        line.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 1_000)
        assert line.recv(1_000).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("server", [LongHeads], indirect=True)
def test_a_body_is_no_part_of_the_head_and_a_second_head_is_counted_anew(server: RunningServer) -> None:
    with connect(server) as line:
        for _ in range(3):
            line.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\nx: " + b"a" * 900 + b"\r\n\r\n")
            line.sendall(b"b" * 5_000)
            assert read_answer(line).startswith(b"HTTP/1.1 200 ")
