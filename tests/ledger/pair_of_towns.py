"""Two towns with one registry, and a postman who cuts segments from one's stream and hands them to the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import httpx

from tests.ledger.town_api import NETWORK, Keys, Town, open_town, seed
from timebank_contracts import canonical, dsse
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.names import Identity
from timebank_contracts.registry import FIRST_PREVIOUS, PAYLOAD_TYPE, Operators, RegisteredNode, Registry
from timebank_contracts.segments import Heard, make_segment
from timebank_contracts.streams import StreamHead

OPERATORS = (SigningKey(seed(7001)), SigningKey(seed(7002)))
State = Literal["open", "suspended", "closed"]


def registered(node: str, number: int, *, limit: int = 6_000, state: State = "open") -> RegisteredNode:
    keys = Keys(number)
    return RegisteredNode(
        node=node,
        generation="g1",
        state=state,
        event_keys=[b64_encode(keys.event.public)],
        log_keys=[b64_encode(keys.log.public)],
        protocols=[1],
        url=f"https://{node}.example",
        limit=limit,
    )


def make_registry(*nodes: RegisteredNode, version: int = 1, previous: str = FIRST_PREVIOUS) -> Registry:
    keys = [b64_encode(key.public) for key in OPERATORS]
    return Registry(
        protocol=1,
        network=NETWORK,
        version=version,
        previous=previous,
        operators=Operators(k=2, keys=keys),
        nodes=list(nodes),
    )


def signed(registry: Registry, keys: tuple[SigningKey, ...] = OPERATORS) -> bytes:
    return dsse.sign(canonical.encode(registry), payload_type=PAYLOAD_TYPE, keys=keys)


def both_open() -> Registry:
    return make_registry(registered("aberdare", 1), registered("barry", 2))


@contextmanager
def open_pair(**more: Any) -> Iterator[tuple[Town, Town]]:
    """Aberdare and Barry, each holding the registry that names both; `more` are settings of their ledgers."""
    with open_town("aberdare", 1, **more) as aberdare, open_town("barry", 2, **more) as barry:
        for town in (aberdare, barry):
            client = town.operator()
            answer = client.put("/v1/registry", content=signed(both_open()))
            assert answer.status_code == 200, answer.text
        yield aberdare, barry


def stream_of(town: Town, peer: str) -> dict[str, Any]:
    """What a town says of its streams with a peer."""
    streams: list[dict[str, Any]] = town.federation().get("/v1/streams").json()["streams"]
    return next(stream for stream in streams if stream["peer"] == peer)


def segment_from(
    sender: Town,
    to: str,
    *,
    after: int,
    limit: int = 256,
    key: SigningKey | None = None,
    messages: list[bytes] | None = None,
) -> bytes:
    """A segment of the sender's stream after a position, signed as its federation service would.

    `messages` are sent instead of the stream's own, as nobody honest does.
    """
    said = sender.federation().get("/v1/streams").json()
    answer = sender.federation().get(f"/v1/streams/{to}/messages", after=after, limit=limit)
    assert answer.status_code == 200, answer.text
    incoming = stream_of(sender, to)["incoming"]
    return make_segment(
        identity=Identity(**said["identity"]),
        to=to,
        after=StreamHead(after, bytes.fromhex(answer.headers["X-Stream-Chain"])),
        messages=answer.content.split(b"\n")[:-1] if messages is None else messages,
        heard=Heard(generation="g1", n=incoming["n"], chain=incoming["chain"]),
        registry=said["registry"]["version"],
        size=0,
        root=bytes(32),
        key=key or sender.keys.event,
    )


def hand_in(town: Town, segment: bytes) -> httpx.Response:
    """Give a segment to a town's ledger, as its federation service does."""
    return town.http.post("/v1/segments", content=segment, headers=town.federation().headers)


def carry(sender: Town, receiver: Town) -> dict[str, Any]:
    """Carry what the receiver has not applied; returns what became of it."""
    after = stream_of(receiver, sender.node)["incoming"]["n"]
    answer = hand_in(receiver, segment_from(sender, receiver.node, after=after))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said
