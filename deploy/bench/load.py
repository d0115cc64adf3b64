"""The load over HTTP: a process of its own, so that the client's work does not slow what is measured.

A small client of HTTP/1.1 on asyncio streams; it checks every answer. Its clock is the machine's monotonic one, which
all processes share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, NamedTuple, ParamSpec, TypeVar

import msgspec

BATCH_TRANSFERS = 1_000
ATTEMPTS_MAX = 200
"""A batch of which something was not taken (the queue was full) comes again, with the same keys."""
PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 60.0
P = ParamSpec("P")
R = TypeVar("R")


class Posted(NamedTuple):
    """What a load did: its first and last moment (monotonic seconds), and what each request took, in seconds."""

    began: float
    ended: float
    seconds: list[float]


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
    return asyncio.run(_post_all(port, requests, connections, _is_created))


def post_batches(port: int, token: str, bodies: Sequence[dict[str, Any]], *, connections: int, run: str) -> Posted:
    """Post transfers a thousand a request."""
    keyed = [{**body, "key": f"{run}-{number}"} for number, body in enumerate(bodies)]
    requests = [
        _request("/v1/transfers/batch", token, msgspec.json.encode(keyed[start : start + BATCH_TRANSFERS]), key=None)
        for start in range(0, len(keyed), BATCH_TRANSFERS)
    ]
    return asyncio.run(_post_all(port, requests, connections, _are_created))


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
    port: int, requests: Sequence[bytes], connections: int, is_done: Callable[[int, bytes], bool]
) -> Posted:
    left = iter(requests)
    seconds: list[float] = []

    async def post_some() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for request in left:
                began = time.monotonic()
                async with asyncio.timeout(ANSWER_SECONDS):
                    await _post_until_done(reader, writer, request, is_done)
                seconds.append(time.monotonic() - began)
        finally:
            writer.close()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(connections, len(requests))):
            group.create_task(post_some())
    return Posted(began, time.monotonic(), seconds)


async def _post_until_done(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    is_done: Callable[[int, bytes], bool],
) -> None:
    for _ in range(ATTEMPTS_MAX):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if is_done(int(head[9:12]), body):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    raise BadAnswer(f"Not taken after {ATTEMPTS_MAX} attempts.")
