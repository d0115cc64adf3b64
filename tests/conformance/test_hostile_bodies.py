"""Hostile bodies on every writing route of the three documents: a problem is answered, and nothing is written."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import httpx
import pytest

from tests.documented import Json
from tests.rooms import DOCUMENTS, Room, open_room
from tests.stories import examples_file
from timebank_kit.web import RunningServer, serve_app
from timebank_ledger.batch import BATCH_BYTES_MAX
from timebank_ledger.bulk import BYTES_MAX as BULK_BYTES_MAX

pytestmark = pytest.mark.slow

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WRITING = [
    (room, name)
    for room, documented in DOCUMENTS.items()
    for name, operation in documented.operations.items()
    if operation["method"] in WRITES and "requestBody" in operation
]
TAKES_ANY_KIND = ("takeSegment", "acceptRegistry", "sayContradiction", "addCheckpoint")
EXAMPLES = {room: json.loads(examples_file(room).read_text("utf-8")) for room in DOCUMENTS}
BY_LINE = frozenset({"postTransfers", "uploadTransfers"})
"""Each command is answered by itself: a hostile one is refused in a good answer."""
GIBIBYTE = 1 << 30
PIECE = bytes(65_536)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Room]]:
    with (
        open_room("ledger", tmp_path_factory.mktemp("ledger")) as ledger,
        open_room("directory", tmp_path_factory.mktemp("directory")) as directory,
        open_room("federation", tmp_path_factory.mktemp("federation")) as federation,
    ):
        yield {room.name: room for room in (ledger, directory, federation)}


def kind_of(operation: Json) -> str:
    return str(next(iter(operation["requestBody"]["content"])))


def good_value(room: str, name: str) -> Any:
    """The example's body; of a batch or a file, its first command."""
    body = EXAMPLES[room].get(name, {}).get("body", {})
    if name in BY_LINE:
        return body[0] if isinstance(body, list) else json.loads(body.splitlines()[0])
    return body


def raw_bodies(value: Json) -> Iterator[bytes]:
    """What is no JSON that anybody should take, made from a good value."""
    good = json.dumps(value).encode()
    yield from (b"\x00", b"\xff\xfe", good[:-1], good + b"\x00", good + b"}", good.decode().encode("utf-16"))
    yield from (b"null", b"7", b'"text"', b"NaN", b"[[]]", b"true", b'"\\ud800"', b'"\xed\xa0\x80"')
    yield from (b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000)
    yield b'{"a":' + b"1" * 5_000 + b"}"
    if isinstance(value, dict) and value:
        first = json.dumps(next(iter(value))).encode()
        yield b"{" + first + b":" + json.dumps(value[next(iter(value))]).encode() + b"," + good[1:]
        yield b'{"\\u0000":1,' + good[1:]
        yield b'{"nobody knows it":1,' + good[1:]


def spoiled(value: Json) -> Iterator[bytes]:
    """A good body but for one number or text in it; of a body that is no JSON, that text in many wrong forms."""
    if isinstance(value, str):
        yield from (value.encode()[:-1], value.encode() * 2, value.replace("\n", "\r\n").encode(), b"\n" * 5_000)
        return
    for place in _places(value):
        found = _at(value, place)
        if isinstance(found, bool) or found is None:
            continue
        if isinstance(found, int):
            bad = ["NaN", "Infinity", "-Infinity", "1e3", "1.0", "1.5", "true", '"90"', str(2**63), str(-(2**63) - 1)]
            bad += ["1e400", "9" * 5_000, '"\\uff19\\uff10"', "[]", "{}"]
        else:
            bad = ['"\\u0000"', '"\\ud800"', '"a\\u0000b"', '"a\\n"', "7", "[]", "{}", '"' + "a" * 5_000 + '"']
        for text in bad:
            yield _with(value, place, text)


