"""Web basics: a server in a thread, a bound on bodies, and HTTP to an application in the same process.

`AsgiBridge` is a transport of httpx: the same client code speaks to a room in this process or in another.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STOP_SECONDS = 10.0
BODY_SECONDS = 30.0


class BodyLimit:
    """Refuses bodies above a size (413) or slower than half a minute (408) before the application reads them."""

    def __init__(self, app: App, *, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            await self._app(scope, receive, send)
            return
        body = b""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._bytes_max:
                        await _plain(send, 413, "too_large", f"A body has at most {self._bytes_max} bytes; send less.")
                        return
        except TimeoutError:
            await _plain(send, 408, "too_slow", f"The body did not arrive within {BODY_SECONDS:.0f} seconds.")
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def once() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, once, send)


async def _plain(send: Send, status: int, code: str, detail: str) -> None:
    text = f'{{"code":"{code}","detail":"{detail}","status":{status},"title":"{detail}","type":"about:blank"}}'
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


class RunningServer:
    """An application served on loopback or another address by a thread of this process.

    Args:
        app: the ASGI application.
        host: address to bind.
        port: 0 for a free one.
    """

    def __init__(self, app: App, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        settings = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=30)
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._serve, name=f"http-{self.port}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Answer what is under way, then close."""
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS)
        self._socket.close()

    def wait(self) -> None:
        """Return when the server has ended."""
        while self._thread.is_alive():
            self._thread.join(timeout=1.0)


class AsgiBridge(httpx.BaseTransport):
    """Runs requests of a synchronous httpx client in an application of this process."""

    def __init__(self, app: App, *, timeout_seconds: float = 60.0) -> None:
        self._app = app
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asgi-bridge", daemon=True)
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = asyncio.run_coroutine_threadsafe(self._call(request, request.read()), self._loop)
        try:
            return answer.result(timeout=self._timeout_seconds)
        except TimeoutError as error:
            answer.cancel()
            raise httpx.ReadTimeout("The room did not answer in time.", request=request) from error

    async def _call(self, request: httpx.Request, body: bytes) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "server": (request.url.host, request.url.port),
            "client": ("127.0.0.1", 0),
            "root_path": "",
        }
        sent = False
        done = asyncio.Event()
        started: dict[str, Any] = {}
        parts: list[bytes] = []

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await done.wait()
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    done.set()

        await self._app(scope, receive, send)
        return httpx.Response(started["status"], headers=started["headers"], content=b"".join(parts), request=request)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=STOP_SECONDS)
        with contextlib.suppress(RuntimeError):
            self._loop.close()
