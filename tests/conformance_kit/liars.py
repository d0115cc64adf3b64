"""Nodes that break one rule each: our own, behind something that changes what the kit gets, or what the node gets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from tests.conformance_kit.node_under_test import Played
from timebank_conformance.towns import KitTown
from timebank_contracts.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.segments import Heard, Segment, make_segment, parse_segment

Change = Callable[["Liar", httpx.Request, httpx.Response], httpx.Response]


@dataclass
class Liar(httpx.BaseTransport):
    """Between the kit and the node: its answers are changed."""

    played: Played
    inner: httpx.BaseTransport
    change: Change
    asked: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        answer.read()
        self.asked.append(request.url.path)
        return self.change(self, request, answer)

    @property
    def event_key(self) -> SigningKey:
        return self.played.town.home.key("event")

    def stream_of(self, request: httpx.Request) -> KitTown | None:
        """The town whose stream is asked for."""
        return self.played.kit.towns.get(request.url.path.rpartition("/")[2])

    def signed_anew(self, town: KitTown, segment: Segment, messages: list[bytes], heard: Heard) -> httpx.Response:
        said = segment.statement
        raw = make_segment(
            identity=self.played.town.home.identity,
            to=town.name,
            after=town.incoming,
            messages=messages,
            heard=heard,
            registry=said.registry,
            size=said.size,
            root=bytes.fromhex(said.root),
            key=self.event_key,
        )
        return httpx.Response(200, content=raw)


def lets_everybody_in(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """Tokens are not looked at."""
    town = liar.stream_of(request)
    if answer.status_code not in (401, 403) or town is None:
        return answer
    session = liar.played.session
    headers = {"Authorization": f"Bearer {session.door.token(town, session.seed(town))}"}
    again = liar.inner.handle_request(httpx.Request("GET", request.url, headers=headers))
    again.read()
    return again


def tells_why_a_handle_is_not_answered(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    if request.url.path == "/v1/payees" and answer.status_code == 404:
        return httpx.Response(403, json={"code": "forbidden"}, headers={"content-type": "application/problem+json"})
    return answer


def gives_every_peer_one_address(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    if request.url.path == "/v1/payees" and answer.status_code == 200:
        return httpx.Response(200, json={"alias": "0" * 32})
    return answer


def serves_another_registry(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    if request.url.path.endswith("/latest"):
        kit = liar.played.kit
        return httpx.Response(200, content=kit.envelope(kit.following(), kit.stranger))
    return answer


def says_errors_as_text(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    return answer if answer.status_code < 400 else httpx.Response(answer.status_code, text="no")


def rewrites_its_log(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """Every checkpoint but the first has a root of its own."""
    if request.url.path != "/checkpoint" or liar.asked.count("/checkpoint") == 1:
        return answer
    said = parse_checkpoint(answer.text.partition("\n\n")[0] + "\n")
    home = liar.played.town.home
    return httpx.Response(200, content=sign_checkpoint(Checkpoint(said.origin, said.size, b"x" * 32), home.key("log")))


def began_another_log(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """The first checkpoint is of a log that the later ones do not continue."""
    if request.url.path != "/checkpoint" or liar.asked.count("/checkpoint") > 1:
        return answer
    said = parse_checkpoint(answer.text.partition("\n\n")[0] + "\n")
    home = liar.played.town.home
    return httpx.Response(200, content=sign_checkpoint(Checkpoint(said.origin, said.size, b"x" * 32), home.key("log")))


def serves_a_short_tile(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    return httpx.Response(200, content=answer.content[:-1]) if "/tile/0/" in request.url.path else answer


def decides_twice(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """What has effect twice is decided twice: the first decision comes again at the next position."""
    town = liar.stream_of(request)
    if town is None or answer.status_code != 200:
        return answer
    segment = parse_segment(answer.content)
    if not segment.messages or town.got:
        return answer
    again = json.loads(segment.messages[0])
    again["id"] = f"{town.name}/g1/2"
    messages = [segment.messages[0], json.dumps(again, sort_keys=True, separators=(",", ":")).encode()]
    return liar.signed_anew(town, segment, messages, segment.statement.heard)


def never_hears(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    town = liar.stream_of(request)
    if town is None or answer.status_code != 200:
        return answer
    segment = parse_segment(answer.content)
    nothing = Heard(generation="g1", n=0, chain=town.chain(0).hex())
    return liar.signed_anew(town, segment, segment.messages, nothing)


def signs_with_another_key(liar: Liar, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    town = liar.stream_of(request)
    if town is None or answer.status_code != 200:
        return answer
    segment = parse_segment(answer.content)
    said = segment.statement
    raw = make_segment(
        identity=liar.played.town.home.identity,
        to=town.name,
        after=town.incoming,
        messages=segment.messages,
        heard=said.heard,
        registry=said.registry,
        size=said.size,
        root=bytes.fromhex(said.root),
        key=liar.played.kit.stranger,
    )
    return httpx.Response(200, content=raw)


@dataclass
class SignsForOthers(httpx.BaseTransport):
    """Between the node and the kit: whoever signed a segment, the node gets it as if its town had."""

    played: Played
    inner: httpx.BaseTransport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        body = answer.read()
        town = self.played.kit.towns.get(request.url.path.split("/")[3]) if "/streams/" in request.url.path else None
        if town is None or answer.status_code != 200:
            return httpx.Response(answer.status_code, content=body, headers=answer.headers)
        envelope, _, rest = body.partition(b"\n")
        try:
            payload = json.loads(envelope)["payload"]
        except ValueError:
            return httpx.Response(200, content=body)
        messages = rest[:-1].split(b"\n") if rest else []
        return httpx.Response(200, content=town.signed(base64.b64decode(payload), messages))
