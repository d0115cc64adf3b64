"""The yardstick of the HTTP bench: a bare FastAPI route that waits 2 ms, as long as a commit, and answers.

It reads no body, judges no caller and stores nothing; the server, its settings and the load are those of a town.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from fastapi import FastAPI

from deploy.bench.setting import BenchTrouble
from deploy.servers.child import free_port
from timebank_kit.garbage import spare_what_stands
from timebank_kit.web import RunningServer

COMMIT_SECONDS = 0.002
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@contextmanager
def running_yardstick() -> Iterator[int]:
    """The port of the route, in a process of its own: `POST /v1/transfers` answers 201."""
    context, port = get_context("spawn"), free_port()
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, port), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise BenchTrouble(f"The yardstick did not start within {START_SECONDS:.0f} s.")
        ours.recv()
        yield port
    finally:
        ours.close()
        process.join(STOP_SECONDS)
        process.kill()


def serve(pipe: Connection, port: int) -> None:
    """Serve the route until the other end of the pipe is closed."""
    app = FastAPI(openapi_url=None, telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/v1/transfers", status_code=201)
    async def wait() -> dict[str, str]:
        await asyncio.sleep(COMMIT_SECONDS)
        return {"state": "posted"}

    server = RunningServer(app, port=port)
    spare_what_stands()
    pipe.send("ready")
    with suppress(EOFError, KeyboardInterrupt):
        pipe.recv()
    server.stop()
