"""A server in a thread, a bound on bodies, and HTTP to an application of the same process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from timebank_kit.web import App, AsgiBridge, BodyLimit, Receive, Scope, Send, serve_app

LIMIT_BYTES = 1000


def echo_app(never: threading.Event) -> App:
    app = FastAPI()

    @app.api_route("/echo", methods=["GET", "POST", "DELETE", "HEAD"])
    async def echo(request: Request) -> Response:
        headers = {"x-query": request.url.query, "x-asked": request.headers.get("x-asked", "")}
        return Response(await request.body(), status_code=201, headers=headers)

    @app.get("/thread")
    def thread() -> str:
        return threading.current_thread().name

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("a bug")

    @app.get("/slow")
    def slow() -> None:
        never.wait(30)

    return app


@pytest.fixture
def never() -> threading.Event:
    """What the slow route waits for; the test that asks for it sets it at its end."""
    return threading.Event()


@pytest.fixture
def app(never: threading.Event) -> App:
    return BodyLimit(echo_app(never), bytes_max=LIMIT_BYTES)


@pytest.fixture(params=["server", "bridge"])
def client(request: pytest.FixtureRequest, app: App) -> Iterator[httpx.Client]:
    """The same client over the wire and in the process."""
    if request.param == "server":
        server = serve_app(app)
        with httpx.Client(base_url=server.url) as client:
            yield client
        server.stop()
    else:
        with httpx.Client(base_url="http://room", transport=AsgiBridge(app)) as client:
            yield client


def test_a_request_and_its_answer_arrive_whole(client: httpx.Client) -> None:
    answer = client.post("/echo?a=1&b=%C3%A5", content=b"\x00\xffbody", headers={"X-Asked": "yes"})
    assert (answer.status_code, answer.content) == (201, b"\x00\xffbody")
    assert answer.headers["x-query"] == "a=1&b=%C3%A5"
    assert answer.headers["x-asked"] == "yes"
    assert client.head("/echo").content == b""
    assert client.get("/none").status_code == 404


def test_a_body_at_the_limit_passes_and_one_byte_more_is_refused(client: httpx.Client) -> None:
    assert client.post("/echo", content=b"x" * LIMIT_BYTES).status_code == 201
    for method in ("POST", "DELETE", "GET"):
        answer = client.request(method, "/echo", content=b"x" * (LIMIT_BYTES + 1))
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"
        assert str(LIMIT_BYTES) in answer.json()["detail"]


def test_a_body_that_does_not_say_its_size_is_bounded_too(client: httpx.Client) -> None:
    assert client.post("/echo", content=iter([b"x" * 400] * 2)).content == b"x" * 800
    assert client.post("/echo", content=iter([b"x" * 400] * 3)).status_code == 413


def test_what_the_application_raises_is_answered_with_500(client: httpx.Client) -> None:
    assert client.get("/bug", headers={"connection": "close"}).status_code == 500
    assert client.get("/echo").status_code == 201


def test_requests_of_many_threads_run_side_by_side(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        bodies = [f"body-{n}".encode() for n in range(40)]
        answers = list(threads.map(lambda body: client.post("/echo", content=body).content, bodies))
    assert answers == bodies


def test_an_application_that_does_not_answer_is_given_up(client: httpx.Client, never: threading.Event) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.get("/slow", timeout=0.05)
    assert client.get("/echo").status_code == 201
    never.set()


def test_worker_threads_of_a_bridge_are_used_again(app: App) -> None:
    with httpx.Client(base_url="http://room", transport=AsgiBridge(app)) as client:
        assert len({client.get("/thread").text for _ in range(5)}) == 1


def test_a_closed_bridge_refuses_and_ends_its_thread(app: App) -> None:
    before = set(threading.enumerate())
    bridge = AsgiBridge(app)
    client = httpx.Client(base_url="http://room", transport=bridge)
    assert client.get("/echo").status_code == 201
    bridge.close()
    bridge.close()
    with pytest.raises(httpx.ConnectError):
        client.get("/echo")
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "asgi-bridge"]


def test_a_slow_body_is_refused_when_its_time_is_over() -> None:
    server = serve_app(BodyLimit(echo_app(threading.Event()), bytes_max=LIMIT_BYTES, seconds_max=0.05))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        answer = line.recv(1000)
    server.stop()
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_is_not_read_before_the_application_asks_for_it() -> None:
    app = FastAPI()

    @app.post("/")
    async def turn_away() -> Response:
        return Response(status_code=401)

    server = serve_app(BodyLimit(app, bytes_max=LIMIT_BYTES))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        assert line.recv(1_000).startswith(b"HTTP/1.1 401 ")
    server.stop()


def test_a_client_that_goes_away_in_mid_body_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    limited = BodyLimit(echo_app(threading.Event()), bytes_max=LIMIT_BYTES)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await limited(scope, receive, send)
        finally:
            ended.set()

    server = serve_app(app)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
    assert ended.wait(10)
    server.stop()
    assert not caplog.records


def test_a_server_that_is_stopped_answers_what_is_under_way_and_frees_its_port() -> None:
    asked, may_answer = threading.Event(), threading.Event()
    app = FastAPI()

    @app.get("/")
    def answer() -> str:
        asked.set()
        may_answer.wait(10)
        return "answered"

    server = serve_app(app)
    with ThreadPoolExecutor(2) as threads:
        under_way = threads.submit(httpx.get, server.url)
        assert asked.wait(10)
        stopping = threads.submit(server.stop)
        may_answer.set()
        assert under_way.result(10).json() == "answered"
        stopping.result(10)
    server.wait()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
    serve_app(app, port=server.port).stop()


def test_an_address_that_is_taken_is_refused_with_what_to_do() -> None:
    server = serve_app(FastAPI())
    with pytest.raises(OSError, match="choose another one"):
        serve_app(FastAPI(), port=server.port)
    server.stop()


def test_other_than_http_passes_the_body_limit_untouched() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> dict[str, str]:
        return {}

    async def drop(message: object) -> None:
        """Nobody listens."""

    coroutine = BodyLimit(app, bytes_max=1)({"type": "lifespan"}, nothing, drop)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert seen == ["lifespan"]
