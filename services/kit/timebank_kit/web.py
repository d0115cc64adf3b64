"""Web basics: a server in a thread, a bound on bodies, and HTTP to an application in the same process.

`AsgiBridge` is a transport of httpx: the same synchronous client code speaks to a room in this process or in another.
httpx ships such a transport for asynchronous clients only.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request

from timebank_contracts.problems import problem
from timebank_kit.deadline import Deadline
from timebank_kit.heads import HeadLimit
from timebank_kit.problem_answers import answer_problem, in_language

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

START_SECONDS = 10.0
STOP_SECONDS = 10
BODY_SECONDS = 30.0
CONNECTIONS_MAX = 1024
KEEP_ALIVE_SECONDS = 30
_GONE = 499
"""The client went away before its body was whole: nobody is answered, and it is no bug."""
_log = logging.getLogger(__name__)


class BodyLimit:
    """Refuses bodies above a size (413) or slower than a time (408).

    Nothing is read before the application asks for it, so a caller whom it turns away costs no memory; then the body is
    read whole.

    Args:
        app: gets the whole body in one message.
        bytes_max: of a body.
        seconds_max: from the application's asking to the body's last byte.
        streams: paths whose routes read the body piece by piece and bound it themselves.
    """

    def __init__(
        self,
        app: App,
        *,
        bytes_max: int,
        seconds_max: float = BODY_SECONDS,
        streams: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._streams:
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length")
        if said is not None and said.isdigit() and int(said) > self._bytes_max:
            await self._refuse(scope, receive, send, 413)
            return
        read = False
        refused: int | None = None

        async def read_whole() -> Message:
            nonlocal read, refused
            if read:
                return await receive()
            read = True
            try:
                return await self._read(receive)
            except HTTPException as refusal:
                refused = refusal.status_code
                raise

        async def pass_on(message: Message) -> None:
            # What the application makes of the refusal is not sent: every application refuses in the same words.
            if refused is None:
                await send(message)

        try:
            await self._app(scope, read_whole, pass_on)
        finally:
            if refused is not None:
                await self._refuse(scope, receive, send, refused)

    async def _read(self, receive: Receive) -> Message:
        parts: list[bytes] = []
        left, more = self._bytes_max, True
        try:
            with Deadline(self._seconds_max):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HTTPException(_GONE)
                    parts.append(message.get("body", b""))
                    more = message.get("more_body", False)
                    left -= len(parts[-1])
                    if left < 0:
                        raise HTTPException(413)
        except TimeoutError:
            raise HTTPException(408) from None
        return {"type": "http.request", "body": b"".join(parts), "more_body": False}

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int) -> None:
        if status == 413:
            said = problem("too_large", f"A body has at most {self._bytes_max} bytes; send less at a time.")
        elif status == 408:
            seconds = f"{self._seconds_max:g}"
            said = problem("too_slow", f"The body did not arrive within {seconds} seconds; send it over a faster line.")
        else:
            return
        body, language = in_language(Request(scope), said)
        # The rest of the body is not read, so the connection cannot be used again.
        response = answer_problem(
            body, {"Connection": "close", "Content-Language": language, "Vary": "Accept-Language"}
        )
        await response(scope, receive, send)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class RunningServer:
    """An application served by a thread of this process; it answers when the constructor returns.

    Args:
        app: the ASGI application; lifespan events are not sent, what is wired is wired before.
        host: address to bind.
        port: 0 for a free one.
        heads: the protocol of one connection.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, app: App, *, host: str = "127.0.0.1", port: int = 0, heads: type[HeadLimit] = HeadLimit) -> None:
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self._server = _Server(
            uvicorn.Config(
                app,
                http=heads,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._serve, name=f"http-{self.port}", daemon=True)
        self._thread.start()
        if not self._server.listening.wait(START_SECONDS):
            self.stop()
            raise OSError(f"The server on {self.url} did not start within {START_SECONDS:.0f} seconds; see the log.")

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Answer what is under way, for a bounded time, then close; a server may be stopped twice."""
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS + 5)
        self._socket.close()

    def wait(self) -> None:
        """Return when the server has ended."""
        while self._thread.is_alive():
            self._thread.join(timeout=1.0)


def serve_app(app: App, *, host: str = "127.0.0.1", port: int = 0) -> RunningServer:
    """Serve an application in a thread of this process. Args and Raises: see `RunningServer`."""
    return RunningServer(app, host=host, port=port)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        text = f"The address {host}, port {port} cannot be bound ({error.strerror}); choose another one."
        raise OSError(error.errno, text) from error
    return bound


class AsgiBridge(httpx.BaseTransport):
    """Runs requests of a synchronous httpx client in an application of this process, on a loop of its own.

    What the application raises is logged and answered with 500, as a server would. Answers are not streamed.

    Args:
        app: the ASGI application.
        timeout_seconds: for an answer, where the request itself sets no shorter time to read.
    """

    def __init__(self, app: App, *, timeout_seconds: float = 60.0) -> None:
        self._app = app
        self._timeout_seconds = timeout_seconds
        self._closed = False
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="asgi-bridge", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _live(self) -> None:
        # One task lives as long as the loop: worker threads of the application belong to it and are used again.
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise httpx.ConnectError("The room was closed.", request=request)
        body = request.read()
        answer = asyncio.run_coroutine_threadsafe(self._call(request, body), self._loop)
        patience = request.extensions.get("timeout", {}).get("read") or self._timeout_seconds
        try:
            return answer.result(timeout=min(patience, self._timeout_seconds))
        except TimeoutError as error:
            answer.cancel()
            raise httpx.ReadTimeout("The room did not answer in time; try again.", request=request) from error
        except concurrent.futures.CancelledError as error:
            raise httpx.ReadError("The room was closed before it answered.", request=request) from error

    async def _call(self, request: httpx.Request, body: bytes) -> httpx.Response:
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
            elif message["type"] == "http.response.body" and not done.is_set():
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    done.set()

        try:
            await self._app(_scope(request), receive, send)
        except Exception as bug:
            _log.exception("application raised", exc_info=bug, extra={"method": request.method})
        if not done.is_set():
            return httpx.Response(500, text="Internal Server Error", request=request)
        headers = started.get("headers", [])
        content = b"" if request.method == "HEAD" else b"".join(parts)
        return httpx.Response(started["status"], headers=headers, content=content, request=request)

    def close(self) -> None:
        """End the loop and what still runs on it; a bridge may be closed twice."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=STOP_SECONDS)


def _scope(request: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
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
        "state": {},
    }