def _places(value: Json, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, (*so_far, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _places(inner, (*so_far, number))
    else:
        yield so_far


def _at(value: Json, place: tuple[Any, ...]) -> Json:
    for part in place:
        value = value[part]
    return value


def _with(value: Json, place: tuple[Any, ...], text: str) -> bytes:
    changed = deepcopy(value)
    _at(changed, place[:-1])[place[-1]] = "here"
    return json.dumps(changed).replace('"here"', text).encode()


def refused(room: Room, name: str, answer: httpx.Response) -> None:
    """A problem document of the documented form; of a batch or a file, one for each command."""
    room.documented.check(room.documented.operations[name], answer)
    if answer.status_code >= 400:
        assert answer.status_code < 500
        return
    assert name in BY_LINE, f"{name} took it: {answer.text}"
    answers = answer.json()["answers"] if name == "postTransfers" else list(map(json.loads, answer.text.splitlines()))
    for one in answers:
        assert 400 <= one.get("status", 400) < 500, f"{name} took it: {answer.text}"
        assert not one.get("written"), f"{name} wrote it: {answer.text}"


def still_works(room: Room) -> None:
    """The next good request is answered as if nothing had been."""
    name = {"ledger": "postTransfer", "directory": "givePayee", "federation": "askPayee"}[room.name]
    body = {"payer": "alys", "payee": {"account": "bryn"}, "minutes": 1, "purpose": "gift", "confirmed_by": "none"}
    answer = room.send(room.documented.operations[name], json=body if room.name == "ledger" else {"handle": "bryn"})
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize(("room_name", "name"), WRITING)
def test_a_hostile_body_is_refused_and_nothing_is_written(rooms: dict[str, Room], room_name: str, name: str) -> None:
    """C-1, C-3, C-7, C-12."""
    room, value = rooms[room_name], good_value(room_name, name)
    operation = room.documented.operations[name]
    kind, length = kind_of(operation), room.length()
    bodies = [*raw_bodies(value), *spoiled(value)]
    if operation["requestBody"].get("required"):
        bodies.append(b"")
    for raw in bodies:
        body = b"[" + raw + b"]" if name == "postTransfers" else raw + b"\n" if name == "uploadTransfers" else raw
        answer = room.send(operation, content=body, headers={"Content-Type": kind})
        if kind == "application/json" or name == "uploadTransfers":
            try:
                refused(room, name, answer)
            except AssertionError as error:
                raise AssertionError(f"{body[:200]!r}: {error}") from error
        else:
            room.documented.check(operation, answer)
            assert answer.status_code < 500
        assert room.length() == length, f"{body[:200]!r} wrote something"
    still_works(room)


@pytest.mark.parametrize(("room_name", "name"), [one for one in WRITING if one[1] not in TAKES_ANY_KIND])
def test_a_body_of_another_kind_is_refused(rooms: dict[str, Room], room_name: str, name: str) -> None:
    room, operation = rooms[room_name], DOCUMENTS[room_name].operations[name]
    if name == "getToken" or not operation["requestBody"].get("required"):
        return
    raw, length = json.dumps(good_value(room_name, name)).encode(), room.length()
    raw = b"[" + raw + b"]" if name == "postTransfers" else raw
    for kind in (
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "nonsense",
        None,
    ):
        answer = room.send(operation, content=raw, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, f"{kind}: {answer.text}"
        room.documented.check(operation, answer)
        assert room.length() == length
    still_works(room)


def test_every_writing_route_with_a_body_is_looked_at() -> None:
    assert len(WRITING) > 20
    assert {room for room, _ in WRITING} == {"ledger", "directory", "federation"}


class Sender:
    """A client that sends a body without end, and counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.answer: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        self.taken += len(PIECE)
        assert self.taken <= GIBIBYTE, "the whole body was read"
        return {"type": "http.request", "body": PIECE, "more_body": True}

    async def send(self, message: Any) -> None:
        self.answer.append(message)

    def ask(self, room: Room, name: str, *, declared: bool) -> httpx.Response:
        operation = room.documented.operations[name]
        headers = room.headers(operation) | {"Content-Type": kind_of(operation)}
        if declared:
            headers["Content-Length"] = str(GIBIBYTE)
        path = operation["path"].format_map(room.bound)
        scope = {
            "type": "http",
            "method": operation["method"],
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(part.lower().encode(), value.encode()) for part, value in headers.items()],
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "server": ("room", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
        }

        async def run() -> None:
            await room.app(scope, self.receive, self.send)

        asyncio.run(run())
        body = b"".join(message.get("body", b"") for message in self.answer)
        return httpx.Response(self.answer[0]["status"], headers=self.answer[0]["headers"], content=body)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in pieces"])
@pytest.mark.parametrize(("room_name", "name"), WRITING)
def test_a_body_of_a_gibibyte_is_refused_early(
    rooms: dict[str, Room], room_name: str, name: str, *, declared: bool
) -> None:
    """What is taken of it is all that could be held: nothing of a declared one, else the route's own bound."""
    room, sender = rooms[room_name], Sender()
    length = room.length()
    answer = sender.ask(room, name, declared=declared)
    room.documented.check(room.documented.operations[name], answer)
    told = answer.json()
    bound = 0 if declared else BULK_BYTES_MAX if name == "uploadTransfers" else BATCH_BYTES_MAX
    assert sender.taken <= bound + len(PIECE)
    if name == "uploadTransfers" and not declared:
        assert (answer.status_code, told["complete"]) == (200, False)
        told = told["problem"]
    if name == "addCheckpoint" and not declared:
        # The town is no witness, and says so before it reads anything.
        assert (sender.taken, answer.status_code, told["code"]) == (0, 404, "not_found")
        return
    if name != "uploadTransfers" or declared:
        assert answer.status_code == 413
    assert told["code"] == "too_large"
    assert room.length() == length
    still_works(room)


@pytest.mark.parametrize(
    ("room_name", "name"),
    [(room, name) for room, documented in DOCUMENTS.items() for name in documented.operations],
)
def test_hostile_paths_and_queries_are_answered_as_documented(
    rooms: dict[str, Room], room_name: str, name: str
) -> None:
    room, operation = rooms[room_name], DOCUMENTS[room_name].operations[name]
    texts = ("%00", "a%00b", "%ed%a0%80", "%ff", "..%2f..%2fetc", "%0a", "a" * 4_000, "%e2%80%ae", "-1", "1e3", "NaN")
    length = room.length()
    for parameter in operation.get("parameters", []):
        for text in texts:
            path, query = operation["path"].format_map(room.bound), ""
            if parameter["in"] == "path":
                path = operation["path"].format_map(room.bound | {parameter["name"]: text})
            elif parameter["in"] == "query":
                query = f"?{parameter['name']}={text}"
            else:
                continue
            answer = room.send(operation, path=f"{path}{query}", json={} if "requestBody" in operation else None)
            assert answer.status_code < 500, f"{path}{query}: {answer.text}"
            if answer.status_code != 404:
                room.documented.check(operation, answer)
            assert room.length() == length


HEADS = {
    "one long header": b"GET /livez HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 2_000_000 + b"\r\n\r\n",
    "many headers": b"GET /livez HTTP/1.1\r\nhost: a\r\n" + b"x: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 50_000 + b"\r\n",
    "a long path": b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    "a NUL": b"GET /livez HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n",
    "a NUL in the path": b"GET /livez\x00 HTTP/1.1\r\nhost: a\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n",
    "two lengths": b"POST /v1/transfers HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
    "a length below 0": b"POST /v1/transfers HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\nabcde",
    "a bad piece": b"POST /v1/transfers HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n",
}


@pytest.fixture(scope="module")
def server(rooms: dict[str, Room]) -> Iterator[RunningServer]:
    running = serve_app(rooms["ledger"].app)
    yield running
    running.stop()


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_hostile_head_is_refused_and_the_next_caller_is_served(server: RunningServer, name: str) -> None:
    """Refused, or hung up on; never a bug, and never kept waiting."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        with suppress(ConnectionError):
            line.sendall(HEADS[name])
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            answer = line.recv(65_536)
    assert answer[:10] in (b"", b"HTTP/1.1 4"), answer[:200]
    assert httpx.get(f"{server.url}/livez").json() == {"state": "alive"}
