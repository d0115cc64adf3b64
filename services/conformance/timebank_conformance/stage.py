"""What the kit serves to the node under test: its towns' streams, registry versions, and addresses of one payee.

    GET  /v1/streams/{town}/{generation}/{node}?after=n&limit=m      what stands in the town's queue, else its stream
    GET  /.well-known/timebank/registry/{version}                    the version; 404 where there is none
    POST /v1/payees                                                  an address for the handle `kit`

All towns share one address: the path, or the token's audience, says which is meant.
Source: PROTOCOL.md W4, W5, W7.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import MutableMapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from timebank_conformance.towns import KitTown
from timebank_contracts.errors import Malformed
from timebank_contracts.segments import SEGMENT_MESSAGES_MAX
from timebank_contracts.tokens import Issuer, audience, bearer, verify_token
from timebank_kit.clock import Clock

ASKED_MAX: Final = 10_000
"""Requests that are remembered."""
BODY_BYTES_MAX: Final = 4_096
HANDLE: Final = "kit"
REGISTRY_TYPE: Final = "application/vnd.dsse+json"
_STREAM: Final = re.compile(r"/v1/streams/([a-z0-9-]{1,40})/(g[0-9]{1,6})/([a-z0-9-]{1,40})")
_REGISTRY: Final = re.compile(r"/\.well-known/timebank/registry/(latest|[1-9][0-9]{0,8})")


class Asked(NamedTuple):
    """One request of the node for a stream."""

    town: str
    generation: str
    after: int
    token: str


class Answer(NamedTuple):
    """What is answered."""

    status: int
    content_type: str
    body: bytes


class Stage:
    """The towns and what they answer; used by the server's thread and the kit's.

    Args:
        towns: by name.
        node_key: raw event keys of the node under test, for its tokens.
        clock: for their times.
    """

    def __init__(self, towns: dict[str, KitTown], node_keys: tuple[bytes, ...], clock: Clock) -> None:
        self._towns = towns
        self._node_keys = node_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._queues: dict[str, deque[bytes]] = {}
        self.registries: dict[int, bytes] = {}
        self.asked: list[Asked] = []
        self.asked_registries: list[int] = []
        self.bad_tokens: list[str] = []
        """Why tokens of the node were not good."""
        self.good_tokens = 0

    def put(self, town: str, raw: bytes) -> None:
        """Answer the town's next request with these bytes, once."""
        with self._lock:
            self._queues.setdefault(town, deque()).append(raw)

    def waits(self, town: str) -> int:
        """How many answers stand in the town's queue."""
        with self._lock:
            return len(self._queues.get(town, ()))

    def times_asked(self, town: str) -> int:
        """How often the node asked for the town's stream."""
        with self._lock:
            return sum(asked.town == town for asked in self.asked)

    def clear(self) -> None:
        """Forget what stands in the queues."""
        with self._lock:
            self._queues.clear()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more and len(body) <= BODY_BYTES_MAX:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        answer = self.answer(scope["method"], scope["path"], query, headers.get("authorization", ""), body)
        head = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    def answer(self, method: str, path: str, query: dict[str, list[str]], authorization: str, body: bytes) -> Answer:
        """The answer to one request."""
        with self._lock:
            if method == "GET" and (stream := _STREAM.fullmatch(path)):
                return self._segment(stream[1], stream[2], query, authorization)
            if method == "GET" and (found := _REGISTRY.fullmatch(path)):
                return self._registry(found[1])
            if method == "POST" and path == "/v1/payees":
                return self._payee(authorization, body)
        return _problem(404, "not_found")

    def _segment(self, name: str, generation: str, query: dict[str, list[str]], authorization: str) -> Answer:
        town = self._towns.get(name)
        try:
            after = int(query.get("after", ["0"])[0])
            limit = int(query.get("limit", [str(SEGMENT_MESSAGES_MAX)])[0])
        except ValueError:
            return _problem(422, "field_invalid")
        if town is None or self._judge_token(town, authorization) is None:
            return _problem(401, "unauthorised")
        if len(self.asked) < ASKED_MAX:
            self.asked.append(Asked(name, generation, after, authorization))
        queue = self._queues.get(name)
        if queue:
            return Answer(200, "application/octet-stream", queue.popleft())
        if generation != town.identity.generation:
            return _problem(404, "stream_unknown")
        return Answer(200, "application/octet-stream", town.segment_after(max(0, after), max(0, limit)))

    def _judge_token(self, town: KitTown, authorization: str) -> str | None:
        """The issuer of the node's token, None when it is not good."""
        issuer = Issuer(town.node.node, self._node_keys, frozenset({"federation"}))
        try:
            caller = verify_token(
                bearer(authorization),
                issuers={issuer.name: issuer},
                audience=audience(town.identity.network, town.name),
                now_seconds=int(self._clock.now().timestamp()),
            )
        except Malformed as error:
            if len(self.bad_tokens) < ASKED_MAX:
                self.bad_tokens.append(f"{town.name}: {error}")
            return None
        self.good_tokens += 1
        return caller.issuer

    def _registry(self, wanted: str) -> Answer:
        version = max(self.registries, default=0) if wanted == "latest" else int(wanted)
        if wanted != "latest" and len(self.asked_registries) < ASKED_MAX:
            self.asked_registries.append(version)
        if version not in self.registries:
            return _problem(404, "registry_unknown")
        return Answer(200, REGISTRY_TYPE, self.registries[version])

    def _payee(self, authorization: str, body: bytes) -> Answer:
        try:
            handle = json.loads(body)["handle"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _problem(400, "malformed")
        bad = len(self.bad_tokens)
        for town in self._towns.values():
            if self._judge_token(town, authorization) is not None:
                del self.bad_tokens[bad:]
                if handle != HANDLE:
                    return _problem(404, "payee_unknown")
                return Answer(200, "application/json", json.dumps({"alias": address_of(town)}).encode())
        return _problem(401, "unauthorised")


def address_of(town: KitTown) -> str:
    """The address under which the kit is paid at a town of its own."""
    return sha256(f"{town.identity.origin} {HANDLE}".encode()).hexdigest()[:32]


def _problem(status: int, code: str) -> Answer:
    return Answer(status, "application/problem+json", json.dumps({"status": status, "code": code}).encode())
