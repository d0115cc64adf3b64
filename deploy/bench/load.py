"""The load over HTTP: a process of its own, so that the client's work does not slow what is measured.

A small client of HTTP/1.1 on a protocol of asyncio (uvloop); it checks every answer. Its clock is the machine's
monotonic one, which all processes share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import msgspec
import uvloop

BATCH_TRANSFERS = 1_000
ATTEMPTS_MAX = 200
"""A batch of which something was not taken (the queue was full) comes again, with the same keys."""
PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 60.0
P = ParamSpec("P")
R = TypeVar("R")


class Posted(NamedTuple):
    """What a load did: its first and last moment (monotonic seconds), what each request took, and its own work."""

    began: float
    ended: float
    seconds: list[float]
    cpu_seconds: float


class BadAnswer(Exception):
    """The node answered something else than 201; the text is what it said."""


@contextmanager
def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Iterator[Future[R]]:
    """Run a function of a module in a fresh process while the caller's block goes on."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(function, *args, **kwargs)


def post_singles(port: int, token: str, bodies: Sequence[dict[str, Any]], *, connections: int, run: str) -> Posted:
    """Post transfers one a request, `connections` at a time; `run` makes their keys new."""
    requests = [
        _request("/v1/transfers", token, msgspec.json.encode(body), key=f"{run}-{number}")
        for number, body in enumerate(bodies)
    ]
    return _run(_post_all(port, requests, connections, _is_created))


def post_batches(
    port: int,
    token: str,
    bodies: Sequence[dict[str, Any]],
    *,
    connections: int,
    run: str,
    batch: int = BATCH_TRANSFERS,
    every_seconds: float = 0.0,
) -> Posted:
    """Post transfers, `batch` a request; each connection begins one every so many seconds, or as soon as it may."""
    keyed = [{**body, "key": f"{run}-{number}"} for number, body in enumerate(bodies)]
    requests = [
        _request("/v1/transfers/batch", token, msgspec.json.encode(keyed[start : start + batch]), key=None)
        for start in range(0, len(keyed), batch)
    ]
    return _run(_post_all(port, requests, connections, _are_created, every_seconds))


def _run(posting: Coroutine[None, None, Posted]) -> Posted:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(posting)


def _request(path: str, token: str, body: bytes, *, key: str | None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    if key is not None:
        head += f"Idempotency-Key: {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body


def _is_created(status: int, body: bytes) -> bool:
    if status not in (201, 503):
        raise BadAnswer(f"{status}: {body[:300].decode('utf-8', 'replace')}")
    return status == 201


def _are_created(status: int, body: bytes) -> bool:
    if status != 200:
        raise BadAnswer(f"{status}: {body[:300].decode('utf-8', 'replace')}")
    answers = msgspec.json.decode(body)["answers"]
    for answer in answers:
        if answer["status"] not in (201, 503):
            raise BadAnswer(str(answer))
    return all(answer["status"] == 201 for answer in answers)


async def _post_all(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    is_done: Callable[[int, bytes], bool],
    every_seconds: float = 0.0,
) -> Posted:
    loop = asyncio.get_running_loop()
    left, seconds = iter(requests), list[float]()
    began, used = time.monotonic(), time.process_time()
    ended = [loop.create_future() for _ in range(min(connections, len(requests)))]
    for end in ended:
        await loop.create_connection(
            partial(_Connection, left, seconds, is_done, end, every_seconds), "127.0.0.1", port
        )
    await asyncio.gather(*ended)
    return Posted(began, time.monotonic(), seconds, time.process_time() - used)


class _Connection(asyncio.Protocol):
    """Sends one request after the other, and judges each answer: without streams or tasks, a quarter of the cost."""

    def __init__(
        self,
        left: Iterator[bytes],
        seconds: list[float],
        is_done: Callable[[int, bytes], bool],
        ended: asyncio.Future[None],
        every_seconds: float,
    ) -> None:
        self._left = left
        self._seconds = seconds
        self._is_done = is_done
        self._ended = ended
        self._every_seconds = every_seconds
        self._due = 0.0
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._request = b""
        self._began = 0.0
        self._attempts = 0
        self._patience = self._loop.call_later(ANSWER_SECONDS, self._give_up)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _content_length(self._buffer[:end])
        body = self._buffer[end + 4 :]
        if len(body) < length:
            return
        status, self._buffer = int(self._buffer[9:12]), b""
        try:
            if self._is_done(status, body):
                self._seconds.append(time.monotonic() - self._began)
                self._next()
            elif self._attempts < ATTEMPTS_MAX:
                self._loop.call_later(PAUSE_SECONDS, self._send)
            else:
                raise BadAnswer(f"Not taken after {ATTEMPTS_MAX} attempts.")
        except BadAnswer as bad:
            self._fail(bad)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or BadAnswer("The node closed the connection."))

    def _next(self) -> None:
        request = next(self._left, None)
        if request is None:
            self._patience.cancel()
            self._ended.set_result(None)
            self._transport.close()
            return
        self._request, self._attempts = request, 0
        if self._every_seconds:
            # The moments stand fast: what was late is not made up for by a slower load.
            self._due = self._due + self._every_seconds if self._due else self._loop.time()
            self._loop.call_at(self._due, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._send()

    def _send(self) -> None:
        self._attempts += 1
        self._transport.write(self._request)

    def _give_up(self) -> None:
        """Called once in a while: a new watch is set as long as something was answered meanwhile."""
        if time.monotonic() - self._began < ANSWER_SECONDS:
            self._patience = self._loop.call_later(ANSWER_SECONDS, self._give_up)
        else:
            self._fail(BadAnswer(f"No answer within {ANSWER_SECONDS:.0f} s."))

    def _fail(self, error: Exception) -> None:
        self._patience.cancel()
        if not self._ended.done():
            self._ended.set_exception(error)


def _content_length(head: bytes) -> int:
    at = head.lower().index(b"\r\ncontent-length:") + 17
    end = head.find(b"\r\n", at)
    return int(head[at:] if end < 0 else head[at:end])
